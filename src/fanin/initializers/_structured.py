"""Structured: maps that are the same for every seed (identity, dirac, zero_hadamard)."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.initializers._base import Request
from fanin.initializers._entry import Entry
from fanin.initializers._maps import Maps, centre, change_maps, mean_over_maps
from fanin.streams import Array


@dataclass(frozen=True, slots=True, repr=False)
class Structured(Maps):
    """The same matrix in every map, at the centre tap where there are kernel axes."""

    @property
    def seeded(self) -> bool:
        """No seed decides a matrix that is computed."""
        return False

    @abstractmethod
    def _matrix(self, outputs: int, inputs: int) -> Array:
        """The matrix (out, in), for gain 1."""

    @abstractmethod
    def _sums(self, outputs: int, inputs: int) -> tuple[float, float]:
        """The sum of the elements of that matrix, and of their squares."""

    def _make(self, request: Request, precision: str) -> Array:
        index, axes = centre(request.shape, request.axes)
        values = np.zeros(request.shape, precision)

        def same(tap: Array) -> Array:
            matrix = self.gain * self._matrix(*tap.shape[2:4])
            return np.broadcast_to(matrix.astype(precision)[..., None], tap.shape)

        values[index] = change_maps(values[index], axes, same)
        return values

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)

        def moment(power: int) -> float:
            def of(outputs: int, inputs: int, kernel: int) -> float:
                return self._sums(outputs, inputs)[power - 1] / max(outputs * inputs * kernel, 1)

            return mean_over_maps(shape, axes, of)

        return self.gain * math.sqrt(max(moment(2) - moment(1) ** 2, 0.0))


@dataclass(frozen=True, slots=True, repr=False)
class Dirac(Structured):
    """See `dirac`."""

    called: ClassVar[str] = "dirac"

    def _matrix(self, outputs: int, inputs: int) -> Array:
        return np.eye(outputs, inputs)

    def _sums(self, outputs: int, inputs: int) -> tuple[float, float]:
        return min(outputs, inputs), min(outputs, inputs)


@dataclass(frozen=True, slots=True, repr=False)
class Identity(Dirac):
    """See `identity`."""

    called: ClassVar[str] = "identity"

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        super(Identity, self)._check(shape, axes)  # plain super() fails with slots
        if "kernel" in axes.roles:
            raise FaninError(
                f"shape {shape} has kernel axes ({str(axes)!r}), and identity makes matrices. Use "
                "dirac() or delta_orthogonal(), or name stacked matrices 'stack out in'."
            )


@dataclass(frozen=True, slots=True, repr=False)
class ZeroHadamard(Structured):
    """See `zero_hadamard`."""

    called: ClassVar[str] = "zero_hadamard"

    def _matrix(self, outputs: int, inputs: int) -> Array:
        if outputs <= inputs:
            return np.eye(outputs, inputs)
        odd = np.bitwise_count(np.arange(outputs)[:, None] & np.arange(inputs)) & 1
        hadamard: Array = _hadamard_scale(outputs) * (1.0 - 2.0 * odd)
        return hadamard

    def _sums(self, outputs: int, inputs: int) -> tuple[float, float]:
        if outputs <= inputs:
            return outputs, outputs
        scale = _hadamard_scale(outputs)
        return scale * _corner_sum(outputs, inputs), scale**2 * outputs * inputs


def _hadamard_scale(outputs: int) -> float:
    """c of the paper: 2 ** (-(m - 1) / 2), m the binary logarithm of `outputs`, rounded up."""
    return math.sqrt(2.0 ** (1 - (outputs - 1).bit_length()))


def _corner_sum(rows: int, columns: int) -> int:
    """The sum of the first rows and columns of Sylvester's Hadamard matrix [[H, H], [H, -H]]."""
    if rows < columns:
        rows, columns = columns, rows  # it is symmetric
    if columns < 2:
        return rows * columns
    half = 1 << ((rows - 1).bit_length() - 1)  # of H every column but the first sums to 0
    if columns <= half:
        return half + _corner_sum(rows - half, columns)
    return 3 * half - _corner_sum(rows - half, columns - half)


