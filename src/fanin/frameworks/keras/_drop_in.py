"""Keras 3: a fanin initializer as the keras.initializers.Initializer that layers take."""

from typing import Any

import keras
from keras.src.backend.common.name_scope import current_path

from fanin import initializers
from fanin._arguments import check_shape
from fanin.errors import FaninError, quote, warn
from fanin.frameworks._arrays import Source, by_parts
from fanin.frameworks._layout import parse_kernel_axes
from fanin.initializers import Initializer
from fanin.streams import Array, Stream

__all__ = ["KernelInitializer", "initializer"]

KernelUse = tuple[str, tuple[int, ...]]  # the path of a layer and the shape of a kernel

# Keras has no public way to ask which layer is being built (`current_path`).
# The layers inside one layer that a stream was used in, by stream and outer layer: layers such as
# MultiHeadAttention make copies of an initializer.
_inside: dict[tuple[int, str, str], set[KernelUse]] = {}


@keras.saving.register_keras_serializable(package="fanin", name="Initializer")
class KernelInitializer(keras.initializers.Initializer):  # type: ignore[misc]
    """What `initializer` makes; saved with a model as the expression that makes it."""

    def __init__(
        self,
        init: str | Initializer,
        seed: int,
        name: str,
        axes: str | None = None,
        groups: int = 1,
    ) -> None:
        if axes is not None and not isinstance(axes, str):
            raise FaninError(f"axes is {quote(axes)}; give roles as text, such as 'kh kw in out'.")
        self.init = initializers.get(init)
        self.stream = Stream(seed, name)
        self.axes = axes
        self.groups = groups
        self._uses: set[KernelUse] = set()

    def __call__(self, shape: Any, dtype: Any = None, layout: Any = None) -> Any:
        """The values of a kernel of this shape; None is keras.config.floatx().

        `layout` is where JAX is to have them: each device gets its own part, drawn alone. Keras
        gives it to initializers that take it, and compiles the draw of others as one constant.
        """
        sizes = check_shape(shape)
        encoding = keras.backend.standardize_dtype(dtype)
        self._note(current_path() or "", sizes)
        axes = parse_kernel_axes(self.axes, sizes, self.groups)

        def draw(index: Any) -> Array:
            how: dict[str, Any] = {"dtype": encoding, "axes": axes, "index": index}
            return self.init(sizes, seed=self.stream.seed, name=self.stream.name, **how)

        if layout is None:
            return keras.ops.convert_to_tensor(draw((...,)), dtype=encoding)
        return _spread(sizes, layout, by_parts(self.init, draw), encoding)

    def _note(self, path: str, shape: tuple[int, ...]) -> None:
        """Warn where a second kernel gets the numbers of a first one."""
        layer, _, inner = path.partition("/")
        key = (self.stream.seed, self.stream.name, layer)
        known = self._uses | (_inside.get(key, set()) if inner else set())
        use = (path, shape)
        if layer and known and use not in known:
            others = ", ".join(sorted({item for item, _ in known}))
            warn(
                f"the initializer of seed {self.stream.seed} and name {self.stream.name!r} is used "
                f"in {path} of shape {shape} and in {others}: "
                "they get the same numbers. Give every kernel an initializer with a name of its "
                "own; layers that make several kernels of one, such as MultiHeadAttention, can be "
                "assigned theirs after they are built."
            )
        if layer:
            self._uses.add(use)
            _inside.setdefault(key, set()).add(use)

    def get_config(self) -> dict[str, Any]:
        """What makes the same initializer again."""
        return {
            "init": self.init._expression(),
            "seed": self.stream.seed,
            "name": self.stream.name,
            "axes": self.axes,
            "groups": self.groups,
        }


def _spread(shape: tuple[int, ...], layout: Any, source: Source, dtype: str) -> Any:
    """An array of JAX over the devices of a layout; Keras names an abstract mesh of them."""
    import jax

    layout = getattr(layout, "backend_layout", layout)
    mesh = jax.sharding.get_mesh()
    if isinstance(layout.mesh, jax.sharding.AbstractMesh) and not mesh.empty:
        layout = jax.sharding.NamedSharding(mesh, layout.spec)
    return jax.make_array_from_callback(shape, layout, source, dtype=dtype)


def initializer(
    init: str | Initializer,
    seed: int = 0,
    *,
    name: str,
    axes: str | None = None,
    groups: int = 1,
) -> KernelInitializer:
    """A Keras initializer that draws fanin's values for this seed and name.

    They are those of the torch weight of the same name, transposed. Keras calls a kernel
    "kernel", torch calls it "weight": the same name is the user's to give. One name makes one
    set of values, so give every layer its own: a FaninWarning names layers that share one.

    Args: `init`, an initializer, its name or its expression; `axes`, the roles in stored order,
    None for Keras's kernels, "kernel ... in out" (a table is "stack out", a depthwise kernel
    "kh kw stack out"); `groups` of a convolution. Raises FaninError for what it cannot read.
    """
    return KernelInitializer(init, seed, name, axes, groups)
