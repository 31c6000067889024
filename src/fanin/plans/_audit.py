"""Audit: every parameter and buffer of a model accounted for, and measured against its plan."""

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from fanin import _html
from fanin._columns import align
from fanin.frameworks import Slot, Target
from fanin.initializers import Elementwise
from fanin.plans._matching import is_as_drawn
from fanin.plans._row import Row

# Standard errors: a false alarm in fewer than one of 10**8 parameters, for normal values.
_ERRORS = 6
_ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-10}
_NOT_PLANNED = "NOT AS PLANNED"
_HEADER = ("name", "is", "planned mean, std", "measured mean, std", "")


@dataclass(frozen=True, slots=True)
class Account:
    """What one parameter or buffer is.

    `what` is the initializer, "kept", "as X", "tied to X" or "buffer"; `planned` and `measured`
    are mean and standard deviation (of real parts, of complex values), None where nothing is
    planned or nothing differs by chance. `fault` says what is wrong, "" where nothing is: "NOT AS
    PLANNED", "NEVER WRITTEN: ..." or, of a buffer, "NOT AS BUILT: ...". `as_drawn` says whether it
    holds what the seed draws, bit by bit, None where the plan draws nothing into it or has no seed.
    """

    name: str
    what: str
    planned: tuple[float | None, float] | None = None
    measured: tuple[float, float] | None = None
    fault: str = ""
    as_drawn: bool | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.fault


@dataclass(frozen=True, slots=True)
class Audit:
    """Accounts of all parameters and buffers; prints as a table.

    `seed` is the plan's, None where it was never applied. `buffers_sha256` is that of all buffers
    by name: of processes that hold the same it is the same, sharded ones included where they are
    as their constructor computes them.
    """

    accounts: tuple[Account, ...]
    seed: int | None = None
    buffers_sha256: str = ""

    @property
    def ok(self) -> bool:
        """Whether all parameters measure as planned, within six standard errors, and no buffer
        holds other values than its constructor computes.
        """
        return all(account.ok for account in self.accounts)

    @property
    def findings(self) -> tuple[Account, ...]:
        """What is not as planned."""
        return tuple(account for account in self.accounts if not account.ok)

    @property
    def drawn(self) -> int:
        """How many parameters the plan draws; 0 where it was never applied."""
        return sum(account.as_drawn is not None for account in self.accounts)

    @property
    def as_drawn(self) -> int:
        """How many of them hold what the seed draws, bit by bit: others were loaded, or trained."""
        return sum(account.as_drawn is True for account in self.accounts)

    def __str__(self) -> str:
        lines = align([_HEADER, *map(_cells, self.accounts)])
        if self.drawn:
            told = f"{self.as_drawn} of {self.drawn} parameters"
            lines += ["", f"{told} hold what seed {self.seed} draws"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        wrong = len(self.findings)
        title = f"audit: {len(self.accounts)} parameters and buffers, " + (
            f"{wrong} not as planned" if wrong else "all as planned"
        )
        tones: list[_html.Tone] = ["" if account.ok else "error" for account in self.accounts]
        cells = [*map(_cells, self.accounts)]
        table = _html.table(_HEADER, cells, tones=tones)
        return _html.join_parts([_html.paragraph("", title, "error" if wrong else ""), table])


def audit_slots(
    target: Target,
    pairs: Iterable[tuple[Slot, Row]],
    seed: int | None,
    build: Callable[[], Any] | None,
) -> Audit:
    """The audit of slots with their rows, and of the buffers beside them."""
    accounts: list[Account] = []
    for slot, row in pairs:
        account = _account(slot, row)
        if seed is not None and (row.initializer is not None or row.keeps == "redrawn"):
            account = replace(account, as_drawn=is_as_drawn(target, slot, row, seed))
        elif row.like is not None and not is_as_drawn(target, slot, row, 0):
            account = replace(account, fault=_NOT_PLANNED)
        accounts.append(_find_fault(slot, row, account))
        accounts += [Account(alias, f"tied to {row.name}") for alias in row.aliases]
    proofs = target.prove_buffers(build)
    accounts += [Account(proof.name, proof.told, fault=proof.fault) for proof in proofs]
    lines = "\n".join(sorted(proof.line for proof in proofs if proof.line))
    return Audit(tuple(accounts), seed, hashlib.sha256(lines.encode()).hexdigest())


def _find_fault(slot: Slot, row: Row, account: Account) -> Account:
    """The account, which says so where the parameter was never written.

    Rows of zeros say it of what is drawn and holds something else.
    """
    if account.as_drawn:
        return account
    told = slot.find_unwritten(bool(row.std) and (account.as_drawn is False or not account.ok))
    return replace(account, fault=f"NEVER WRITTEN: {told}") if told else account


def _account(slot: Slot, row: Row) -> Account:
    measured = slot.moments()
    if row.initializer is None and row.like is None:
        return Account(row.name, f"kept: {row.why}", None, measured)
    if row.std is None:  # a copy, or as rows that a table has
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
    fault = "" if close or not count else _NOT_PLANNED
    return Account(row.name, row.describe(), (mean, std), measured, fault)


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
    return (account.name, account.what, *pairs, account.fault)
