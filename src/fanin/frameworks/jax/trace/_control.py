"""Control: loops over layers and steps, branches, and what no program shows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn

from fanin.frameworks.jax.operations._lax import refuse_weights
from fanin.frameworks.jax.record._call import AbstractArray
from fanin.frameworks.jax.record._loops import count_held
from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.jax.trace._abstract import abstract_of
from fanin.frameworks.jax.trace._recurrent import add_recurrent, find_cell
from fanin.frameworks.recording._formula import ParameterFormula
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor

_FEW = 8  # steps of a loop over what an input has, that are followed
_MANY = 512  # of one that counts: over layers, say


class EquationRunner(Protocol):
    """A run, as far as control needs it."""

    recorder: Recorder

    def on(self, recorder: Recorder) -> "EquationRunner":
        """The same on another record."""

    def run_program(self, program: ClosedJaxpr, given: Sequence[TensorEntry]) -> list[TensorEntry]:
        """What a program returns."""


def scan(run: EquationRunner, equation: JaxprEqn, entries: list[TensorEntry]) -> list[TensorEntry]:
    """A loop: over layers whose weights are stacked, all of them; over steps, a few.

    Steps of a recurrent cell are one node; of those that know nothing of each other, one is run.
    """
    params = equation.params
    constants, carried = count_held(params)
    held, carry = entries[:constants], entries[constants : constants + carried]
    rows = entries[constants + carried :]
    length = int(params["length"])
    layers = any(isinstance(entry, ParameterTensor) for entry in rows)
    ins = [abstract_of(variable) for variable in equation.invars[constants:]]
    outs = [abstract_of(variable) for variable in equation.outvars]
    if not layers:
        body = partial(_step, run, params["jaxpr"])
        cell = find_cell(body, held, ins[:carried], ins[carried:], run.recorder)
        if cell is not None:
            given = [*rows, *carry]
            return add_recurrent(run.recorder, cell, given, outs[:carried], outs[carried:])
    over_steps = any(
        isinstance(entry, ActivationTensor) and shaped.is_real
        for entry, shaped in zip(rows, ins[carried:], strict=True)
    )
    most = length if layers else _FEW if over_steps else _MANY
    count = min(length, most) if carried or layers else 1
    steps = [*range(length)][::-1] if params["reverse"] else [*range(length)]
    made: list[list[TensorEntry]] = []
    for step in steps[:count]:
        given = [
            pick_row(run.recorder, entry, shaped, step)
            for entry, shaped in zip(rows, ins[carried:], strict=True)
        ]
        results = run.run_program(params["jaxpr"], [*held, *carry, *given])
        carry = results[:carried]
        made.append(results[carried:])
    if params["reverse"]:
        made = made[::-1]
    join = _stack if carried or layers else _repeat
    stacked = [
        join(run.recorder, [row[at] for row in made], shaped)
        for at, shaped in enumerate(outs[carried:])
    ]
    return [*carry, *stacked]


def _step(
    run: EquationRunner, program: ClosedJaxpr, recorder: Recorder, given: Sequence[TensorEntry]
) -> list[TensorEntry]:
    """One step on another record."""
    return run.on(recorder).run_program(program, given)


def pick_row(recorder: Recorder, entry: TensorEntry, shaped: AbstractArray, at: int) -> TensorEntry:
    """One position of the first dimension."""
    if isinstance(entry, ConstantTensor):
        value = None if entry.value is None else np.asarray(entry.value)[at]
        return replace(entry, value=value)
    if isinstance(entry, ParameterTensor):
        picked = entry.pick(0, at)
        parts = [
            replace(part, formula=part.formula and _row_of(part.formula, at))
            for part in picked.parts
        ]
        return ParameterTensor(tuple(parts))
    made: ActivationTensor = recorder.emit("view", [entry], shaped.shape[1:], label="select")
    layout = recorder.layout_of(entry.node)
    if layout is not None and not any(atom.axis == layout.features for atom in layout.dims[0]):
        recorder.layouts[made.node] = replace(layout, dims=layout.dims[1:])
    if entry.node in recorder.integers:
        recorder.integers.add(made.node)
    value = None if entry.value is None else np.asarray(entry.value)[at]
    return ActivationTensor(made.node, value)


def _row_of(formula: ParameterFormula, at: int) -> ParameterFormula:
    return ParameterFormula(run=partial(np.take, indices=at, axis=0), args=(formula,), kind="view")


def _stack(recorder: Recorder, rows: Sequence[TensorEntry], shaped: AbstractArray) -> TensorEntry:
    """What steps gave, one behind another."""
    if not rows or all(isinstance(row, ConstantTensor) for row in rows):
        return ConstantTensor()
    nodes = [recorder.activation(row, shaped.shape[1:]) for row in rows]
    made: ActivationTensor = recorder.emit("concat", nodes, shaped.shape, label="stack")
    if not shaped.is_real:
        recorder.integers.add(made.node)
    return made


def _repeat(recorder: Recorder, rows: Sequence[TensorEntry], shaped: AbstractArray) -> TensorEntry:
    """What every step gives, where steps know nothing of each other: that of the first, for all."""
    if not rows or isinstance(rows[0], ConstantTensor):
        return ConstantTensor()
    row = recorder.activation(rows[0], shaped.shape[1:])
    made = recorder.emit("view", [row], shaped.shape, label="map")
    if not shaped.is_real:
        recorder.integers.add(made.node)
    return made


def branch(
    run: EquationRunner, equation: JaxprEqn, entries: list[TensorEntry]
) -> list[TensorEntry]:
    """cond and switch: the branch that is taken where that is known, else all of them."""
    which, *given = entries
    branches = equation.params["branches"]
    known = which.value if isinstance(which, (ConstantTensor, ActivationTensor)) else None
    if known is not None:
        at = min(max(int(known), 0), len(branches) - 1)
        return run.run_program(branches[at], given)
    made = [run.run_program(program, given) for program in branches]
    outs = [abstract_of(variable) for variable in equation.outvars]
    return [
        _join(run.recorder, [row[at] for row in made], shaped) for at, shaped in enumerate(outs)
    ]


def _join(recorder: Recorder, entries: Sequence[TensorEntry], shaped: AbstractArray) -> TensorEntry:
    """What either branch gives; where both give one weight, it is as it acts behind functions."""
    weights = [entry.parts for entry in entries if isinstance(entry, ParameterTensor)]
    if len(weights) == len(entries) and len({tuple(p.name for p in its) for its in weights}) == 1:
        return ParameterTensor(max(weights, key=lambda its: sum(len(p.through) for p in its)))
    real = [entry for entry in entries if not isinstance(entry, ConstantTensor)]
    if not real:
        return ConstantTensor()
    nodes = list(dict.fromkeys(recorder.activation(entry, shaped.shape) for entry in real))
    if len(nodes) == 1 and len(real) == len(entries):
        return nodes[0]
    label = "where" if len(nodes) > 1 else "mask"
    op: Any = "concat" if len(nodes) > 1 else "view"
    made: ActivationTensor = recorder.emit(op, nodes, shaped.shape, label=label)
    return made


def repeat(
    run: EquationRunner, equation: JaxprEqn, entries: list[TensorEntry]
) -> list[TensorEntry]:
    """while: how often it runs is not known, and so it is not followed."""
    refuse_weights(entries, "while loop")
    active = [entry for entry in entries if isinstance(entry, ActivationTensor)]
    made: list[TensorEntry] = []
    for variable in equation.outvars:
        shaped = abstract_of(variable)
        if not active:
            made.append(ConstantTensor())
            continue
        label = "unknown: while" if shaped.is_real else "integers"
        node: ActivationTensor = run.recorder.emit("view", active[:1], shaped.shape, label=label)
        made.append(node)
    return made


Control = Callable[[Any, JaxprEqn, list[TensorEntry]], list[TensorEntry]]

CONTROL: dict[str, Control] = {"scan": scan, "cond": branch, "while": repeat}
