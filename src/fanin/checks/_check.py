"""Check: run a model forward and backward, and judge what was measured."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from fanin import _samples as samples
from fanin._arguments import check_seed
from fanin._samples import Form, Sample
from fanin.checks._activity import dead_units, deep_sigmoid, saturation
from fanin.checks._attention import drowned, sharp_attention
from fanin.checks._backward import backward_scale
from fanin.checks._checkup import Checkup, Conditions
from fanin.checks._copies import same_values
from fanin.checks._ends import collapse, initial_loss, input_scale
from fanin.checks._finding import SEVERITIES, Finding
from fanin.checks._finite import non_finite
from fanin.checks._forward import forward_scale, gain_mismatch
from fanin.checks._growth import narrowness, stream_growth
from fanin.checks._layers import layers
from fanin.checks._limits import LIMITS
from fanin.checks._measurement import Measurement, measured
from fanin.checks._objective import squashed, target_scale
from fanin.checks._recurrent import exploding_time, recurrent_weights, saturated_states
from fanin.checks._rules import chosen
from fanin.checks._symmetry import symmetry
from fanin.checks._untrained import judges_training, untrained
from fanin.checks._zeros import zero_scales, zero_weights
from fanin.errors import FaninError, shown

# In the order of the run where they speak of one place.
_FAMILIES: tuple[Callable[[Measurement], Iterator[Finding]], ...] = (
    non_finite,
    untrained,
    squashed,
    input_scale,
    target_scale,
    forward_scale,
    backward_scale,
    exploding_time,
    gain_mismatch,
    recurrent_weights,
    saturation,
    saturated_states,
    sharp_attention,
    deep_sigmoid,
    dead_units,
    symmetry,
    same_values,
    zero_weights,
    zero_scales,
    initial_loss,
    collapse,
    drowned,
    stream_growth,
    narrowness,
)


def check(
    model: Any,
    inputs: Any = None,
    targets: Any = None,
    loss: Callable[..., Any] | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    draws: int = 1,
    seed: int = 0,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
) -> Checkup:
    """What `fanin.check` does; there the arguments are explained."""
    rules = chosen(select, ignore)
    if not rules:
        raise FaninError("select and ignore leave no rule to judge by; leave one at least.")
    _refuse(model, inputs, shape, draws)
    check_seed(seed)
    given = inputs if shape is None else samples.draw([Form(shape)], seed)
    made, conditions = _measured(model, given, targets, loss, draws, seed)
    every = (one for family in _FAMILIES for one in family(made))
    found = [one for one in every if one.id in rules and judges_training(made, one)]
    found.sort(key=lambda one: (-SEVERITIES.index(one.severity), one.id))  # stable
    _add_notes(made, conditions, given.chance if isinstance(given, Sample) else "")
    return Checkup(tuple(found), layers(made), tuple(made.notes), conditions)


def _refuse(model: Any, inputs: Any, shape: Any, draws: Any) -> None:
    if (inputs is None) == (shape is None):
        given = "both are" if inputs is not None else "neither is"
        raise FaninError(
            f"inputs and shape: {given} given. Pass inputs=, a batch as training will see it, or "
            "shape=, that of one input, for Gaussian inputs."
        )
    if shape is not None and not (
        isinstance(shape, tuple) and all(isinstance(one, int) and one > 0 for one in shape)
    ):
        raise FaninError(
            f"shape is {shown(shape)}; it is a tuple of positive integers: (3, 224, 224)."
        )
    if not isinstance(draws, int) or isinstance(draws, bool) or draws < 1:
        raise FaninError(f"draws is {shown(draws)}; it is an integer >= 1.")


def _measured(
    model: Any,
    inputs: Any,
    targets: Any,
    loss: Callable[..., Any] | None,
    draws: int,
    seed: int,
) -> tuple[Measurement, Conditions]:
    adapter, factory = _opened(model, draws)
    ours = inputs if isinstance(inputs, Sample) else None

    def draw(number: int) -> tuple[Any, Any, Any, int]:
        """The model, what was seen of it less its output, the loss and the size of the batch."""
        one = model if factory is None else adapter.built(factory, seed + number)
        adapter.refuse_empty(one)
        batch = adapter.placed(ours.values, one) if ours else inputs
        goals = adapter.placed(ours.targets, one) if ours else targets
        count = adapter.batch_of(batch)
        objective = adapter.Objective(goals, loss, seed, adapter.labelled(one, batch))
        found = adapter.observed(one, batch, objective, seed, LIMITS.flat, LIMITS.same)
        return one, replace(found, output=None), objective, count

    seen = []
    for number in range(draws):
        one, found, objective, count = draw(number)
        seen.append(found)
    facts = adapter.facts(one)
    classes = objective.classes if objective.name == "cross-entropy" else None
    conditions = Conditions(
        **facts,
        batch=count,
        inputs=ours.described if ours else "given",
        loss=objective.name,
        draws=draws,
        seed=seed,
    )
    made = measured(
        seen,
        train=facts["mode"] != "eval",
        batch=count,
        tiny=adapter.smallest_normal(one),
        loss=None
        if objective.name == "random projection" or any(one.loss is None for one in seen)
        else sum(one.loss for one in seen) / draws,
        classes=classes,
        targets=objective.compared,
    )
    return made, conditions


def _opened(model: Any, draws: int) -> tuple[Any, Callable[[], Any] | None]:
    """The adapter, and the factory where it is one."""
    from fanin.frameworks import adapter_for, foreign

    try:
        adapter = adapter_for(model)
    except FaninError:
        if foreign(model):
            raise
        if not callable(model):
            raise FaninError(
                f"model has type {type(model).__name__}; it must be a torch.nn.Module, or a "
                "function without arguments that makes one."
            ) from None
        from fanin.frameworks import torch as torch_adapter

        return torch_adapter, model
    if draws > 1:
        raise FaninError(
            f"draws is {draws}, and the model is one {type(model).__name__}: its weights are drawn "
            "already. Pass a function that makes it: fanin.check(lambda: Net(), ...)."
        )
    return adapter, None


def _add_notes(made: Measurement, conditions: Conditions, chance: str) -> None:
    if chance:
        made.note(
            f"inputs are {chance}, not data: what real inputs do (their scale, how alike they are) "
            "was not seen."
        )
    if conditions.loss == "random projection":
        made.note(
            "no targets: gradients are those of a random projection of the outputs, and the "
            "initial loss (F11) was not judged."
        )
    if conditions.batch < made.limits.dead_batch and made.silent:
        made.note(
            f"{conditions.batch} inputs: a unit that fires on 1 of 100 is silent on all of them "
            f"with probability {0.99**conditions.batch:.2g} (F07)."
        )
    recurrent = [node.module for node in made.nodes if node.op == "recurrent"]
    if recurrent:
        made.note(
            f"{', '.join(dict.fromkeys(recurrent))}: a recurrent module is one layer here; of its "
            "inside, what saturates, the gradient's growth through time, and weights far too small "
            "or large, equal or repeated were judged (F03, F05, F08, F09, F12)."
        )
    if conditions.draws > 1:
        made.note(
            f"sizes and gradients are geometric means over {conditions.draws} draws; rows and "
            "values are those of the first."
        )