def identity(gain: float = 1.0) -> Identity:
    """`gain` times the identity, as far as the matrix goes.

    Formula: W[o, i] = gain where o == i, else 0; the same for every seed.
    Reads: out, in: one identity for every stack, group and packed block; kernel axes are
    refused.
    Preserves: the signal itself, as many units of it as fit.
    Units: std = gain * sqrt(m - m**2), m = 1 / max(out, in): that of all values about their mean.
    Source: Le et al. 2015, section 4 (recurrent weights).
    Differs: torch.nn.init.eye_ has no gain; torch and Keras take two axes only and see one
    matrix where blocks are packed.

    >>> identity(0.5)((2, 3), seed=0, name="w").tolist()
    [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]
    """
    return Identity(gain)


def dirac(gain: float = 1.0) -> Dirac:
    """A convolution that passes its input on, times `gain`: the identity at the centre tap.

    Formula: W[o, i, k // 2] = gain where o == i, else 0; the same for every seed.
    Reads: out, in, kernel (any number of kernel axes): one identity for every stack, group and
    packed block.
    Preserves: the signal itself, as many channels of it as fit.
    Units: std = gain * sqrt(m - m**2), m = 1 / (max(out, in) * kernel).
    Source: Zagoruyko & Komodakis 2017, eq. 2.
    Differs: torch.nn.init.dirac_ with its `groups` is this, for one to three kernel axes and
    without a gain; JAX and Keras have no such initializer.

    >>> dirac()((2, 1, 3), seed=0, name="w").tolist()
    [[[0.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]]
    >>> dirac()((2, 1, 3), seed=0, name="w", groups=2).tolist()
    [[[0.0, 1.0, 0.0]], [[0.0, 1.0, 0.0]]]
    """
    return Dirac(gain)


def zero_hadamard(gain: float = 1.0) -> ZeroHadamard:
    """ZerO: zeros and ones, with a Hadamard matrix where a layer widens.

    Formula: W = I where out <= in (the rows that fit), else c * H[:out, :in], with H Sylvester's
    Hadamard matrix of size 2**m, m = ceil(log2(out)), c = 2**(-(m - 1) / 2); convolutions at the
    centre tap k // 2, 0 elsewhere; all times gain, the same for every seed.
    Reads: out, in, kernel: one matrix for every stack, group and packed block.
    Preserves: the signal; a widening layer lengthens it by sqrt(2) where out is a power of two.
    In training the rank can grow past the network's input size, to which identities hold it.
    Units: std is that of all values about their mean.
    Source: Zhao et al. 2022, algorithms 1 and 2.
    Differs: torch, JAX and Keras have no such initializer.

    >>> zero_hadamard()((8, 2), seed=0, name="w")[:4].tolist()
    [[0.5, 0.5], [0.5, -0.5], [0.5, 0.5], [0.5, -0.5]]
    """
    return ZeroHadamard(gain)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "identity",
        identity,
        "out, in",
        "the signal",
        "Le et al. 2015, section 4",
        "identity(2.0)",
        (60, 40),
        "gain where out == in, else 0",
    ),
    Entry(
        "dirac",
        dirac,
        "out, in, kernel",
        "the signal",
        "Zagoruyko & Komodakis 2017, eq. 2",
        "dirac(2.0)",
        formula="identity at the centre tap, 0 at the others",
    ),
    Entry(
        "zero_hadamard",
        zero_hadamard,
        "out, in, kernel",
        "the signal, up to sqrt(2)",
        "Zhao et al. 2022, algorithms 1 and 2",
        "zero_hadamard(2.0)",
        formula="identity, or where out > in c * Hadamard, at the centre tap",
    ),
)
