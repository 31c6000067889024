"""Orthogonal: maps whose rows or columns are orthonormal, and rows of unit length."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.initializers._base import Request
from fanin.initializers._entry import Entry
from fanin.initializers._householder import orthonormalize
from fanin.initializers._maps import Maps, centre, change_maps, gaussian, mean_over_maps
from fanin.streams import Array

_TOGETHER = 1 << 20  # values of small maps that are worked on side by side


@dataclass(frozen=True, slots=True, repr=False)
class Orthogonal(Maps):
    """See `orthogonal`."""

    called: ClassVar[str] = "orthogonal"
    differs: ClassVar[tuple[float, float]] = (1e-5, 1e-13)

    def _make(self, request: Request, precision: str) -> Array:
        return change_maps(gaussian(request, precision), request.axes, self._orthonormal)

    def _orthonormal(self, drawn: Array) -> Array:
        rows, columns = drawn.shape[2], math.prod(drawn.shape[3:])
        maps = np.ascontiguousarray(drawn).reshape(-1, rows, columns)
        tall = maps if rows >= columns else maps.mT
        together = max(1, _TOGETHER // (rows * columns))
        for first in range(0, len(maps), together):
            orthonormalize(tall[first : first + together], self.gain)
        return maps.reshape(drawn.shape)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)

        def square(outputs: int, inputs: int, kernel: int) -> float:
            return 1 / max(outputs, inputs * kernel, 1)

        return self.gain * math.sqrt(mean_over_maps(shape, axes, square))


@dataclass(frozen=True, slots=True, repr=False)
class DeltaOrthogonal(Orthogonal):
    """See `delta_orthogonal`."""

    called: ClassVar[str] = "delta_orthogonal"

    def _make(self, request: Request, precision: str) -> Array:
        index, axes = centre(request.shape, request.axes)
        values = np.zeros(request.shape, precision)
        drawn = gaussian(request, precision, index)
        values[index] = change_maps(drawn, axes, self._orthonormal)
        return values

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        super(DeltaOrthogonal, self)._check(shape, axes)  # plain super() fails with slots

        def widening(outputs: int, inputs: int, kernel: int) -> float:
            if outputs < inputs:
                raise FaninError(
                    f"shape {shape} maps {inputs} inputs to {outputs} outputs; delta_orthogonal "
                    "keeps lengths, which needs outputs >= inputs. Use orthogonal(...)."
                )
            return 0.0

        mean_over_maps(shape, axes, widening)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)

        def square(outputs: int, inputs: int, kernel: int) -> float:
            return 1 / max(outputs * kernel, 1)

        return self.gain * math.sqrt(mean_over_maps(shape, axes, square))


@dataclass(frozen=True, slots=True, repr=False)
class UnitRows(Maps):
    """See `unit_rows`."""

    called: ClassVar[str] = "unit_rows"
    differs: ClassVar[tuple[float, float]] = (1e-6, 1e-15)

    def _make(self, request: Request, precision: str) -> Array:
        return change_maps(gaussian(request, precision), request.axes, self._normalize)

    def _normalize(self, drawn: Array) -> Array:
        squares = np.einsum("sgoik,sgoik->sgo", drawn, drawn, dtype=np.float64)
        scale = self.gain / np.sqrt(squares)
        scaled: Array = drawn * scale.astype(drawn.dtype)[..., None, None]
        return scaled

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)

        def square(outputs: int, inputs: int, kernel: int) -> float:
            return 1 / max(inputs * kernel, 1)

        return self.gain * math.sqrt(mean_over_maps(shape, axes, square))


def orthogonal(gain: float = 1.0) -> Orthogonal:
    """Maps with orthonormal rows or columns, whichever fits, times `gain`.

    Formula: W = gain * Q, with Q Q^T = I where out <= in * kernel, else Q^T Q = I; Q is uniform
    (Haar) on the matrices of that kind. Made by Householder reflections from the values that
    `normal()` has for the weight, in float32, or float64 for float64.
    Reads: out, in, kernel: one matrix (out, in * kernel) for every stack, group and packed
    block, so that each of the four recurrent matrices of an LSTM is orthogonal.
    Preserves: lengths (dynamical isometry), forward where out >= in * kernel, and backward
    where out <= in * kernel.
    Units: std = gain / sqrt(max(out, in * kernel)).
    Tolerance: the same bits on one machine with one NumPy and one number of BLAS threads;
    elsewhere within gain * 1e-5 (float32; 16-bit values are these, rounded) or gain * 1e-13
    (float64). A slice is cut from the whole.
    Source: Saxe et al. 2014, section 3; Stewart 1980, section 3; Mezzadri 2007, section 5.
    Differs: torch flattens a grouped or packed weight as a whole to (shape[0], rest), JAX and
    Keras to (rest, shape[-1]): their groups, experts and gates are not orthogonal one by one.

    >>> orthogonal(2.0).std((64, 16, 3, 3))
    0.16666666666666666
    >>> weight = orthogonal()((2, 3), seed=0, name="w", dtype="float64")
    >>> bool(abs(weight @ weight.T - [[1, 0], [0, 1]]).max() < 1e-14)
    True
    """
    return Orthogonal(gain)


def delta_orthogonal(gain: float = 1.0) -> DeltaOrthogonal:
    """A convolution that is zero but at its centre tap, where it is orthogonal times `gain`.

    Formula: W[..., k // 2] = gain * Q with Q^T Q = I, Q uniform (Haar); 0 at the other taps.
    Reads: out, in, kernel; needs out >= in (of a group or block).
    Preserves: lengths at every frequency: with circular padding the convolution is an isometry.
    Units: std = gain / sqrt(out * kernel), over all taps.
    Tolerance: that of `orthogonal`.
    Source: Xiao et al. 2018, algorithm 1.
    Differs: JAX puts the tap of an even kernel at (k - 1) // 2; torch and Keras have no such
    initializer.

    >>> delta_orthogonal().std((64, 16, 3, 3))
    0.041666666666666664
    >>> (delta_orthogonal()((1, 1, 3), seed=0, name="w") != 0).tolist()
    [[[False, True, False]]]
    """
    return DeltaOrthogonal(gain)


def unit_rows(gain: float = 1.0) -> UnitRows:
    """Rows of length `gain`, in directions that are uniform and independent.

    Formula: W[o] = gain * g / |g|, g the values that `normal()` has for the row, over in and
    kernel.
    Reads: out, in, kernel.
    Preserves: forward variance, as variance 1 / fan_in does, without a spread of row lengths.
    Units: std = gain / sqrt(in * kernel).
    Tolerance: within gain * 1e-6 (float32) or gain * 1e-15 (float64) on every machine.
    Source: Muller 1959 (uniform directions); Salimans & Kingma 2016, eq. 2 (length times
    direction).
    Differs: torch, JAX and Keras have no such initializer.

    >>> unit_rows().std((5, 16))
    0.25
    >>> abs(unit_rows()((1, 1), seed=0, name="w")).item()
    1.0
    """
    return UnitRows(gain)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "orthogonal",
        orthogonal,
        "out, in, kernel",
        "lengths (isometry)",
        "Saxe et al. 2014; Stewart 1980",
        "orthogonal(2.0)",
        formula="gain * Q, Q uniform with orthonormal rows or columns",
    ),
    Entry(
        "delta_orthogonal",
        delta_orthogonal,
        "out, in, kernel",
        "lengths at every frequency (isometry)",
        "Xiao et al. 2018, algorithm 1",
        "delta_orthogonal(2.0)",
        formula="orthogonal at the centre tap, 0 at the others",
    ),
    Entry(
        "unit_rows",
        unit_rows,
        "out, in, kernel",
        "forward variance",
        "Muller 1959; Salimans & Kingma 2016, eq. 2",
        "unit_rows(2.0)",
        formula="gain * g / |g| in every row, g normal",
    ),
)
