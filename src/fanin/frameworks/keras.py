"""Keras 3: a fanin initializer as the keras.initializers.Initializer that layers take."""

from typing import Any

import keras

from fanin import initializers
from fanin.errors import FaninError, shown
from fanin.frameworks._layout import parse_kernel_axes
from fanin.initializers import Initializer
from fanin.streams import Stream, check_shape


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
            raise FaninError(f"axes is {shown(axes)}; give roles as text, such as 'kh kw in out'.")
        self.init = initializers.get(init)
        self.stream = Stream(seed, name)
        self.axes = axes
        self.groups = groups

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The values of a kernel of this shape; None is keras.config.floatx()."""
        sizes = check_shape(shape)
        encoding = keras.backend.standardize_dtype(dtype)
        values = self.init(
            sizes,
            seed=self.stream.seed,
            name=self.stream.name,
            dtype=encoding,
            axes=parse_kernel_axes(self.axes, sizes, self.groups),
        )
        return keras.ops.convert_to_tensor(values, dtype=encoding)

    def get_config(self) -> dict[str, Any]:
        """What makes the same initializer again."""
        return {
            "init": self.init._expression(),
            "seed": self.stream.seed,
            "name": self.stream.name,
            "axes": self.axes,
            "groups": self.groups,
        }


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
    set of values, so give every layer its own.

    Args: `init`, an initializer, its name or its expression; `axes`, the roles in stored order,
    None for Keras's kernels, "kernel ... in out" (a table is "stack out", a depthwise kernel
    "kh kw stack out"); `groups` of a convolution. Raises FaninError for what it cannot read.
    """
    return KernelInitializer(init, seed, name, axes, groups)
