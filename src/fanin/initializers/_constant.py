"""Initializers that draw nothing: one value everywhere, or values that are given."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin import streams
from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.initializers._base import Elementwise, Initializer, Request, expression
from fanin.initializers._entry import Entry
from fanin.streams import Array, Stream
from fanin.streams._address import select
from fanin.streams._output import COMPLEX, REAL, dtype_name, write

_MOST_PRINTED = 32


@dataclass(frozen=True, slots=True, repr=False)
class ConstantInitializer(Elementwise):
    """The same value for every shape."""

    drawn: streams.Constant

    @property
    def seeded(self) -> bool:
        """No seed decides a constant."""
        return False

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> streams.Constant:
        return self.drawn

    def _complex(self, shape: tuple[int, ...], axes: Axes) -> streams.Constant:
        return self.drawn

    def __repr__(self) -> str:
        named = {0.0: "zeros", 1.0: "ones"}.get(self.drawn.value)
        return expression(named) if named else expression("constant", self.drawn.value)


@dataclass(frozen=True, slots=True, repr=False)
class Given(Initializer):
    """The values that were given, for a parameter of exactly this shape."""

    shape: tuple[int, ...]
    data: bytes  # float64, row-major: comparable and hashable, as an array is not

    @property
    def values(self) -> Array:
        """The values, read-only."""
        return np.frombuffer(self.data, np.float64).reshape(self.shape)

    @property
    def seeded(self) -> bool:
        """No seed decides what is given."""
        return False

    def _check(self, shape: tuple[int, ...]) -> None:
        empty = not self.data and not math.prod(shape)  # a list of none has no other axes
        if shape != self.shape and not empty:
            raise FaninError(
                f"{self!r} has shape {self.shape}, the parameter has {shape}; they must agree. "
                "Give an array of the parameter's shape, or one number."
            )

    def _draw(self, request: Request) -> Array:
        Stream(request.seed, request.name)  # checks both
        self._check(request.shape)
        encoding = dtype_name(request.dtype, request.out, REAL + COMPLEX)
        select(request.shape, request.index)  # checks the index
        index = ... if request.index is None else request.index
        return write(self.values.reshape(request.shape)[index], encoding, request.out)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape)
        return float(self.values.std()) if self.data else 0.0

    def __repr__(self) -> str:
        if self.values.size <= _MOST_PRINTED:
            return self._expression()
        digest = hashlib.sha256(self.data).hexdigest()[:8]
        return f"constant(<{self.values.size} values of shape {self.shape}, sha256 {digest}...>)"

    def _expression(self) -> str:
        return expression("constant", self.values.tolist())


def constant(value: float | Iterable[Any]) -> Initializer:
    """One value everywhere, or given values for a parameter of exactly their shape.

    Formula: w = value; w[i] = value[i] for an array.
    Reads: no axes. Preserves: nothing; units that start equal stay equal. For biases, scales,
    and values computed elsewhere.
    Units: `value` is a finite number, or an array or nested sequence of them, kept in float64
    and in stored order; the std is that of the values.
    Source: folklore.
    Differs: torch.nn.init.constant_ and jax.nn.initializers.constant take arrays that
    broadcast; here the shape must be the parameter's. Up to 32 values print in full.

    >>> constant(0.5)
    constant(0.5)
    >>> constant([1, 2, 3])((3,), seed=0, name="scale")
    array([1., 2., 3.], dtype=float32)
    """
    if isinstance(value, str | bytes):
        return ConstantInitializer(streams.Constant(value))  # type: ignore[arg-type]  # which refuses it
    try:
        values = np.asarray(value)
        ragged = values.dtype == object
    except ValueError:
        ragged = True
    if ragged or values.ndim == 0:
        return ConstantInitializer(streams.Constant(value))  # type: ignore[arg-type]
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise FaninError(
            f"value of constant is an array of {values.dtype} and shape {values.shape}; it must "
            "hold finite real numbers."
        )
    # + 0.0: no -0.0, which would be equal and yet differ in its bytes
    return Given(values.shape, (values.astype(np.float64) + 0.0).tobytes())


def zeros() -> ConstantInitializer:
    """Every element is 0: for biases, and for the last layer of a residual branch.

    Formula: w = 0. Reads: no axes. Preserves: nothing; hidden weights of zero make every unit of
    a layer the same.
    Units: the std is 0.
    Source: folklore.
    Differs: in nothing; torch, JAX and Keras have it.

    >>> zeros()((2,), seed=0, name="bias")
    array([0., 0.], dtype=float32)
    """
    return ConstantInitializer(streams.Constant(0.0))


def ones() -> ConstantInitializer:
    """Every element is 1: the identity of a normalization's scale.

    Formula: w = 1. Reads: no axes. Preserves: the signal, where the parameter is a scale.
    Units: the std is 0.
    Source: folklore.
    Differs: in nothing; torch, JAX and Keras have it.

    >>> ones()((2,), seed=0, name="scale")
    array([1., 1.], dtype=float32)
    """
    return ConstantInitializer(streams.Constant(1.0))


_FOLKLORE = "folklore"

ENTRIES: tuple[Entry, ...] = (
    Entry("zeros", zeros, "none", "nothing", _FOLKLORE, "zeros()", formula="w = 0"),
    Entry("ones", ones, "none", "the signal, as a scale", _FOLKLORE, "ones()", formula="w = 1"),
    Entry(
        "constant",
        constant,
        "none",
        "nothing",
        _FOLKLORE,
        "constant([[0.25, -1.0], [0.5, 3.0], [0.0, 2.0]])",
        (3, 2),
        "w = value",
    ),
)
