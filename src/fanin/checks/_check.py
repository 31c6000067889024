"""Check: run a model forward and backward, and judge what was measured."""

import inspect
import itertools
from collections.abc import Callable, Collection, Iterable
from typing import Any

from fanin import _samples as samples
from fanin._arguments import check_number, check_seed
from fanin._samples import Form, Sample
from fanin.checks._assumptions import assumptions
from fanin.checks._checkup import Checkup
from fanin.checks._conditions import Conditions
from fanin.checks._finding import SEVERITIES, Finding
from fanin.checks._layers import layers
from fanin.checks._limits import LIMITS, SGD
from fanin.checks._measurement import Measurement, measure
from fanin.checks._note import Note
from fanin.checks._rules import RULES, choose
from fanin.checks._untrained import judges_training
from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks import (
    OPTIMIZERS,
    FirstSteps,
    Functional,
    Observation,
    RunAsked,
    StepsAsked,
    Subject,
    adapter_for,
    build_model,
    foreign,
    open_model,
)


def check(
    model: Any,
    inputs: Any = None,
    targets: Any = None,
    loss: Callable[..., Any] | None = None,
    *,
    params: Any = None,
    shape: tuple[int, ...] | None = None,
    draws: int = 1,
    seed: int = 0,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    optimizer: Any = None,
    lr: float | None = None,
    steps: int = 0,
) -> Checkup:
    """What `fanin.check` does; there the arguments are explained."""
    rules = choose(select, ignore)
    if not rules:
        raise FaninError("select and ignore leave no rule to judge by; leave one at least.")
    _refuse(model, inputs, shape, draws)
    seed = check_seed(seed)
    asked = _ask(optimizer, lr, steps, draws)
    given = inputs if shape is None else samples.draw([Form(shape)], seed)
    opened = open_model(model, params, inputs)
    measurement, conditions = _measure(opened, given, targets, loss, draws, seed, asked)
    chance = given.chance if isinstance(given, Sample) else ""
    findings, told = _judge(measurement, rules)
    # Once each: what the conditions leave open, then what the rules say.
    texts = dict.fromkeys([*assumptions(measurement, conditions, chance, rules), *told])
    listed = layers(measurement)
    return Checkup(tuple(findings), listed, tuple(texts), conditions, measurement.limits)


def _judge(m: Measurement, rules: Collection[str]) -> tuple[list[Finding], list[str]]:
    """What the judges of these rules find, the severest first, and the texts of their notes."""
    rows = [rule for rule in RULES.values() if rule.id in rules]
    judges = dict.fromkeys(judge for rule in rows for judge in rule.judges)
    once: dict[object, Finding] = {}
    told: list[str] = []
    for said in itertools.chain.from_iterable(judge(m) for judge in judges):
        if isinstance(said, Note):
            told += [said.text] if said.rule in rules else []
        elif said.id in rules and judges_training(m, said):
            once.setdefault((said.id, said.layer, said.measured, said.fix), said)
    findings = [*once.values()]
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
            f"shape is {quote(shape)}; it is a tuple of positive integers: (3, 224, 224)."
        )
    if not isinstance(draws, int) or isinstance(draws, bool) or draws < 1:
        raise FaninError(f"draws is {quote(draws)}; it is an integer >= 1.")


