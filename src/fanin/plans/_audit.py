"""Audit: every parameter and buffer of a model accounted for, and measured against its plan."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fanin import _html
from fanin._columns import align
from fanin.frameworks import Slot
from fanin.initializers import Elementwise
from fanin.plans._row import Row

# Standard errors: a false alarm in fewer than one of 10**8 parameters, for normal values.
_ERRORS = 6
_ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-10}
_HEADER = ("name", "is", "planned mean, std", "measured mean, std", "")


@dataclass(frozen=True, slots=True)
class Account:
    """What one parameter or buffer is.

    `what` is the initializer, "kept", "tied to X" or "buffer"; `planned` and `measured` are
    mean and standard deviation (of real parts, of complex values), None where nothing is planned
    or nothing differs by chance.
    """

    name: str
    what: str
    planned: tuple[float | None, float] | None = None
    measured: tuple[float, float] | None = None
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Audit:
    """Accounts of all parameters and buffers; prints as a table."""

    accounts: tuple[Account, ...]

    @property
    def ok(self) -> bool:
        """Whether everything measured is as planned, within six standard errors."""
        return all(account.ok for account in self.accounts)

    @property
    def findings(self) -> tuple[Account, ...]:
        """What is not as planned."""
        return tuple(account for account in self.accounts if not account.ok)

    def __str__(self) -> str:
        return "\n".join(align([_HEADER, *map(_cells, self.accounts)]))

    def _repr_html_(self) -> str:
        wrong = len(self.findings)
        title = f"audit: {len(self.accounts)} parameters and buffers, " + (
            f"{wrong} not as planned" if wrong else "all as planned"
        )
        tones: list[_html.Tone] = ["" if account.ok else "error" for account in self.accounts]
        cells = [*map(_cells, self.accounts)]
        table = _html.table(_HEADER, cells, tones=tones)
        return _html.join_parts([_html.paragraph("", title, "error" if wrong else ""), table])


def audit_slots(pairs: Iterable[tuple[Slot, Row]], buffers: Iterable[str]) -> Audit:
    """The audit of slots with their rows, and of the buffers of these names."""
    accounts: list[Account] = []
    for slot, row in pairs:
        accounts.append(_account(slot, row))
        accounts += [Account(alias, f"tied to {row.name}") for alias in row.aliases]
    return Audit((*accounts, *(Account(name, "buffer") for name in buffers)))


def _account(slot: Slot, row: Row) -> Account:
    measured = slot.moments()
    if row.initializer is None:
        return Account(row.name, f"kept: {row.why}", None, measured)
    if row.std is None:  # as rows that a table has
        return Account(row.name, row.describe(), None, measured)
    mean, std = _foresee(slot, row)
    sizes = row.shape if row.part is None else (each.stop - each.start for each in row.part)
    count = math.prod(sizes)
    rounding = _ROUNDING.get(row.dtype, 2.0**-22)
    # The variance of a sample deviation is (kurtosis - 1) std**2 / 4n: 1.25 for Laplace's 6.
    error = _ERRORS / math.sqrt(max(count, 1))
    known = 0.0 if mean is None else mean
    close = mean is None or (abs(measured[0] - mean) <= error * std + rounding * abs(mean) + 1e-30)
    close &= abs(measured[1] - std) <= 1.12 * error * std + rounding * max(std, abs(known)) + 1e-30
    return Account(row.name, row.describe(), (mean, std), measured, close or not count)


def _foresee(slot: Slot, row: Row) -> tuple[float | None, float]:
    """Mean and standard deviation of what is written: of real parts, a padding row of zeros in."""
    mean, std = row.mean, row.std or 0.0
    if row.dtype.startswith("complex") and isinstance(row.initializer, Elementwise):
        std /= math.sqrt(2)  # half of E|z|**2 is the real parts'
    first, end = row.drawn_rows or (0, row.shape[0] if row.shape else 0)
    padding = slot.padding_row is not None and first <= slot.padding_row < end
    if padding and mean is not None:
        drawn = 1 - 1 / (end - first)
        mean, std = drawn * mean, math.sqrt(drawn * std**2 + drawn * (1 - drawn) * mean**2)
    return mean, std


def _cells(account: Account) -> tuple[str, ...]:
    pairs = [
        ""
        if pair is None
        else ", ".join("?" if value is None else f"{value:.4g}" for value in pair)
        for pair in (account.planned, account.measured)
    ]
    return (account.name, account.what, *pairs, "" if account.ok else "NOT AS PLANNED")
