"""Evaluate: a program that was followed, on values, each result shown as the node that it is."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, jaxpr_as_fun

from fanin.frameworks.jax.observe._follow import FollowedEquation, FollowedProgram
from fanin.frameworks.jax.record._loops import count_held
from fanin.frameworks.jax.trace._abstract import program_of
from fanin.frameworks.recording._record import TensorEntry

Array = Any
Show = Callable[[TensorEntry, Array], Array]  # gives the value with which the run goes on

# These have a derivative of their own, which their equations do not show.
_OWN_DERIVATIVE = frozenset(("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"))
_LOCAL = frozenset(("shard_map",))  # inside, shapes are those of a device


def evaluate(
    way: FollowedProgram, constants: Sequence[Array], given: Sequence[Array], show: Show
) -> list[Array]:
    """What a program returns, on the way on which it was followed."""
    known: dict[Any, Array] = dict(zip(way.jaxpr.constvars, constants, strict=True))
    known.update(zip(way.jaxpr.invars, given, strict=True))

    def read(variable: Any) -> Array:
        return variable.val if isinstance(variable, Literal) else known[variable]

    for equation, step in zip(way.jaxpr.eqns, way.steps, strict=True):
        values = [read(variable) for variable in equation.invars]
        made = _apply(equation, step, values, show)
        shown = [show(entry, value) for entry, value in zip(step.made, made, strict=True)]
        known.update(zip(equation.outvars, shown, strict=True))
    return [read(variable) for variable in way.jaxpr.outvars]


def _apply(
    equation: JaxprEqn, step: FollowedEquation, values: list[Array], show: Show
) -> list[Array]:
    """The results of an equation; what it ran is shown where it was followed as it runs."""
    name = equation.primitive.name
    if not step.ran or name in _LOCAL:
        return _bind(equation, values)
    if name == "scan":
        return _loop(equation, step, values, show)
    if name == "cond":
        return _branch(equation, step, values, show)
    program = program_of(equation)
    if program is None or len(step.ran) > 1 or step.ran[0].jaxpr is not program.jaxpr:
        return _bind(equation, values)
    if name not in _OWN_DERIVATIVE:
        return evaluate(step.ran[0], program.consts, values, show)
    made = _bind(equation, values)
    # The results first: they are nodes of the program itself, too.
    made = [show(entry, value) for entry, value in zip(step.made, made, strict=True)]
    evaluate(step.ran[0], program.consts, list(map(jax.lax.stop_gradient, values)), show)
    return made


def _bind(equation: JaxprEqn, values: Sequence[Array]) -> list[Array]:
    """The results of an equation, as JAX itself evaluates it."""
    primitive: Any = equation.primitive  # which has no types
    bound = primitive.get_bind_params(equation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # by JAX's version
    made = primitive.bind(*functions, *values, **params)
    return list(made) if primitive.multiple_results else [made]


def _branch(
    equation: JaxprEqn, step: FollowedEquation, values: list[Array], show: Show
) -> list[Array]:
    """The branch that was followed; where all of them were, the one that is taken, not shown."""
    taken = [
        program for program in equation.params["branches"] if program.jaxpr is step.ran[0].jaxpr
    ]
    if len(step.ran) > 1 or not taken:
        return _bind(equation, values)
    return evaluate(step.ran[0], taken[0].consts, values[1:], show)


def _loop(
    equation: JaxprEqn, step: FollowedEquation, values: list[Array], show: Show
) -> list[Array]:
    """A loop, step by step where it was followed, and the rest of it as it is."""
    params = equation.params
    body: ClosedJaxpr = params["jaxpr"]
    if any(way.jaxpr is not body.jaxpr for way in step.ran):
        return _bind(equation, values)
    constants, carried = count_held(params)
    length, count = int(params["length"]), len(step.ran)
    held, carry = values[:constants], values[constants : constants + carried]
    rows = values[constants + carried :]
    places = range(length)[::-1] if params["reverse"] else range(length)
    made: list[list[Array]] = []
    for way, at in zip(step.ran, places, strict=False):
        results = evaluate(way, body.consts, [*held, *carry, *(row[at] for row in rows)], show)
        carry = results[:carried]
        made.append(results[carried:])
    ordered = made[::-1] if params["reverse"] else made
    stacked = [jnp.stack(items) for items in zip(*ordered, strict=True)]
    if count == length:
        return [*carry, *stacked]
    run = jaxpr_as_fun(body)

    def go_on(state: list[Array], row: list[Array]) -> tuple[list[Array], list[Array]]:
        results = run(*held, *state, *row)
        return list(results[:carried]), list(results[carried:])

    span = slice(0, length - count) if params["reverse"] else slice(count, length)
    rest = [row[span] for row in rows]
    carry, behind = jax.lax.scan(
        go_on, list(carry), rest, length=length - count, reverse=params["reverse"]
    )
    pairs = zip(stacked, behind, strict=True)
    joined = [
        jnp.concatenate([late, early] if params["reverse"] else [early, late])
        for early, late in pairs
    ]
    return [*carry, *joined]
