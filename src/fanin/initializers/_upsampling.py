"""Upsampling: kernels that start as an interpolation, and sub-pixel ones without checkerboards."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError, quote
from fanin.initializers._base import Initializer, Request, Whole, expression
from fanin.initializers._entry import Entry
from fanin.initializers._maps import Maps, change_maps, mean_over_maps
from fanin.streams import Array


@dataclass(frozen=True, slots=True, repr=False)
class Bilinear(Maps):
    """See `bilinear`."""

    called: ClassVar[str] = "bilinear"

    @property
    def seeded(self) -> bool:
        """No seed decides an interpolation."""
        return False

    def _make(self, request: Request, precision: str) -> Array:
        kernel = _tents(request.shape, request.axes).ravel()

        def same(weights: Array) -> Array:
            outputs, inputs = weights.shape[2:4]
            made = self.gain * np.eye(outputs, inputs)[..., None] * kernel
            return np.broadcast_to(made.astype(precision), weights.shape)

        return change_maps(np.zeros(request.shape, precision), request.axes, same)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)
        kernel = _tents(shape, axes)

        def moment(power: int) -> float:
            total = float((kernel**power).sum())

            def of(outputs: int, inputs: int, taps: int) -> float:
                return min(outputs, inputs) * total / max(outputs * inputs * taps, 1)

            return mean_over_maps(shape, axes, of)

        return self.gain * math.sqrt(max(moment(2) - moment(1) ** 2, 0.0))


def _tents(shape: tuple[int, ...], axes: Axes) -> Array:
    """The product of a tent along each kernel axis, that of an upsampling by half its size."""
    made = np.ones(())
    for size, role in zip(shape, axes.roles, strict=True):
        if role == "kernel":
            factor = (size + 1) // 2
            middle = factor - 1 if size % 2 else factor - 0.5
            made = np.multiply.outer(made, 1 - np.abs(np.arange(size) - middle) / max(factor, 1))
    return made


def bilinear(gain: float = 1.0) -> Bilinear:
    """A transposed convolution that interpolates: channel i of the output is channel i, enlarged.

    Formula: W[i, i, k1, k2] = t(k1) t(k2), t(k) = 1 - |k - c| / f, f = (K + 1) // 2, c = f - 1 of
    an odd K, else f - 1/2; 0 between other channels; times gain, the same for every seed.
    Reads: out, in, kernel (any number of kernel axes): one such map for every stack, group and
    block. Preserves: the signal, of a stride f = K / 2 with padding K / 4.
    Units: std is that of all values about their mean.
    Source: Long et al. 2015, section 4.1 (FCN, bilinear upsampling).
    Differs: torch, JAX and Keras have none; Caffe calls it bilinear filler.

    >>> bilinear()((1, 1, 4), seed=0, name="w").tolist()
    [[[0.25, 0.75, 0.75, 0.25]]]
    """
    return Bilinear(gain)


@dataclass(frozen=True, slots=True, repr=False)
class SubPixel(Whole):
    """See `icnr`."""

    initializer: Initializer
    scale: int

    def __post_init__(self) -> None:
        if not isinstance(self.initializer, Initializer):
            raise FaninError(
                f"initializer of icnr is {quote(self.initializer)}; give one, such as he_normal()."
            )
        if type(self.scale) is not int or self.scale < 1:
            raise FaninError(f"scale of icnr is {quote(self.scale)}; it is an integer >= 1.")

    @property
    def seeded(self) -> bool:
        """Whether the seed decides the values of the initializer inside."""
        return self.initializer.seeded

    def tolerance(self, dtype: str) -> float:
        """As of the initializer inside."""
        return self.initializer.tolerance(dtype)

    def _small(self, shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
        """The shape of the weight that is repeated."""
        copies = self._copies(axes)
        axis = axes.axis("out") if "out" in axes.roles else 0
        if axes.groups > 1 or axes.blocks or not shape or shape[axis] % copies:
            raise FaninError(
                f"{self!r} makes {copies} equal copies of every output channel, of one group; "
                f"shape {shape} with axes {str(axes)!r} has no such outputs."
            )
        return (*shape[:axis], shape[axis] // copies, *shape[axis + 1 :])

    def _copies(self, axes: Axes) -> int:
        return int(self.scale ** max(axes.roles.count("kernel"), 1))

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        self._std(shape, axes)

    def _values(self, request: Request, precision: str) -> Array:
        small = self._small(request.shape, request.axes)
        values = self.initializer(
            small, seed=request.seed, name=request.name, dtype=precision, axes=request.axes
        )
        return np.repeat(values, self._copies(request.axes), request.axes.axis("out"))

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        return self.initializer.std(self._small(shape, axes), axes)

    def __repr__(self) -> str:
        return expression("icnr", self.initializer, self.scale)


def icnr(initializer: Initializer, scale: int = 2) -> SubPixel:
    """For a convolution before a pixel shuffle: the sub-pixels of a channel start equal.

    Formula: W[c r**d + s] = W0[c] for the r**d sub-pixels s of d kernel axes, r = scale, W0 drawn
    by `initializer` for out / r**d channels.
    Reads: out, kernel, and what the initializer reads; the fans are those of W0.
    Preserves: what the initializer does; the enlarged map has no checkerboard at first.
    Units: the std is the initializer's for the smaller weight.
    Source: Aitken et al. 2017, section 3 (ICNR).
    Differs: torch, JAX and Keras have none; channels are in the order of torch's PixelShuffle.

    >>> from fanin.initializers import he_normal
    >>> w = icnr(he_normal())((8, 3, 3, 3), seed=0, name="up.weight")
    >>> bool((w[:4] == w[0]).all()), bool((w[4:] == w[4]).all())
    (True, True)
    """
    return SubPixel(initializer, scale)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "bilinear",
        bilinear,
        "out, in, kernel",
        "the signal, enlarged",
        "Long et al. 2015, section 4.1",
        "bilinear(2.0)",
        formula="tents along the kernel where out == in, else 0",
    ),
    Entry(
        "icnr",
        icnr,
        "out, kernel, and what its initializer reads",
        "what its initializer preserves",
        "Aitken et al. 2017, section 3",
        "icnr(normal(0.0, 0.5), 2)",
        formula="every output channel of W0, r**d times",
    ),
)
