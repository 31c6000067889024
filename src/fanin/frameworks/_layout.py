"""The layout of JAX and Keras: kernel axes, then `in`, then `out`."""

from fanin.axes import Axes, parse_axes

Roles = str | Axes | None


def parse_kernel_axes(axes: Roles, shape: tuple[int, ...], groups: int) -> Axes:
    """The axes of a kernel; None means "kernel ... in out", and no roles below two axes."""
    if axes is None and len(shape) >= 2:
        axes = Axes((*("kernel",) * (len(shape) - 2), "in", "out"))
    return parse_axes(axes, shape, groups)
