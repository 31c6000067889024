"""Choices settled: what the user, the recipe and the constructor's values make of a parameter."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from fanin.errors import FaninError, an
from fanin.frameworks import Slot, Target
from fanin.initializers import Initializer
from fanin.initializers._computed import Computed
from fanin.param import Param
from fanin.plans._resized import resize
from fanin.plans._row import Keeps, Row
from fanin.recipes import Choice, has_steps, is_short, same, says_something
from fanin.streams import Array


class Settled(NamedTuple):
    """A choice, and whose values a kept parameter has, where that is known."""

    choice: Choice
    keeps: Keeps | None = None
    hashed: bool = True  # where it is kept: so that it can be proved


_MEANT = ("bias", "shift", "table", "other")  # kinds of what may be no drawn weight
FROZEN = "frozen, so kept as it is"


def find_param(target: Target, name: str, *, stays: bool) -> Param:
    """The parameter, with the size of its values where it stays as it is beside others."""
    slot = target.slots[name]
    if _may_be_drawn(slot.param) and not slot.is_empty and not stays:
        target.find_origin(name)
    param = replace(slot.param, read=slot.read)
    if param.trainable and param.constant is None and not slot.is_empty and not stays:
        param = replace(param, read=partial(_typical, target, name))
    if param.trainable and not stays and _is_meant(target, name):
        param = replace(param, meant=True)
    if not stays or not slot.has_value:
        return param
    mean, std = slot.moments()
    return replace(param, kept_rms=math.hypot(mean, std))


def _may_be_drawn(param: Param) -> bool:
    """Whether a constant is the one element of its parameter, so that no other one shows it."""
    if param.constant is None or not param.trainable or math.prod(param.shape) != 1:
        return False
    return not is_short(param.constant)


def _is_meant(target: Target, name: str) -> bool:
    """Whether a vector, or what no layer is known by, has values that the constructor meant.

    Of what is drawn again, the draw that is the same for all decides; the values at hand tell
    whether it is worth to ask for that.
    """
    slot = target.slots[name]
    if slot.param.constant is not None or slot.was_drawn or slot.param.kind not in _MEANT:
        return False
    held = slot.read()
    if held is None or not says_something(held, share=0.5):
        return False
    values = held if slot.is_empty else _typical(target, name)
    return values is not None and says_something(values)


def _typical(target: Target, name: str) -> Array | None:
    """The values of a parameter, or of such draws as its constructor makes, if it drew them."""
    target.find_origin(name)
    return target.slots[name].read()


def settle(
    target: Target,
    name: str,
    choices: Mapping[str, Choice],
    given: Mapping[str, Initializer],
    unplaced: str,
    stays: Mapping[str, str],
    copied: Mapping[str, str],
) -> Settled:
    """What the user, the recipe or the constructor says of a parameter, in this order.

    `stays` says why some stay as they are, `copied` what others are copies of.
    """
    slot = target.slots[name]
    param = slot.param
    choice = choices.get(name)
    if name in copied:
        role = choice.role if choice else param.kind
        return Settled(Choice(None, role, copied[name]), "copied", hashed=False)
    if param.name in given:
        axes = choice.axes if choice else None
        role = choice.role if choice else param.kind
        said = Choice(given[param.name], role, "as the override says", axes)
        return Settled(said if choice is None else _with_factors(said, choice))
    if choice is not None and isinstance(choice.initializer, Computed):
        if stays.get(name, FROZEN) != FROZEN:
            raise FaninError(
                f"{param.name} of shape {param.shape} is {stays[name]}, and its recipe changes it: "
                f"{choice.why}. Let it be drawn, too, or keep the adapter beside it."
            )
        return Settled(choice)
    if name in stays:
        role = choice.role if choice else param.kind
        if slot.has_value:
            if stays[name] == FROZEN:
                return Settled(Choice(None, role, FROZEN))
            return Settled(Choice(None, role, stays[name]), "asked", hashed=False)
        if param.constant is None:
            raise FaninError(
                f"{param.name} of shape {param.shape} is {stays[name]}, and the model was built "
                "without the values that its constructor draws for it. Give it an initializer in "
                "overrides=, or build the model with its memory."
            )
        return Settled(Choice(same(param.constant), role, f"{stays[name]}: made so"))
    if choice is not None and not (choice.guessed and unplaced == "keep" and slot.has_value):
        return _with_source(target, name, choice)
    if unplaced == "keep" and slot.has_value:
        why = "no rule places it; kept, as unplaced='keep' asks"
        return Settled(Choice(None, param.kind, why), "asked")
    advice = ", or unplaced='keep'" if unplaced == "error" else "; it has no value to keep"
    raise FaninError(
        f"{param.name} has shape {param.shape} in {an(param.owner)}, for which there is no rule. "
        f"Pass overrides={{{param.name!r}: 'normal(std=0.02)'}}, say{advice}."
    )


def _with_factors(said: Choice, choice: Choice) -> Choice:
    """The factors are of the parametrization, whatever the values."""
    return replace(
        said,
        lr_factor=choice.lr_factor,
        eps_factor=choice.eps_factor,
        decay_factor=choice.decay_factor,
    )


def _with_source(target: Target, name: str, choice: Choice) -> Settled:
    """The choice, which says where a kept value may have been drawn by the constructor."""
    slot = target.slots[name]
    made = slot.param.constant
    if (
        (choice.initializer is not None and (made is None or choice.initializer != same(made)))
        or (made is not None and not _may_be_drawn(slot.param))
        or 0 in slot.param.shape  # so there are no values
        or slot.param.kind in ("norms", "factor")
    ):
        return Settled(choice)
    if not slot.is_empty:
        target.find_origin(name)
    if slot.is_redrawn:
        why = f"{choice.why}, drawn as the constructor draws it, from the seed's stream"
        return Settled(replace(choice, why=why), "redrawn")
    if slot.has_value if slot.is_empty else slot.is_computed or _has_steps(slot):
        return Settled(choice)
    why = f"{choice.why}: its values are the constructor's, not the seed's"
    return Settled(replace(choice, initializer=None, why=why), "unseeded")


def _has_steps(slot: Slot) -> bool:
    """Whether what a parameter holds goes on by equal steps, as no draw does."""
    values = slot.read()
    return values is not None and has_steps(values)


def row_of(slot: Slot, settled: Settled, rows: slice | None, like: str | None) -> Row:
    """The plan's row of a parameter, of which some rows alone may be drawn, or that is a copy."""
    param, choice = slot.param, settled.choice
    kept = None
    if choice.initializer is None and settled.hashed and slot.has_value and not slot.is_sharded:
        kept = None if slot.is_redrawn else slot.digest()
    row = Row(
        name=param.name,
        shape=param.shape,
        dtype=param.dtype,
        role=choice.role,
        initializer=choice.initializer,
        axes=param.axes if choice.axes is None else choice.axes,
        why=choice.why,
        aliases=param.aliases,
        output=choice.output,
        kept_sha256=kept,
        lr_factor=choice.lr_factor,
        eps_factor=choice.eps_factor,
        decay_factor=choice.decay_factor,
        averaged=choice.averaged,
        zero_row=slot.padding_row,
        keeps=settled.keeps,
        guessed=choice.guessed,
        like=like,
    )
    return row if rows is None else resize(row, rows)
