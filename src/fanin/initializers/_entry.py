"""Entry: a row of the catalogue; each module of initializers lists its own in ENTRIES."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from fanin.initializers._base import Initializer


@dataclass(frozen=True, slots=True)
class Entry:
    """What the registry, the common tests and docs/catalogue know of one initializer.

    `reads` names the axis roles that decide the values ("none" where the shape alone does),
    `preserves` what the values keep (forward variance, backward variance, isometry, ...),
    `example` is an expression that makes one, `shape` a torch-layout shape that it fits, and
    `formula` what the values are, in one line.
    """

    name: str
    make: Callable[..., Initializer]
    reads: str
    preserves: str
    source: str
    example: str
    shape: tuple[int, ...] = (60, 8, 5, 5)
    formula: str = ""

    def values(self) -> str:
        """What the values are, in one line: the formula, else the first line of the docstring."""
        return self.formula or (inspect.getdoc(self.make) or "").partition("\n")[0].rstrip(".")
