"""Matching: every parameter of a model with its row of a plan, and what is kept proved."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from fanin._columns import list_names
from fanin.errors import FaninError
from fanin.frameworks import Slot, Target
from fanin.initializers import zeros
from fanin.initializers._computed import Computed
from fanin.plans._copied import require_sources
from fanin.plans._laid import lay_out
from fanin.plans._row import Row

Pairs = list[tuple[Slot, Row]]

_TOLD = 3  # of what is wrong, in full


def alike(library: str, target: Target) -> bool | None:
    """Whether a plan's rows are laid out as a model stores weights; None if it does not say."""
    return library == target.library if library else None


def match_rows(rows: Sequence[Row], library: str, target: Target) -> Pairs:
    """Every slot with its row, laid out as the slot; FaninError where another model was planned."""
    known = {row.name: row for row in rows}
    unknown = [name for name in target.slots if name not in known]
    if unknown:
        raise FaninError(
            f"the plan has no {list_names(unknown)}. Make a plan of this model, or, in Python, map "
            "the names with rename=."
        )
    same = alike(library, target)
    for name, slot in target.slots.items():
        if same is False and known[name].zero_row is not None:
            slot.padding_row = known[name].zero_row
    pairs = [(slot, lay_out(known[name], slot.param, same)) for name, slot in target.slots.items()]
    for slot, row in pairs:
        slot.part = row.part
    return [(slot, row.under(target.prefix)) for slot, row in pairs]


def rehearse(rows: Sequence[Row], library: str, target: Target, seed: int) -> Pairs:
    """`matched`, after all that can fail when the plan is drawn into the slots."""
    pairs = match_rows(rows, library, target)
    require_sources(rows, target)
    for slot, row in pairs:
        if row.keeps == "redrawn" and not slot.is_redrawn:
            target.find_origin(row.name)
    for slot, row in pairs:
        if row.like is not None:
            slot.rehearse(zeros(), seed, row.axes)  # it gets its memory, whatever it held
            continue
        slot.rehearse(row.initializer, seed, row.axes)
        if not as_kept(slot, row):
            which = "" if row.initializer is None else ", but for the rows that it draws,"
            raise FaninError(
                f"{row.name} of shape {row.shape} is kept by the plan{which}, and its values are "
                "not those that the plan was made with. Plan this model again."
            )
    return pairs


def as_kept(slot: Slot, row: Row, *, held: bool = False) -> bool:
    """Whether what is kept has the planned values; of a shard this process cannot tell.

    `held`: those in memory, not those that writing would put back.
    """
    unknown = row.kept_sha256 is None or slot.is_sharded or slot.is_redrawn
    return unknown or slot.digest(held=held) == row.kept_sha256


def refuse_unlike(
    rows: Sequence[Row],
    library: str,
    target: Target,
    seed: int,
    build: Callable[[], Any] | None,
    hint: str,
) -> None:
    """FaninError where a parameter does not hold what the plan draws, keeps or copies.

    Or a buffer holds other values than its constructor computes.
    """
    require_sources(rows, target)
    pairs = [
        (slot, row)
        for slot, row in match_rows(rows, library, target)
        if not is_as_drawn(target, slot, row, seed)
    ]
    if pairs:
        found = ((row.name, slot.find_unwritten(bool(row.std))) for slot, row in pairs)
        odd = [f" {name} was never written: {told}." for name, told in found if told]
        raise FaninError(
            f"{list_names([row.name for _, row in pairs])} "
            f"{'holds' if len(pairs) == 1 else 'hold'} other values than seed {seed} of this plan "
            f"draws: trained, loaded or drawn otherwise.{''.join(odd[:_TOLD])}{hint}"
        )
    wrong = [proof for proof in target.prove_buffers(build) if proof.fault]
    if wrong:
        told = "; ".join(f"{proof.name}: {proof.fault}" for proof in wrong[:_TOLD])
        raise FaninError(
            f"{len(wrong)} {'buffer holds' if len(wrong) == 1 else 'buffers hold'} other values "
            f"than the constructor computes. {told}. Build the model under fanin.empty_weights(), "
            "or pass buffers={name: tensor} to apply."
        )


def is_as_drawn(target: Target, slot: Slot, row: Row, seed: int) -> bool:
    """Whether a parameter holds what its row says, bit by bit; so far as this process can tell."""
    if row.like is not None:
        return slot.equals(target.slots[row.like])
    drawn = row.initializer is None or slot.holds(row.initializer, seed, row.axes)
    return drawn and as_kept(slot, row, held=True)


def hash_kept(rows: Sequence[Row], library: str, target: Target) -> tuple[Row, ...]:
    """The rows, with the hashes of all that stays as it is."""
    found = {
        row.name: slot.digest()
        for slot, row in match_rows(rows, library, target)
        if (row.initializer is None and row.like is None) or row.drawn_rows is not None
    }
    return tuple(replace(row, kept_sha256=found.get(row.name, row.kept_sha256)) for row in rows)


def hash_rows(rows: Iterable[Row], pairs: Iterable[tuple[Slot, Row]]) -> tuple[Row, ...]:
    """The rows, with the hashes of what was drawn as the constructor draws it.

    What was computed is known by its hash from here on, and holds no memory.
    """
    found = {
        row.name: slot.digest()
        for slot, row in pairs
        if row.initializer is None and slot.is_redrawn and not slot.is_sharded
    }
    return tuple(
        replace(row, initializer=row.initializer.forget())
        if isinstance(row.initializer, Computed)
        else replace(row, kept_sha256=found[row.name])
        if row.name in found
        else row
        for row in rows
    )
