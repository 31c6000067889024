"""Check: run a model forward and backward, and judge what was measured."""

import itertools
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

from fanin import _samples as samples
from fanin._arguments import check_seed
from fanin._samples import Form, Sample
from fanin.checks._assumptions import assumptions
from fanin.checks._checkup import Checkup
from fanin.checks._conditions import Conditions
from fanin.checks._finding import SEVERITIES, Finding
from fanin.checks._layers import layers
from fanin.checks._limits import LIMITS
from fanin.checks._measurement import Measurement, measured
from fanin.checks._note import Note
from fanin.checks._rules import RULES, chosen
from fanin.checks._untrained import judges_training
from fanin.errors import FaninError, shown


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
    measurement, conditions = _measured(model, given, targets, loss, draws, seed)
    chance = given.chance if isinstance(given, Sample) else ""
    findings, told = _judge(measurement, rules)
    # Once each: what the conditions leave open, then what the rules say.
    texts = dict.fromkeys([*assumptions(measurement, conditions, chance, rules), *told])
    return Checkup(tuple(findings), layers(measurement), tuple(texts), conditions)


def _judge(m: Measurement, rules: Collection[str]) -> tuple[list[Finding], list[str]]:
    """What the judges of these rules find, the severest first, and the texts of their notes."""
    rows = [rule for rule in RULES.values() if rule.id in rules]
    judges = dict.fromkeys(judge for rule in rows for judge in rule.judges)
    findings: list[Finding] = []
    told: list[str] = []
    for said in itertools.chain.from_iterable(judge(m) for judge in judges):
        if isinstance(said, Note):
            told += [said.text] if said.rule in rules else []
        elif said.id in rules and judges_training(m, said):
            findings.append(said)
    findings.sort(key=lambda found: (-SEVERITIES.index(found.severity), found.id))  # stable
    return findings, told


def _refuse(model: Any, inputs: Any, shape: Any, draws: Any) -> None:
    if (inputs is None) == (shape is None):
        given = "both are" if inputs is not None else "neither is"
        raise FaninError(
            f"inputs and shape: {given} given. Pass inputs=, a batch as training will see it, or "
            "shape=, that of one input, for Gaussian inputs."
        )
    if shape is not None and not (
        isinstance(shape, tuple) and all(isinstance(size, int) and size > 0 for size in shape)
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
    labels = None if ours is None else ours.targets

    def draw(number: int) -> tuple[Any, Any, Any, int]:
        """The model, what was seen of it less its output, the loss and the size of the batch."""
        drawn = model if factory is None else adapter.built(factory, seed + number)
        adapter.refuse_empty(drawn)
        batch = adapter.placed(ours.values, drawn) if ours else inputs
        goals = targets if labels is None else adapter.placed(labels, drawn)
        count = adapter.batch_of(batch)
        objective = adapter.Objective(goals, loss, seed, adapter.labelled(drawn, batch))
        found = adapter.observed(drawn, batch, objective, seed, LIMITS.flat, LIMITS.same)
        return drawn, replace(found, output=None), objective, count

    seen = []
    for number in range(draws):
        drawn, found, objective, count = draw(number)
        seen.append(found)
    facts = adapter.facts(drawn)
    projected = objective.name == "random projection" or any(found.loss is None for found in seen)
    classes = objective.classes if objective.name == "cross-entropy" else None
    conditions = Conditions(
        **facts,
        batch=count,
        inputs=ours.described if ours else "given",
        loss=objective.name,
        draws=draws,
        seed=seed,
    )
    measurement = measured(
        seen,
        train=facts["mode"] != "eval",
        batch=count,
        tiny=adapter.smallest_normal(drawn),
        loss=None if projected else sum(found.loss for found in seen) / draws,
        classes=classes,
        targets=objective.compared,
    )
    return measurement, conditions


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
