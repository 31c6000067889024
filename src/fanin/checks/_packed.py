"""Packed: the matrices in one weight, such as query, key and value, judged each for itself."""

from collections.abc import Callable, Iterator, Sequence

from fanin._columns import list_names
from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._symmetry import weights_of
from fanin.frameworks import GradientStats, PackedMatrix

_LISTED = 3


def judge_zero_blocks(m: Measurement) -> Iterator[Finding]:
    """F10: packed matrices that are zero and get no gradient, in weights that are not."""
    found = _find(m, lambda block, gradient: block.rms == 0 and gradient.norm == 0)
    if not found:
        return
    at, name, _ = found[0]
    yield Finding(
        "F10",
        "warning",
        m.module(at),
        measured=f"{_list(m, found)}: zero, and so is the gradient of each",
        expected="a gradient",
        limit="a zero matrix without a gradient",
        why="Nothing moves it from zero: what feeds it is zero, or what it is multiplied with is.",
        fix=f"fanin.initialize(model, inputs=x), which draws all of {name} anew; of matrices that "
        "are multiplied with each other at most one may start at zeros().",
        value=0.0,
    )


def judge_alike_blocks(m: Measurement) -> Iterator[Finding]:
    """F08: packed matrices of which all rows are one, in weights of which not all are."""
    found = _find(m, lambda block, gradient: block.rms > 0 and block.rows == 1 < block.units)
    if not found:
        return
    at, name, _ = found[0]
    yield Finding(
        "F08",
        "warning",
        m.module(at),
        measured=f"{_list(m, found)}: all rows of each are one",
        expected="rows that differ",
        limit="any two alike",
        why="All units of such a matrix see the same sum of their inputs, and differ by their "
        "biases, and by what they feed, alone.",
        fix=f"fanin.initialize(model, inputs=x), which draws all of {name} anew: random values "
        "break the symmetry.",
        value=1.0,
    )


def _find(
    m: Measurement, wrong: Callable[[PackedMatrix, GradientStats], bool]
) -> list[tuple[int, str, list[int]]]:
    """Uses of weights, their names, and which of the packed matrices are wrong, but not all."""
    found = []
    for at, name in weights_of(m):
        blocks, gradient = m.values[name].blocks, m.weight_gradients.get(name)
        if name in m.frozen or gradient is None or len(gradient.blocks) != len(blocks):
            continue
        pairs = enumerate(zip(blocks, gradient.blocks, strict=True), 1)
        places = [place for place, (block, own) in pairs if wrong(block, own)]
        if 0 < len(places) < len(blocks) and not m.find_closing(m.chains.uses[at].node):
            found.append((at, name, places))
    return found


def _list(m: Measurement, found: Sequence[tuple[int, str, list[int]]]) -> str:
    """The first weight's matrices, and which other weights have such."""
    (_, name, places), *others = found
    some = list_names([str(place) for place in places])
    several = "matrices" if places[1:] else "matrix"
    more = f", and such in {list_names([name for _, name, _ in others], _LISTED)}" if others else ""
    return f"{several} {some} of the {len(m.values[name].blocks)} packed in {name}{more}"
