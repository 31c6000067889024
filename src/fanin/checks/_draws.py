"""Draws: what several draws of one model showed, as if it were one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from fanin.frameworks import Look, Observation

Numbers = Sequence[float | None]
Key = TypeVar("Key")
Value = TypeVar("Value")


def freeze(found: Mapping[Key, Value]) -> Mapping[Key, Value]:
    return MappingProxyType(dict(found))


def signature(seen: Observation) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    return [(node.op, node.inputs, node.shape) for node in seen.nodes]


def geometric_means(several: Sequence[Numbers]) -> Numbers:
    if len(several) == 1:
        return several[0]
    return [_geometric(numbers) for numbers in zip(*several, strict=True)]


def _geometric(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    if not known:
        return None
    bad = [number for number in known if not math.isfinite(number)]
    if bad:
        return bad[0]
    if min(known) == 0:
        return 0.0
    return math.exp(sum(map(math.log, known)) / len(known))


def merge_looks(several: Sequence[Mapping[int, Look]]) -> Mapping[int, Look]:
    """The first draw's, with the mean cosine of all."""
    if len(several) == 1:
        return several[0]
    found = {}
    for at, look in several[0].items():
        cosines = (looks[at].cosine for looks in several if at in looks)
        known = [cosine for cosine in cosines if cosine is not None]
        found[at] = replace(look, cosine=sum(known) / len(known) if known else None)
    return found


def means(several: Sequence[Mapping[int, float]]) -> dict[int, float]:
    return {at: sum(shares.get(at, 0.0) for shares in several) / len(several) for at in several[0]}
