"""Note: what a rule says where it gives no verdict."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """What a rule assumed or could not judge, for people."""

    rule: str
    text: str
