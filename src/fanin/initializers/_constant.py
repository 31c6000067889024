"""Initializers that draw nothing: the same value everywhere."""

from dataclasses import dataclass

from fanin import streams
from fanin.axes import Axes
from fanin.initializers._base import Elementwise, expression


@dataclass(frozen=True, slots=True, repr=False)
class Constant(Elementwise):
    """The same value for every shape."""

    drawn: streams.Constant

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> streams.Constant:
        return self.drawn

    def __repr__(self) -> str:
        named = {0.0: "zeros", 1.0: "ones"}.get(self.drawn.value)
        return expression(named) if named else expression("constant", self.drawn.value)


def constant(value: float) -> Constant:
    """Every element is `value`, a finite number.

    Preserves nothing: units that start equal stay equal. For scales and biases.

    >>> constant(0.5)
    constant(0.5)
    """
    return Constant(streams.Constant(value))


def zeros() -> Constant:
    """Every element is 0: for biases, and for the last layer of a residual branch.

    Weights of zero make every unit of a layer the same.

    >>> zeros()
    zeros()
    """
    return constant(0.0)


def ones() -> Constant:
    """Every element is 1: the identity of a normalization's scale.

    >>> ones()
    ones()
    """
    return constant(1.0)
