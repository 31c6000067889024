"""Matrices made of parameters by sums and products, as W + B @ A: an input meets every factor.

x (W + B A) is x W + (x B) A: so that A and B are the weights that they are with two layers.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from fanin.frameworks.recording._record import ActivationTensor, Recorder, TensorEntry, Term
from fanin.frameworks.recording._weights import ParameterTensor

_MOST = 16  # factors of a matrix, in all its terms: powers of sums have ever more


def terms_of(recorder: Recorder, entry: TensorEntry, rank: int) -> tuple[Term, ...]:
    """The terms of a matrix that is made of parameters alone; none where that is not known."""
    if rank != 2:
        return ()
    if isinstance(entry, ParameterTensor):
        return (Term((entry.parts[0],)),) if _is_plain(entry) else ()
    return recorder.matrices.get(entry.node, ()) if isinstance(entry, ActivationTensor) else ()


def _is_plain(weight: ParameterTensor) -> bool:
    """Whether a tensor is one parameter, or a view of it."""
    first, *others = weight.parts
    return not (others or first.through or first.scales or first.dims is None)


def note_terms(recorder: Recorder, made: ActivationTensor, terms: Sequence[Term]) -> None:
    """Notes what a matrix is the sum of."""
    if terms and sum(len(term.factors) for term in terms) <= _MOST:
        recorder.matrices[made.node] = tuple(terms)


def note_product(
    recorder: Recorder, a: Sequence[Term], b: Sequence[Term], made: ActivationTensor
) -> None:
    """Notes that a matrix is a product of two that are made of parameters."""
    pairs = product(a, b)
    terms = [Term(x.factors + y.factors, x.number * y.number) for x, y in pairs]
    note_terms(recorder, made, terms)


def turn(term: Term) -> Term:
    """The matrix with rows for columns."""
    turned = (
        replace(factor, dims=factor.dims and factor.dims[::-1]) for factor in reversed(term.factors)
    )
    return replace(term, factors=tuple(turned))


def apply_terms(
    recorder: Recorder,
    value: ActivationTensor,
    terms: Sequence[Term],
    shape: Sequence[int],
    label: str,
) -> ActivationTensor:
    """An activation times the sum of these terms."""
    made, *others = (_apply_term(recorder, value, term, shape, label) for term in terms)
    for other in others:
        made = recorder.emit("add", [made, other], shape)
    return made


def _apply_term(
    recorder: Recorder, value: ActivationTensor, term: Term, shape: Sequence[int], label: str
) -> ActivationTensor:
    for part in term.factors:
        assert part.dims is not None
        if part is term.factors[-1] and term.number != 1:
            value = recorder.times(value, term.number)
        inside, outside = (math.prod(atom.size for atom in atoms) for atoms in part.dims)
        value = recorder.linear(
            value,
            ParameterTensor((part,)),
            ("in", "out"),
            (*shape[:-1], outside),
            features=len(shape) - 1,
            fans=(inside, outside),
            label=label,
        )
    return value
