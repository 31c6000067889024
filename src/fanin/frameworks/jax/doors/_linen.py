"""Flax Linen: a module computes, its variables are a tree; new weights are a new tree."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
from flax import linen as nn
from flax.core import meta
from flax.linen.spmd import logical_to_mesh

from fanin._columns import list_names
from fanin.errors import FaninError, one_line, quote
from fanin.frameworks._functional import Functional
from fanin.frameworks.jax._program import Program
from fanin.frameworks.jax.doors._door import program_of
from fanin.frameworks.jax.doors._inputs import CallArguments, arrays_in, split
from fanin.frameworks.jax.tree._computed import find_computed
from fanin.frameworks.jax.tree._held import Held, abstract, is_abstract, is_array, is_real, part_of
from fanin.frameworks.jax.tree._linen import (
    by_convention,
    constant_in,
    find_place_in,
    gate_in,
    list_modules,
)
from fanin.frameworks.jax.write._shards import sharding_of

Path = tuple[str, ...]


class Linen:
    """A module and its variables, or its parameters alone; boxes round arrays stay."""

    library = "flax"
    in_place = False

    def __init__(self, functional: Functional) -> None:
        self._module, self._inputs = functional.model, functional.inputs
        self._known: tuple[object, Callable[..., Any], tuple[Any, ...]] | None = None
        given = self._abstract() if functional.params is None else functional.params
        self._alone = not _has_collections(given)
        paths, self._structure = jax.tree_util.tree_flatten_with_path(given)
        boxes = _boxes(given)
        self._plain = jax.tree_util.tree_structure(_open(given))
        self._paths = [_own_path(path, path[:-1] in boxes, self._alone) for path, _ in paths]
        self.notes: list[str] = []
        self.held = [
            _held(own, leaf, boxes.get(path[:-1]))
            for own, (path, leaf) in zip(self._paths, paths, strict=True)
        ]
        self._place()
        self._note_computed()
        whole = [
            ".".join(item.path)
            for item, (path, _) in zip(self.held, paths, strict=True)
            if _is_spread(boxes.get(path[:-1])) and is_abstract(item.value)
            if item.value.sharding is None
        ]
        if whole:
            self.notes.append(
                f"annotated to be spread over devices, and drawn whole, as no mesh is set: "
                f"{list_names(whole)}. To spread them, call under jax.set_mesh(mesh)."
            )

    def _abstract(self) -> Any:
        """The variables that `init` makes, without values."""
        if self._inputs is None:
            raise FaninError(
                f"{type(self._module).__name__} holds no parameters; pass its variables, "
                "jax.eval_shape(model.init, key, x), or inputs=."
            )
        arrays, filled = split(self._inputs)
        with self._rename_errors("init(key, inputs)"):
            return jax.eval_shape(
                lambda *given: self._init(filled(given), jax.random.key(0)), *arrays
            )

    @contextmanager
    def _rename_errors(self, call: str) -> Iterator[None]:
        """What a call of the module raises, as an error of these inputs."""
        try:
            yield
        except FaninError:
            raise
        except Exception as error:
            raise FaninError(
                f"{type(self._module).__name__} does not run on these inputs: "
                f"{one_line(error, named=True)}. Check that model.{call} runs; variables are all "
                "that init returns, batch statistics too."
            ) from error

    def _init(self, call: CallArguments, key: Any) -> Any:
        """What `init` returns; every kind of random numbers gets the key."""
        arguments, keywords = call
        own = {name: item for name, item in keywords.items() if name not in ("rngs", "mutable")}
        names = {"params", *(keywords.get("rngs") or {})}
        return self._module.init(dict.fromkeys(names, key), *arguments, **own)

    def _place(self) -> None:
        """Roles, from a run where there are inputs, else from Flax's own names."""
        seen = {}
        if self._inputs is not None:
            run, arrays = self._run_on(self._inputs)
            values = [abstract(item.shape, item.value.dtype) for item in self.held]
            with self._rename_errors("apply(variables, inputs)"):
                seen = list_modules(run, values, arrays)
        siblings: dict[Path, set[str]] = {}
        for item in self.held:
            siblings.setdefault(item.path[:-1], set()).add(item.path[-1])
        for item in filter(lambda item: item.trained, self.held):
            path, known = item.path, seen.get(item.path[:-1])
            item.owner = type(self._module if known is None else known.module).__name__
            item.made = constant_in(seen, path)
            item.placed = find_place_in(seen, path, item.shape)
            item.gate = gate_in(seen, path)
            if known is None:
                item.placed = by_convention(path, item.shape, siblings[path[:-1]])

    def _note_computed(self) -> None:
        """Values of abstract parameters of the user's own that `init` computes without chance."""
        own = [
            item.placed is None and item.trained and is_abstract(item.value) for item in self.held
        ]
        if self._inputs is None or not any(own):
            return
        arrays, filled = split(self._inputs)
        paths = [path for path, each in zip(self._paths, own, strict=True) if each]
        items = [item for item, each in zip(self.held, own, strict=True) if each]

        def make(key: Any, *given: Any) -> list[Any]:
            found = meta.unbox(self._init(filled(given), key))
            return [_at(found, path) for path in paths]

        found = find_computed(make, jax.random.key(0), *arrays)
        zeros = [jax.numpy.zeros(item.shape, item.dtype) for item in arrays]
        values = jax.jit(lambda: [make(jax.random.key(0), *zeros)[at] for at in found])()
        for at, value in zip(found, values, strict=True):
            items[at].noted = value

    def _apply(self, values: Sequence[Any], call: CallArguments) -> Any:
        """The outputs; what the run changes in other collections is dropped."""
        arguments, keywords = call
        given = jax.tree_util.tree_unflatten(self._plain, values)
        variables = {"params": given} if self._alone else given
        changed = [name for name in variables if name != "params"]
        own = {"mutable": changed, **keywords} if changed else keywords
        out = self._module.apply(variables, *arguments, **own)
        return arrays_in(out[0] if "mutable" in own else out)

    def program(self, inputs: object, names: Sequence[str]) -> Program:
        """`apply` on the variables and these inputs."""
        run, arrays = self._run_on(inputs)
        return program_of(lambda values, *given: run(values, given), self.held, names, arrays)

    def _run_on(self, inputs: object) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What applies the module, and the arrays among its inputs; JAX traces it once alone."""
        if self._known is None or self._known[0] is not inputs:
            arrays, filled = split(inputs)
            run: Callable[..., Any] = jax.jit(
                lambda values, given: self._apply(values, filled(given))
            )
            self._known = inputs, run, arrays
        return self._known[1:]

    @property
    def tree_names(self) -> Sequence[str]:
        """Collections and names, as `flax.traverse_util.flatten_dict` joins them with dots."""
        return [".".join(path[1:] if self._alone else path) for path in self._paths]

    def start(self, seed: int) -> dict[int, Any]:
        """Collections that have no values, as `init` makes them."""
        lost = [at for at, item in enumerate(self.held) if is_abstract(item.value)]
        lost = [at for at in lost if not self.held[at].trained]
        return dict(zip(lost, self._start(lost, seed), strict=True)) if lost else {}

    def put(self, values: Mapping[int, Any], seed: int) -> Any:
        """A new tree; collections that have no values are those of `init`."""
        started = {at: item.noted for at, item in enumerate(self.held) if item.noted is not None}
        started |= self.start(seed)
        leaves = [values.get(at, started.get(at, item.value)) for at, item in enumerate(self.held)]
        return jax.tree_util.tree_unflatten(self._structure, leaves)

    def _start(self, lost: Sequence[int], seed: int) -> list[Any]:
        """What `init` gives to these variables, which alone are computed."""
        paths = [self._paths[at] for at in lost]
        if self._inputs is None:
            raise FaninError(
                f"{'.'.join(paths[0])} is abstract and no parameter, so that init gives its value: "
                "pass inputs=, what the model is called with, or variables that have one."
            )
        arrays, filled = split(self._inputs)

        def make(key: Any) -> list[Any]:
            zeros = [jax.numpy.zeros(item.shape, item.dtype) for item in arrays]
            found = meta.unbox(self._init(filled(zeros), key))
            return [_at(found, path) for path in paths]

        values = jax.jit(make)(jax.random.key(seed))
        places = [sharding_of(self.held[at].value) for at in lost]
        return [
            value if place is None else jax.device_put(value, place)
            for value, place in zip(values, places, strict=True)
        ]


def _has_collections(tree: Any) -> bool:
    """Whether a tree is that of all variables, with the parameters under "params"."""
    if not isinstance(tree, Mapping):
        raise FaninError(
            f"variables is {quote(tree)}; give what model.init returns, or "
            "jax.eval_shape(model.init, key, x), or its params alone."
        )
    return isinstance(tree.get("params"), Mapping)


def _boxes(tree: Any) -> dict[tuple[Any, ...], Any]:
    """The boxes round arrays, which say how to spread them, by their paths."""
    found = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_is_box)[0]
    return {path: node for path, node in found if _is_box(node)}


def _open(tree: Any) -> Any:
    """The tree with what stands inside its boxes."""
    return jax.tree_util.tree_map(
        lambda node: jax.tree_util.tree_leaves(node)[0] if _is_box(node) else node,
        tree,
        is_leaf=_is_box,
    )


def _is_box(node: Any) -> bool:
    return isinstance(node, meta.AxisMetadata)


def _own_path(path: tuple[Any, ...], boxed: bool, alone: bool) -> Path:
    """Collection and names, without what stands inside a box."""
    parts = tuple(map(part_of, path[:-1] if boxed else path))
    return ("params", *parts) if alone else parts


def _held(path: Path, leaf: Any, box: Any) -> Held:
    collection, *parts = path
    if not is_array(leaf):
        raise FaninError(
            f"variables has {quote(leaf)} at {'.'.join(path)}; its leaves are arrays, abstract "
            "(jax.ShapeDtypeStruct) or not."
        )
    trained = collection == "params" and is_real(leaf)
    value = _spread(leaf, box) if box is not None and is_abstract(leaf) else leaf
    return Held(tuple(parts) if trained else path, value, trained)


def _spread(leaf: Any, box: Any) -> Any:
    """An abstract array with the sharding that its box asks for, where there is a mesh."""
    mesh = getattr(box, "mesh", None) or jax.sharding.get_mesh()
    if leaf.sharding is not None or mesh.empty or not isinstance(box, nn.Partitioned):
        return leaf
    spec = box.get_partition_spec()
    if isinstance(box, nn.LogicallyPartitioned):
        spec = logical_to_mesh(spec, box.rules)
    place = jax.sharding.NamedSharding(mesh, spec)
    return abstract(leaf.shape, leaf.dtype, place)


def _is_spread(box: Any) -> bool:
    return box is not None and any(getattr(box, "names", ()))


def _at(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part] if isinstance(tree, Mapping) else tree[int(part)]
    return tree
