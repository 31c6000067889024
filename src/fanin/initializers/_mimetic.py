"""Mimetic: weights of an attention, whose products of two are near multiples of the identity."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from fanin._arguments import check_choice, check_flag
from fanin.axes import Axes
from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Request, Whole, expression
from fanin.initializers._decompose import decompose
from fanin.initializers._entry import Entry
from fanin.initializers._maps import ROUNDED, check_maps
from fanin.initializers._parts import cells, from_cells
from fanin.streams import Array, Stream
from fanin.streams._address import stream_number

PARTS = ("query", "key", "value", "output")
_PACKED = ("query key value", "key value", *PARTS)
_DIFFERS = (1e-6, 1e-9)  # of the largest value, between machines: in float32, in float64
_WIDEST = 256  # of the draw that tells the standard deviation

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True, repr=False)
class Mimetic(Whole):
    """See `mimetic`."""

    parts: str
    heads: int
    at: str
    interleaved: bool
    query_key: Pair
    value_output: Pair

    def __post_init__(self) -> None:
        check_choice("parts of mimetic", self.parts, _PACKED)
        if type(self.heads) is not int or self.heads < 1:
            raise FaninError(f"heads of mimetic is {quote(self.heads)}; give an integer >= 1.")
        if self.at != "":
            stream_number(self.at)
        check_flag("interleaved of mimetic", self.interleaved)
        for name in ("query_key", "value_output"):
            object.__setattr__(self, name, _check_pair(name, getattr(self, name)))

    def under(self, prefix: str) -> "Mimetic":
        """The same with `prefix` before the name that the values are drawn at."""
        return replace(self, at=f"{prefix}.{self.at}") if self.at and prefix else self

    def tolerance(self, dtype: str) -> float:
        """How far a value may be from itself on another machine."""
        single, double = _DIFFERS
        largest = math.sqrt(max(2 * alpha + beta for alpha, beta in self._pairs()))
        return largest * (double if dtype == "float64" else single + ROUNDED.get(dtype, 0.0))

    def _pairs(self) -> list[Pair]:
        names = self.parts.split()
        return [self.query_key if name in ("query", "key") else self.value_output for name in names]

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        self._measure(shape, axes)

    def _measure(self, shape: tuple[int, ...], axes: Axes) -> tuple[int, int]:
        """The width of the stream, and how many features each packed matrix has beside it."""
        check_maps("mimetic", shape, axes)
        stack, groups, outputs, inputs, kernel = cells(shape, replace(axes, blocks=()))
        packed = len(self.parts.split())
        rows, rest = divmod(outputs, packed)
        told = None
        if stack * groups * kernel != 1:
            told = "is no matrix"
        elif rest or len(set(axes.blocks)) > 1:
            told = f"does not hold {packed} matrices of one size"
        width, features = (rows, inputs) if self.parts == "output" else (inputs, rows)
        if not told and features % self.heads:
            told = f"has {features} features, which {self.heads} heads do not share alike"
        # The rank of a product is its heads' size, or all features of values.
        rank = features // self.heads if self.parts in ("query", "key") else features
        if not told and rank > width:
            told = f"would have {rank} singular vectors of {width} numbers"
        if told:
            raise FaninError(
                f"shape {shape} {told}, as {self.parts} of mimetic. Use orthogonal() or another "
                "initializer for it."
            )
        return width, features

    def _values(self, request: Request, precision: str) -> Array:
        width, features = self._measure(request.shape, request.axes)
        stream = Stream(request.seed, self.at or request.name)

        def draw(block: int, pair: Pair, sign: float) -> Array:
            alpha, beta = pair
            drawn = stream.normal((block + 1, width, width), dtype="float64", index=block)
            return alpha / math.sqrt(width) * drawn + sign * beta * np.eye(width)

        made: dict[str, list[Array]] = {}
        names = self.parts.split()
        if {"query", "key"} & set(names):
            size = features // self.heads
            for head in range(self.heads):
                left, right = _halve(draw(head + 1, self.query_key, 1.0), size)
                made.setdefault("query", []).append(left)
                made.setdefault("key", []).append(right)
        if {"value", "output"} & set(names):
            left, right = _halve(draw(0, self.value_output, -1.0), features)
            made |= {"value": np.split(left, self.heads), "output": [right.T]}
        packed = [made[name] for name in names]
        ordered = zip(*packed, strict=True) if self.interleaved else packed
        matrix = np.concatenate([rows for group in ordered for rows in group])
        axes = replace(request.axes, blocks=())
        values = matrix.reshape(cells(request.shape, axes))
        return from_cells(values, request.shape, axes).astype(precision)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        width, features = self._measure(shape, axes)
        names, total = self.parts.split(), 0.0
        for name, pair in zip(names, self._pairs(), strict=True):
            rank = features // self.heads if name in ("query", "key") else features
            total += _mean_singular_value(width, rank, *pair) / width
        return math.sqrt(total / len(names))

    def __repr__(self) -> str:
        keywords: dict[str, object] = {"heads": self.heads} if self.heads > 1 else {}
        keywords |= {"at": self.at} if self.at else {}
        keywords |= {"interleaved": True} if self.interleaved else {}
        keywords |= {"query_key": self.query_key} if self.query_key != (0.7, 0.7) else {}
        keywords |= {"value_output": self.value_output} if self.value_output != (0.4, 0.4) else {}
        return expression("mimetic", self.parts, **keywords)


def _check_pair(name: str, value: object) -> Pair:
    pair = tuple(map(as_number, value)) if isinstance(value, Iterable) else ()
    if len(pair) != 2 or not all(0 <= number <= 1e6 for number in pair) or not any(pair):
        raise FaninError(
            f"{name} of mimetic is {quote(value)}; it is (alpha, beta), two numbers >= 0 that are "
            "not both 0."
        )
    return pair[0], pair[1]


def _halve(product: Array, rank: int) -> tuple[Array, Array]:
    """Two matrices (rank, width) whose product, the first transposed, is nearest to `product`."""
    left, values, right = decompose(product)
    roots = np.sqrt(values[:rank])
    return (left[:, :rank] * roots).T, (right[:rank].T * roots).T


@lru_cache(maxsize=64)
def _mean_singular_value(width: int, rank: int, alpha: float, beta: float) -> float:
    """Of the largest `rank`: those of one draw, as all draws of a width have nearly the same."""
    size = min(width, _WIDEST)
    drawn = Stream(0, "mimetic").normal((size, size), std=alpha / math.sqrt(size), dtype="float64")
    values = np.linalg.svd(drawn + beta * np.eye(size), compute_uv=False)
    return float(values[: max(1, round(rank * size / width))].mean())


def mimetic(
    parts: str,
    heads: int = 1,
    at: str = "",
    interleaved: bool = False,
    query_key: Pair = (0.7, 0.7),
    value_output: Pair = (0.4, 0.4),
) -> Mimetic:
    """A weight of self-attention, of which two multiplied are near a multiple of the identity.

    Formula: W_q W_k^T = alpha Z + beta I, its largest `size` singular values, for every head, and
    W_v W_o = alpha Z - beta I for all heads together, Z ~ N(0, 1 / d), d the width of the stream;
    of U s V^T one has U s^(1/2), the other s^(1/2) V^T. `parts` says which the weight is: "query",
    "key", "value", "output", or "query key value" and "key value" where they are packed, each
    matrix behind the other, or head by head where `interleaved`. Rows of a head lie together.
    Reads: out, in.
    Preserves: attention of a token to itself at first, and less of the stream by each branch.
    Units: std = sqrt(mean of those singular values / d), told by one draw, to a few parts in d.
    `query_key` and `value_output` are alpha and beta.
    Tolerance: that of a singular value decomposition in float64: the same bits on one machine
    with one NumPy and one number of BLAS threads, elsewhere within 1e-6 of the largest value, or
    1e-9 in float64. A slice is cut from the whole; one decomposition of d x d for each head.
    Both weights of a product are drawn at one name: `at`, by default the parameter's own. So the
    query has none, and the others `at` its name; `prefix=` of a plan stands before that, too.
    Source: Trockman & Kolter 2023, section 4; alphas and betas checked in copies of their code,
    which draw Z from a uniform distribution of the same variance, and W_v W_o transposed.
    Differs: torch, JAX and Keras have no such initializer.

    >>> draw = lambda parts: mimetic(parts, at="q")((64, 64), seed=0, name="w", dtype="float64")
    >>> product = draw("query").T @ draw("key")
    >>> bool(abs(product.diagonal().mean() - 0.7) < 0.03)
    True
    """
    return Mimetic(parts, heads, at, interleaved, query_key, value_output)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "mimetic",
        mimetic,
        "out, in",
        "attention of a token to itself",
        "Trockman & Kolter 2023, section 4",
        "mimetic('query key value', heads=2)",
        (288, 96),
        "a factor of alpha Z + beta I, of which another weight has the other",
    ),
)
