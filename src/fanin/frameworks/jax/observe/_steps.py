"""Steps: what an optimizer's first steps do to copies of a program's values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fanin.errors import FaninError, an, one_line
from fanin.frameworks._first_steps import OPTIMIZERS, FirstSteps, Sharpness, StepsAsked
from fanin.frameworks._observation import Observation
from fanin.frameworks.jax._program import Program
from fanin.frameworks.observing._lanczos import find_largest

Arrays = list[Any]


class _Optimizer(NamedTuple):
    """As optax has it: a state of the parameters, and changes of them from their gradients."""

    init: Callable[[Arrays], Any]
    update: Callable[[Arrays, Any, Arrays], tuple[Arrays, Any]]


def take_steps(
    program: Program,
    trained: Sequence[int],
    loss: Callable[[Any], Any],
    asked: StepsAsked,
    look: Callable[[Program], Observation],
) -> FirstSteps:
    """Train these of a program's values on its inputs, and look at what they are then."""
    optimizer, described, rate = _make_optimizer(asked)

    def value_of(values: Arrays) -> Any:
        whole = list(program.values)
        for at, value in zip(trained, values, strict=True):
            whole[at] = value
        return loss(program.function(whole, *program.inputs))

    values = [program.leaves[at].value for at in trained]
    both = jax.jit(jax.value_and_grad(value_of))
    sharpness = None
    if asked.optimizer == "sgd":
        found = _find_sharpness(value_of, values)
        if found is not None and found[0] > 0:
            sharpness = Sharpness(*found, 2 / found[0])
    state = _apply(optimizer.init, values)
    names, sizes = [program.leaves[at].name for at in trained], [_norm(item) for item in values]
    losses, whole = list[float](), True
    moved: dict[str, tuple[float, ...]] = {
        name: () for name, size in zip(names, sizes, strict=True) if size > 0
    }
    for _ in range(asked.steps):
        value, gradients = both(values)
        losses.append(float(value))
        if not all(bool(jnp.isfinite(item).all()) for item in (value, *gradients)):
            whole = False
            break
        updates, state = _apply(optimizer.update, gradients, state, values)
        new = [item + change for item, change in zip(values, updates, strict=True)]
        for name, size, old, now in zip(names, sizes, values, new, strict=True):
            if name in moved:
                moved[name] = *moved[name], _norm(now - old) / size
        values = new
    leaves = list(program.leaves)
    for at, value in zip(trained, values, strict=True):
        leaves[at] = replace(leaves[at], value=value)
    after = look(replace(program, leaves=tuple(leaves)))
    if whole and after.loss is not None:
        losses.append(after.loss)
    return FirstSteps(
        described,
        rate,
        tuple(losses),
        moved,
        after,
        whole,
        sharpness,
    )


def _norm(values: Any) -> float:
    return float(jnp.linalg.norm(jnp.ravel(values)))


def _apply(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise FaninError(
            f"the optimizer cannot take a step here: {one_line(error, named=True)}. It is given "
            "the parameters as a list of arrays."
        ) from error


def _make_optimizer(asked: StepsAsked) -> tuple[_Optimizer, str, float | None]:
    """The optimizer, its description and its rate, as far as that is known."""
    own = asked.optimizer
    if isinstance(own, str):
        rate = OPTIMIZERS[own] if asked.lr is None else asked.lr
        made = _sgd(rate) if own == "sgd" else _adam(rate, 0.01 if own == "adamw" else 0.0)
        return made, f"{own}, lr {rate:g}", rate
    return _take_own(own), type(own).__name__, None


def _take_own(own: Any) -> _Optimizer:
    if not (callable(getattr(own, "init", None)) and callable(getattr(own, "update", None))):
        raise FaninError(
            f"optimizer is {an(type(own).__name__)}; it is {', '.join(map(repr, OPTIMIZERS))} or "
            "one of optax: optax.adam(1e-3), say."
        )
    return _Optimizer(own.init, own.update)


def is_sgd(optimizer: object) -> bool | None:
    """Whether an optimizer's first step is twice as long for twice the gradient.

    An object of optax does not say what it does. Asked is a small gradient, which nothing clips,
    at zero, where nothing decays; None of one that takes no such parameters.
    """
    if isinstance(optimizer, str):
        return optimizer == "sgd"
    own, zero = _take_own(optimizer), [jnp.zeros(2)]
    try:
        steps = [
            own.update([jnp.full(2, size)], own.init(zero), zero)[0][0] for size in (1e-3, 2e-3)
        ]
        first, second = (_norm(step) for step in steps)
    except Exception:  # of other trees of parameters alone
        return None
    return math.isclose(second, 2 * first, rel_tol=1e-3) if first > 0 else None


def _sgd(rate: float) -> _Optimizer:
    return _Optimizer(
        lambda values: None,
        lambda gradients, state, values: ([-rate * item for item in gradients], None),
    )


def _adam(rate: float, decay: float) -> _Optimizer:
    """Kingma & Ba 2015, algorithm 1; with decay Loshchilov & Hutter 2019, algorithm 2."""

    def init(values: Arrays) -> Any:
        zeros = [jnp.zeros_like(value) for value in values]
        return 0, zeros, zeros

    def update(gradients: Arrays, state: Any, values: Arrays) -> tuple[Arrays, Any]:
        count, means, squares = state
        count += 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, gradients, strict=True)]
        squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, gradients, strict=True)]
        grown, spread = 1 - 0.9**count, 1 - 0.999**count
        changes = [
            -rate * (m / grown / (jnp.sqrt(v / spread) + 1e-8) + decay * value)
            for m, v, value in zip(means, squares, values, strict=True)
        ]
        return changes, (count, means, squares)

    return _Optimizer(init, update)


def _find_sharpness(
    value_of: Callable[[Arrays], Any], values: Arrays
) -> tuple[float, float] | None:
    sizes = np.cumsum([value.size for value in values])[:-1]
    slope = jax.grad(value_of)

    def split(vector: Any) -> Arrays:
        return [
            jnp.reshape(part, value.shape).astype(value.dtype)
            for part, value in zip(jnp.split(vector, sizes), values, strict=True)
        ]

    def product(vector: Any) -> Any:
        _, made = jax.jvp(slope, (values,), (split(vector),))
        return jnp.concatenate([jnp.ravel(part) for part in made])

    drawn = np.random.default_rng(0).standard_normal(sum(value.size for value in values))
    start = jnp.asarray(drawn, jnp.float32)
    try:
        return find_largest(jax.jit(product), start, lambda a, b: float(jnp.vdot(a, b)))
    except (TypeError, NotImplementedError):  # of a function with a derivative of its own alone
        return None
