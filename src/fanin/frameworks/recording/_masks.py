"""Masks: nodes made of comparisons alone, kept as functions of what they compare."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from fanin.frameworks.recording._record import ActivationFormula, ActivationTensor, Recorder
from fanin.graph import Values

# Beyond this a number that is added or filled in is a mask: it removes what was there.
REMOVES = -1e4

_MOST = 3  # sources of one function; beyond it masks are nodes like any other
_PROBES = np.random.default_rng(0).normal(size=(_MOST, 64))


def is_far_below(number: float | None) -> bool:
    """Whether a number is so far below zero that it removes what it is filled in for."""
    return number is not None and not REMOVES < number < math.inf


def remember(recorder: Recorder, node: int, formula: ActivationFormula) -> None:
    """Notes that a node is a mask."""
    recorder.masks[node] = formula
    with np.errstate(all="ignore"):
        lowest = np.nanmin(formula.fn(*_PROBES[: len(formula.sources)]))
    if lowest <= REMOVES:
        recorder.removing.add(node)


def remember_view(recorder: Recorder, node: int) -> None:
    """Notes that a node shows elements of masks, or counts them."""
    recorder.masks[node] = ActivationFormula((node,), _itself)
    if any(source in recorder.removing for source in recorder.nodes[node].inputs):
        recorder.removing.add(node)


def inline(
    recorder: Recorder, sources: Sequence[ActivationTensor], fn: Callable[..., Values]
) -> tuple[list[ActivationTensor], Callable[..., Values]]:
    """A function of activations and masks as one of what the masks compare."""
    formulas = [
        recorder.masks.get(source.node, ActivationFormula((source.node,), _itself))
        for source in sources
    ]
    nodes = list(dict.fromkeys(node for formula in formulas for node in formula.sources))
    if all(formula.fn is _itself for formula in formulas) or len(nodes) > _MOST:
        return list(sources), fn
    places = [[nodes.index(node) for node in formula.sources] for formula in formulas]

    def compose(*arrays: Values) -> Values:
        inner = [
            node.fn(*(arrays[place] for place in own))
            for node, own in zip(formulas, places, strict=True)
        ]
        return fn(*inner)

    return [ActivationTensor(node) for node in nodes], compose


def _itself(value: Values) -> Values:
    return value