def _measure(
    model: Any,
    inputs: Any,
    targets: Any,
    loss: Callable[..., Any] | None,
    draws: int,
    seed: int,
    asked: StepsAsked | None,
) -> tuple[Measurement, Conditions]:
    factory = _factory(model, draws)
    ours = inputs if isinstance(inputs, Sample) else None
    left_out: tuple[str, ...] = ()
    sgd: bool | None = None
    steps: FirstSteps | None = None

    def draw(number: int) -> tuple[Subject, int, Observation]:
        """What is checked, the size of the batch, and what was seen."""
        nonlocal left_out, sgd, steps
        drawn = model if factory is None else build_model(factory, seed + number)
        adapter = adapter_for(drawn)
        subject = adapter.subject(drawn)
        batch = inputs if ours is None else adapter.place(ours.values, drawn)
        labels = None if ours is None else ours.targets
        goals = targets if labels is None else adapter.place(labels, drawn)
        count = subject.batch_of(batch)
        run = RunAsked(batch, goals, loss, seed, LIMITS.flat, LIMITS.same)
        seen = subject.observe(run)
        if asked is not None:
            left_out = subject.find_left_out(asked.optimizer)
            sgd = subject.is_sgd(asked.optimizer)
        if asked is not None and asked.steps and _learns(seen, left_out):
            steps = subject.take_steps(run, asked)
        return subject, count, seen

    seen: list[Observation] = []  # of one model after the other: none is kept
    for number in range(draws):
        subject, count, last = draw(number)
        seen.append(last)
    facts = subject.facts
    conditions = Conditions(
        **facts._asdict(),
        batch=count,
        inputs="given" if ours is None else ours.described,
        loss=last.loss_name,
        draws=draws,
        seed=seed,
        optimizer="" if steps is None else steps.optimizer,
        steps=0 if steps is None else len(steps.losses) - 1,
    )
    losses = [observation.loss for observation in seen]
    known = [value for value in losses if value is not None]
    judged = last.loss_name != "random projection" and len(known) == draws
    measurement = measure(
        seen,
        train=facts.mode != "eval",
        batch=count,
        tiny=subject.tiny,
        loss=sum(known) / draws if judged else None,
        classes=last.classes,
        targets=last.targets,
        left_out=left_out,
        sgd=sgd,
        steps=steps,
        limits=SGD if sgd else LIMITS,
    )
    return measurement, conditions


def _learns(seen: Observation, left_out: Collection[str]) -> bool:
    """Whether there is anything to move; FaninError where steps would follow no loss."""
    if seen.loss_name == "random projection":
        raise FaninError(
            "steps need a loss to go down. Pass targets=, loss=, or labels among the inputs, where "
            "the model takes any."
        )
    held = seen.frozen.union(left_out)
    return seen.loss is not None and bool(seen.weight_gradients.keys() - held)


def _ask(optimizer: Any, lr: Any, steps: Any, draws: int) -> StepsAsked | None:
    """What is asked of an optimizer; None for nothing."""
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise FaninError(f"steps is {quote(steps)}; it is an integer >= 0.")
    if steps and draws > 1:
        raise FaninError(f"steps and draws={draws}: steps are those of one model. Pass draws=1.")
    if optimizer is None:
        for name, value in (("steps", steps or None), ("lr", lr)):
            if value is not None:
                words = ", ".join(map(repr, OPTIMIZERS))
                raise FaninError(
                    f"{name} is {quote(value)}, and there is no optimizer. Pass optimizer=, one of "
                    f"{words} or your own."
                )
        return None
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        raise FaninError(
            f"unknown optimizer {quote(optimizer)}{suggestion(optimizer, [*OPTIMIZERS])}"
        )
    if lr is not None:
        if not steps:
            raise FaninError(
                f"lr is {quote(lr)}, and steps is 0: pass steps=8 to see what its steps do."
            )
        if not isinstance(optimizer, str):
            raise FaninError("optimizer and lr are both given; an optimizer has its own rate.")
        check_number("lr", lr, 0, 1e6)
    return StepsAsked(optimizer, lr, steps)


def _find_required(function: Callable[..., Any]) -> list[str]:
    """What it cannot be called without; nothing where it does not tell."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [item for item in arguments if item.default is item.empty]
    return [item.name for item in needed if item.kind not in variadic]


def _factory(model: Any, draws: int) -> Callable[[], Any] | None:
    """The function that makes the models; None where it is a model itself."""
    try:
        adapter_for(model)
    except FaninError:
        if foreign(model):
            raise
        if not callable(model):
            raise FaninError(
                f"model has type {type(model).__name__}; it must be a torch.nn.Module, a "
                "keras.Layer, a module of Flax or Equinox, or a function without arguments that "
                "makes one."
            ) from None
        if wanted := _find_required(model):
            raise FaninError(
                f"model is a function of {', '.join(wanted)}; one that makes the model takes no "
                "argument: fanin.check(lambda: Net(8), ...). One of parameters and inputs is "
                "checked with its tree of arrays, params=."
            ) from None
        return model  # type: ignore[no-any-return]
    if draws > 1:
        kind = type(model.model if isinstance(model, Functional) else model).__name__
        raise FaninError(
            f"draws is {draws}, and the model is one {kind}: its weights are drawn "
            "already. Pass a function that makes it: fanin.check(lambda: Net(), ...)."
        )
    return None
