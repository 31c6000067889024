"""Functions: programs that are one function element by element, under the name they have."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from fanin.frameworks.jax.operations._labels import name_function, recognize
from fanin.frameworks.jax.operations._masks import note_function, real_of
from fanin.frameworks.jax.record._call import AbstractArray, Call
from fanin.frameworks.jax.record._exact import restore
from fanin.frameworks.jax.record._record import Recorder, ValuesFunction
from fanin.frameworks.jax.record._values import is_pointwise, run
from fanin.frameworks.jax.trace._abstract import program_of
from fanin.frameworks.recording._formula import ParameterFormula
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, Noise, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Values

# Random numbers of jax.random, by the functions that make them.
_NOISES = {
    "_normal": "normal",
    "_normal_real": "normal",
    "_truncated_normal": "normal",
    "_uniform": "uniform",
    "_bernoulli": "bernoulli",
}


def draw(recorder: Recorder, name: str, entries: Sequence[TensorEntry]) -> ConstantTensor | None:
    """Random numbers of a kind, whose key may be an input; None for another function."""
    given = [entry for entry in entries if not _is_integral(recorder, entry)]
    constants = [entry for entry in given if isinstance(entry, ConstantTensor)]
    if name not in _NOISES or len(constants) < len(given):
        return None
    flat = [np.ravel(entry.value) for entry in constants if entry.value is not None]
    numbers = [_shortest(item[0]) for item in flat if len(item) and (item == item[0]).all()]
    kind = _NOISES[name]
    if kind == "normal":
        return ConstantTensor(noise=Noise(kind, 0.0))
    if kind == "uniform":
        unit = len(numbers) == 2 and numbers[1] - numbers[0] == 1
        return ConstantTensor(noise=Noise(kind, numbers[0])) if unit else ConstantTensor()
    return (
        ConstantTensor(noise=Noise(kind, 1 - numbers[0])) if len(numbers) == 1 else ConstantTensor()
    )


def _is_integral(recorder: Recorder, entry: TensorEntry) -> bool:
    return isinstance(entry, ActivationTensor) and entry.node in recorder.integers


def _shortest(number: Any) -> float:
    """The decimal number that a program's float32 stands for."""
    return float(str(number))


def call_function(
    recorder: Recorder,
    program: ClosedJaxpr,
    name: str,
    entries: list[TensorEntry],
    ins: list[AbstractArray],
    outs: list[AbstractArray],
) -> ActivationTensor | ParameterTensor | None:
    """What a function of one argument makes, element by element; None for another program."""
    call = Call(name, {}, entries, ins, outs, recorder)
    real = real_of(call)
    if len(real) != 1 or len(outs) != 1 or name.startswith(("_", "<")):
        return None
    (at,) = real
    if outs[0] != ins[at] or not ins[at].is_real or not is_elementwise(program):
        return None
    numbers = [call.number(other) for other in range(len(entries)) if other != at]
    source = entries[at]
    if isinstance(source, ParameterTensor):
        return None if None in numbers else _apply_to_weight(program, name, at, source, numbers)
    assert isinstance(source, ActivationTensor)
    followed = (recorder.statistics, recorder.masks, recorder.integers, recorder.maxima)
    if None in numbers or any(source.node in notes for notes in followed):
        return None
    fn, label = _name(program, name, at, numbers, ins[at].few)
    made = recorder.emit("pointwise", [source], outs[0].shape, fn=fn, label=label)
    return note_function(call, made, [source], fn)


def _name(
    program: ClosedJaxpr, name: str, at: int, numbers: Sequence[float | None], few: bool = False
) -> tuple[ValuesFunction, str]:
    """A program as a function of one argument, and what people call it."""
    given = [number for number in numbers if number is not None]
    fn = function_of(program, at, given)
    return recognize(fn, name_function(name, given), few)


def _apply_to_weight(
    program: ClosedJaxpr,
    name: str,
    at: int,
    weight: ParameterTensor,
    numbers: Sequence[float | None],
) -> ParameterTensor:
    """A weight that goes through a function that has a name."""
    fn, label = _name(program, name, at, numbers)
    made = weight.through(label)
    formulas = [
        part.formula and ParameterFormula(run=fn, args=(part.formula,), kind="pointwise")
        for part in weight.parts
    ]
    pairs = zip(made.parts, formulas, strict=True)
    return ParameterTensor(tuple(replace(part, formula=formula) for part, formula in pairs))


def is_elementwise(program: ClosedJaxpr) -> bool:
    """Whether every equation of a program is a function element by element."""
    for equation in program.jaxpr.eqns:
        inner = program_of(equation)
        scalar = equation.primitive.name == "broadcast_in_dim" and not equation.invars[0].aval.shape
        if inner is not None and equation.primitive.name not in ("scan", "while", "shard_map"):
            if not is_elementwise(inner):
                return False
        elif not scalar and not is_pointwise(equation.primitive.name):
            return False
    return True


def function_of(
    program: ClosedJaxpr, place: int, numbers: Sequence[float]
) -> Callable[[Values], Values]:
    """A program as a function of its argument at `place`, the other ones being numbers."""

    def function(x: Values) -> Values:
        given: list[Any] = [np.asarray(number, np.float64) for number in numbers]
        given.insert(place, np.asarray(x, np.float64))
        with np.errstate(all="ignore"):
            (made,) = evaluate(program, given)
        return np.asarray(made).astype(np.float64)

    return function


def evaluate(program: ClosedJaxpr, given: Sequence[Any]) -> list[Any]:
    """A program of functions element by element on arrays of any one shape."""
    known: dict[Any, Any] = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    known.update(zip(program.jaxpr.invars, given, strict=True))

    def read(variable: Any) -> Any:
        return restore(variable.val) if isinstance(variable, Literal) else known[variable]

    for equation in program.jaxpr.eqns:
        arrays = [read(variable) for variable in equation.invars]
        inner = program_of(equation)
        if inner is not None:
            made = evaluate(inner, arrays)
        elif equation.primitive.name == "broadcast_in_dim":
            made = arrays[:1]
        else:
            made = [run(equation.primitive.name, equation.params, *arrays)]
        known.update(zip(equation.outvars, made, strict=True))
    return [read(variable) for variable in program.jaxpr.outvars]
