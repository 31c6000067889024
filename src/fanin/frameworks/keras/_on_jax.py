"""Keras on JAX: a model as a function of its variables, which JAX's tracer reads and JAX runs."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import keras

from fanin.frameworks.jax._program import Leaf, Program
from fanin.frameworks.jax.observe._seen import measure as measure_program
from fanin.frameworks.jax.observe._subject import Subject
from fanin.frameworks.jax.trace._trace import trace as trace_program
from fanin.frameworks.jax.tree._held import is_array
from fanin.frameworks.keras._compiled import find_loss
from fanin.frameworks.keras._errors import plain_errors
from fanin.frameworks.keras._inputs import Arguments, call_arguments, refuse_symbolic
from fanin.frameworks.keras._slots import places_of
from fanin.frameworks.keras._walk import buffers, layers_of
from fanin.graph import Graph


def trace(model: Any, arguments: Arguments, rename: Mapping[str, str] | None) -> Graph:
    """The graph of one run on abstract arrays."""
    return trace_program(program_of(model, arguments, rename))


def measure(
    model: Any, arguments: Arguments, graph: Graph, rename: Mapping[str, str] | None
) -> Graph:
    """The graph of `trace` with the mean squares of its nodes, of one run in train mode."""
    return measure_program(program_of(model, arguments, rename), graph)


def symbolic(tensor: keras.KerasTensor) -> jax.ShapeDtypeStruct:
    """The shape and type of a KerasTensor, as JAX says it."""
    return jax.ShapeDtypeStruct(tensor.shape, tensor.dtype)  # type: ignore[no-untyped-call]


def subject(model: Any) -> Subject:
    """A model that a checkup runs, in train mode; whatever it changes then stays in the run."""
    read = partial(call_arguments, model, symbolic=refuse_symbolic)
    return Subject(
        model,
        list(_leaves(model, None).values()),
        lambda inputs: program_of(model, read(inputs), None),
        "fanin.initialize(model, seed=0, inputs=x)",
        read=read,
        framework=f"keras {keras.__version__} on jax {jax.__version__}",
        loss=find_loss(model),
    )


def program_of(model: Any, arguments: Arguments, rename: Mapping[str, str] | None) -> Program:
    """A run of the model in train mode, in which dropout shows, as a function of its variables."""
    leaves = _leaves(model, rename)
    items, structure = jax.tree_util.tree_flatten(arguments)
    vary = [is_array(item) for item in items]
    variables = [*model.trainable_variables, *model.non_trainable_variables]

    def run(values: Sequence[Any], *arrays: Any) -> Any:
        given = iter(arrays)
        filled = [next(given) if each else item for each, item in zip(vary, items, strict=True)]
        args, kwargs = jax.tree_util.tree_unflatten(structure, filled)
        held = dict(zip(leaves, values, strict=True))
        mapping = [(variable, held[id(variable)]) for variable in variables]
        # Not by stateless_call, which wants a model that takes `training`; layers are in train mode
        # below one that does not, too.
        with keras.StatelessScope(state_mapping=mapping), plain_errors():
            return model(*args, **{"training": True, **kwargs})

    inputs = tuple(item for item, each in zip(items, vary, strict=True) if each)
    return Program(run, tuple(leaves.values()), inputs)


def _leaves(model: Any, rename: Mapping[str, str] | None) -> dict[int, Leaf]:
    """Every variable by its id: trained ones under their names, then states."""
    layers = layers_of(model)
    paths = {id(layer): path for path, layer in layers.items()}
    found: dict[int, Leaf] = {}
    for name, (variable, places) in places_of(model, rename).items():
        path = paths[id(places[0].layer)]
        found[id(variable)] = Leaf(name, variable.value, trained=True, module=path)
    for places in buffers(layers).values():
        name, layer, _, variable = places[0]
        found[id(variable)] = Leaf(name, variable.value, trained=False, module=paths[id(layer)])
    for at, variable in enumerate(model.variables):  # states of random generators
        if id(variable) not in found:
            found[id(variable)] = Leaf(f"state.{at}", variable.value, trained=False, module="")
    return found
