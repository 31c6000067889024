"""Factors: what the B and A of a low-rank update are made of, in float64."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from fanin.errors import FaninError
from fanin.initializers._decompose import decompose
from fanin.streams import Array

_DAMPING = 0.01  # of the mean variance: what CorDA adds to those of the inputs
_GAMMA = 16.0  # LoRA-GA's
_NO_BATCH = "has nothing to go by. Pass a batch of real data as inputs."
_LEAST = 1e-12  # of a second moment: a variance that is rounding
_NOTHING = np.zeros(0)


class Factors(NamedTuple):
    """B (out, rank) and A (rank, in)."""

    last: Array
    first: Array


class Evidence(NamedTuple):
    """What there is to go by; what a start does not read is empty.

    `weight` and `gradient` are (out, in), as `shape` says; `mean` and `second` are E[x] and
    E[x x^T] of the inputs.
    """

    shape: tuple[int, int]
    weight: Array = _NOTHING
    mean: Array = _NOTHING
    second: Array = _NOTHING
    gradient: Array = _NOTHING


Read = Literal["weight", "inputs", "gradient"]


@dataclass(frozen=True, slots=True)
class UpdateStart:
    """A way to start an update: `make(seen, rank, factor)` gives B and A of W + factor B A."""

    name: str
    reads: frozenset[Read]
    make: Callable[[Evidence, int, float], Factors]
    what: str
    source: str


def pissa(seen: Evidence, rank: int, factor: float) -> Factors:
    """The largest singular values; peft's `pissa`."""
    left, values, right = decompose(seen.weight)
    return _share(left[:, :rank], values[:rank] / factor, right[:rank])


def milora(seen: Evidence, rank: int, factor: float) -> Factors:
    """The smallest singular values."""
    left, values, right = decompose(seen.weight)
    return _share(left[:, -rank:], values[-rank:] / factor, right[-rank:])


def olora(seen: Evidence, rank: int, factor: float) -> Factors:
    """The first columns and rows of a QR decomposition, R's diagonal positive; peft's `olora`."""
    q, r = np.linalg.qr(seen.weight)
    signs = np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return Factors((q * signs)[:, :rank], (r.T * signs).T[:rank])


def mica(seen: Evidence, rank: int, factor: float) -> Factors:
    """The left singular vectors of the smallest singular values, and A zero; peft's `mica`."""
    left = decompose(seen.weight)[0]
    return Factors(left[:, -rank:], np.zeros((rank, seen.shape[1])))


def eva(seen: Evidence, rank: int, factor: float) -> Factors:
    """The principal directions of the inputs, and B zero; peft's `eva` with equal ranks."""
    covariance = seen.second - np.outer(seen.mean, seen.mean)
    if not covariance.trace() > _LEAST * seen.second.trace():
        raise FaninError(f"its inputs are the same everywhere, so that eva {_NO_BATCH}")
    return Factors(np.zeros((seen.shape[0], rank)), decompose(covariance)[2][:rank])


def corda(seen: Evidence, rank: int, factor: float) -> Factors:
    """The largest singular values of W C, C the inputs' E[x x^T]; peft's `corda`, mode ipm."""
    size = seen.second.trace() / len(seen.second)
    if not size > 0:
        raise FaninError(f"its inputs are zero, so that corda {_NO_BATCH}")
    inputs = seen.second / size + _DAMPING * np.eye(len(seen.second))
    left, values, right = decompose(seen.weight @ inputs)
    back = np.linalg.solve(inputs, right[:rank].T).T
    return _share(left[:, :rank], values[:rank] / factor, back)


def lora_ga(seen: Evidence, rank: int, factor: float) -> Factors:
    """Singular vectors of the gradient, A's before B's; peft's `lora_ga` with its defaults."""
    if 2 * rank > min(seen.shape):
        raise FaninError(
            f"lora_ga takes {2 * rank} singular vectors for rank {rank}, and it has "
            f"{min(seen.shape)}. Choose a lower rank."
        )
    if not seen.gradient.any():
        raise FaninError(f"the loss's gradient by it is zero, so that lora_ga {_NO_BATCH}")
    left, values, right = decompose(seen.gradient)
    second = slice(rank, 2 * rank)
    size = len(seen.gradient) ** 0.25 / _GAMMA**0.5
    return Factors(left[:, second] * values[second] * size, right[:rank])


def _share(left: Array, values: Array, right: Array) -> Factors:
    """Both factors with the roots of the singular values, of which A has the sign."""
    roots = np.sqrt(np.abs(values))
    return Factors(left * roots, (right.T * roots * np.sign(values)).T)


STARTS: dict[str, UpdateStart] = {
    start.name: start
    for start in (
        UpdateStart(
            "pissa",
            frozenset({"weight"}),
            pissa,
            "the largest singular values of the weight",
            "Meng et al. 2024 (arXiv 2404.02948), equations 2 to 4",
        ),
        UpdateStart(
            "milora",
            frozenset({"weight"}),
            milora,
            "the smallest singular values of the weight",
            "Wang et al. 2024 (arXiv 2406.09044), section 3",
        ),
        UpdateStart(
            "olora",
            frozenset({"weight"}),
            olora,
            "the first columns and rows of the weight's QR decomposition",
            "Buyukakyuz 2024 (arXiv 2406.01775), algorithm 1",
        ),
        UpdateStart(
            "mica",
            frozenset({"weight"}),
            mica,
            "the weight's left singular vectors of the smallest singular values; A is zero",
            "arXiv 2604.01694, as peft 0.21 has it",
        ),
        UpdateStart(
            "eva",
            frozenset({"inputs"}),
            eva,
            "the principal directions of the inputs; B is zero",
            "Paischer et al. 2024 (arXiv 2410.07170), section 3",
        ),
        UpdateStart(
            "corda",
            frozenset({"weight", "inputs"}),
            corda,
            "the largest singular values of the weight times E[x x^T] of its inputs",
            "Yang et al. 2024 (arXiv 2406.05223), section 3, the instruction-previewed mode",
        ),
        UpdateStart(
            "lora_ga",
            frozenset({"gradient"}),
            lora_ga,
            "singular vectors of the loss's gradient by the weight",
            "Wang et al. 2024 (arXiv 2407.05000), section 3.3, as peft 0.21 scales it",
        ),
    )
}
