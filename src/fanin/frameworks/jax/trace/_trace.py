"""Trace: a program, as JAX writes it down, as a graph of what it does with its parameters."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from fanin.errors import FaninError, one_line
from fanin.frameworks.jax._program import Leaf, Program
from fanin.frameworks.jax.record._record import Recorder, State
from fanin.frameworks.jax.trace._abstract import abstract_of, read_value
from fanin.frameworks.jax.trace._order import put_features_first
from fanin.frameworks.jax.trace._run import ProgramRun
from fanin.frameworks.recording._finish import finish
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._weights import whole
from fanin.graph import Graph, NoGraphError

# What JAX raises where Python asks for a value that a traced program does not have.
_UNREADABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def trace(program: Program) -> Graph:
    """The operations that a program runs, without memory and arithmetic.

    JAX traces it on shapes alone; parameters are known by their position among its arguments.
    Integers and masks among the inputs are read, other values are not. Raises FaninError where
    the program does not run on these inputs, NoGraphError where it runs and what it does with its
    parameters is not shown: inside a while loop, say.
    """
    followed = follow(program, ProgramRun)
    names = [leaf.name for leaf in program.leaves if leaf.trained]
    put_features_first(followed.recorder)
    return finish(followed.recorder, followed.outputs, names)


class Followed(NamedTuple):
    """A program as JAX writes it down, and what was recorded of it."""

    closed: ClosedJaxpr
    structure: Any  # the tree of what it returns
    recorder: Recorder
    run: ProgramRun
    given: list[TensorEntry]  # its arguments
    results: list[TensorEntry]  # what it returns
    outputs: list[int]  # the nodes of it


def follow(program: Program, kind: type[ProgramRun]) -> Followed:
    """Every operation of a program, in order, by a run of this kind; raises as `trace` does."""
    closed, structure = _write_down(program)
    recorder = Recorder({leaf.name: leaf.module for leaf in program.leaves})
    given = [_entry(recorder, leaf) for leaf in program.leaves]
    arrays = jax.tree_util.tree_leaves(program.inputs)
    variables = closed.jaxpr.invars[len(given) :]
    given += [_add_input(recorder, *pair) for pair in zip(arrays, variables, strict=True)]
    modules = {leaf.module for leaf in program.leaves}
    modules |= {path.rpartition(".")[0] for path in modules}
    held = [_hold(value, f"constant {at}") for at, value in enumerate(closed.consts)]
    run = kind(recorder, modules - {""})
    results = run.run(closed.jaxpr, held, given)
    outputs = _find_outputs(recorder, closed, results)
    return Followed(closed, structure, recorder, run, given, results, outputs)


def _write_down(program: Program) -> tuple[ClosedJaxpr, Any]:
    """The program of a run on shapes, and the tree of what it returns.

    What arrays are used for is the same wherever they lie, and JAX refuses operations on arrays
    of explicit meshes that do not say where their result is to be. But a program may be written
    for such arrays alone.
    """
    try:
        try:
            return _write(program, placed=False)
        except FaninError:
            raise
        except Exception:
            if not _is_placed(program):
                raise
            return _write(program, placed=True)
    except FaninError:
        raise
    except _UNREADABLE as error:
        raise NoGraphError(
            f"the model asks for what a run without values does not have "
            f"({one_line(error, named=True)})."
        ) from error
    except Exception as error:
        raise FaninError(
            f"the model does not run on these inputs: {one_line(error, named=True)}. Check that "
            "model(inputs) runs, or leave inputs out: then layers of a library say what their "
            "parameters are."
        ) from error


def _write(program: Program, *, placed: bool) -> tuple[ClosedJaxpr, Any]:
    values = [_abstract(leaf.value, placed) for leaf in program.leaves]
    inputs = jax.tree_util.tree_map(lambda value: _abstract(value, placed), program.inputs)
    closed, shapes = jax.make_jaxpr(program.function, return_shape=True)(values, *inputs)
    return closed, jax.tree_util.tree_structure(shapes)


def _is_placed(program: Program) -> bool:
    """Whether any array is on a mesh."""
    held = [leaf.value for leaf in program.leaves]
    return any(map(_mesh_sharding, [*held, *jax.tree_util.tree_leaves(program.inputs)]))


def _mesh_sharding(value: Any) -> Any:
    sharding = getattr(value, "sharding", None)
    return sharding if isinstance(sharding, jax.sharding.NamedSharding) else None


def _abstract(value: Any, placed: bool) -> Any:
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return value
    made: Any = jax.ShapeDtypeStruct  # which has no types
    dtype = value.dtype
    if isinstance(dtype, np.dtype):  # as JAX reads NumPy's: int64 as int32
        dtype = jax.dtypes.canonicalize_dtype(dtype)
    return made(value.shape, dtype, sharding=_mesh_sharding(value) if placed else None)


def _entry(recorder: Recorder, leaf: Leaf) -> TensorEntry:
    """A parameter as a weight; anything else that a model holds as a constant of it."""
    shape = tuple(int(size) for size in leaf.value.shape)
    if leaf.trained:
        recorder.shapes[leaf.name] = shape
        return whole(leaf.name, shape)
    return _hold(leaf.value, leaf.name)


def _hold(value: Any, name: str) -> State:
    """What a model holds beside its parameters, which may be a running statistic."""
    return State(read_value(value), name=name, leaf=name)


def _add_input(recorder: Recorder, array: Any, variable: Any) -> TensorEntry:
    """An input as a node; the values of integers, and of a matrix that says who is whose."""
    shaped = abstract_of(variable)
    label = "" if shaped.is_real else "integers"
    made: ActivationTensor = recorder.emit("input", (), shaped.shape, label=label)
    value = read_value(array)
    if not shaped.is_real:
        recorder.integers.add(made.node)
    elif value is not None and not _is_adjacency(value):
        value = None
    return ActivationTensor(made.node, value)


def _is_adjacency(value: Any) -> bool:
    """Whether an input says which of its rows are neighbours: it mixes positions, as given."""
    if value.ndim not in (2, 3) or not 1 < value.shape[-1] == value.shape[-2]:
        return False
    if np.iscomplexobj(value) or bool((value < 0).any()):
        return False
    return bool((value > 0).any()) and bool((value == 0).any())


def _find_outputs(recorder: Recorder, closed: ClosedJaxpr, results: list[TensorEntry]) -> list[int]:
    """The nodes of what the program returned; integers only where there is nothing else."""
    pairs = list(zip(results, map(abstract_of, closed.jaxpr.outvars), strict=True))
    real = [pair for pair in pairs if pair[1].is_real]
    nodes = [recorder.activation(entry, shaped.shape).node for entry, shaped in real or pairs]
    if not nodes:
        raise FaninError(
            "the model returned no array; trace a model that returns arrays, in any tree."
        )
    return list(dict.fromkeys(nodes))
