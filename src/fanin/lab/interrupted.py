"""Interrupted: Ctrl-C in the middle of training, with what there is so far."""

from typing import Any


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. `found` is what the function that was interrupted has found so far.

    As text it says how far a comparison got and what of it is stored.
    """

    def __init__(self, found: Any, told: str = "") -> None:
        super().__init__(told)
        self.found = found
