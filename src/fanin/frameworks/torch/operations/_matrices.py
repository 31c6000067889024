"""Matrices made of parameters by sums and products, as W + B @ A: an input meets every factor.

x (W + B A) is x W + (x B) A: so that A and B are the weights that they are with two layers.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from torch import Tensor

from fanin.frameworks.recording._record import Activation, Entry, Term
from fanin.frameworks.recording._weights import Weight
from fanin.frameworks.torch.record._call import Call

_TURNS = ("t", "t_copy", "transpose", "transpose_copy", "numpy_T", "permute")
_MOST = 16  # factors of a matrix, in all its terms: powers of sums have ever more


def note_product(call: Call, a: Tensor, b: Tensor, made: Activation) -> None:
    """Notes that a matrix is a product of two that are made of parameters."""
    pairs = product(of(call, a), of(call, b))
    _note(call, made, [Term(x.factors + y.factors, x.number * y.number) for x, y in pairs])


def _note(call: Call, made: Activation, terms: Sequence[Term]) -> None:
    if terms and sum(len(term.factors) for term in terms) <= _MOST:
        call.recorder.matrices[made.node] = tuple(terms)


def of(call: Call, tensor: Tensor) -> tuple[Term, ...]:
    """The terms of a matrix that is made of parameters alone; none where that is not known."""
    entry = call.entry(tensor)
    if tensor.dim() != 2:
        return ()
    if isinstance(entry, Weight):
        return (Term((entry.parts[0],)),) if _is_plain(entry) else ()
    return call.recorder.matrices.get(entry.node, ()) if isinstance(entry, Activation) else ()


def _is_plain(weight: Weight) -> bool:
    """Whether a tensor is one parameter, or a view of it."""
    first, *others = weight.parts
    return not (others or first.through or first.scales or first.dims is None)


def follow(call: Call, made: Sequence[Entry]) -> None:
    """Notes what turning a matrix, adding another one or multiplying by a number makes of it."""
    recorder, found = call.recorder, made[0] if made else None
    if not isinstance(found, Activation) or found.node in recorder.matrices:
        return
    entries = [call.entry(source) for source in call.inputs()]
    if not any(
        isinstance(entry, Activation) and entry.node in recorder.matrices for entry in entries
    ):
        return
    given = [of(call, source) for source in call.inputs()]
    alike = all(tuple(tensor.shape) == call.shape for tensor in call.inputs())
    if call.name in _TURNS and call.shape == tuple(call.first.shape)[::-1]:
        _note(call, found, [_turn(term) for term in given[0]])
    elif call.name in ("add", "sub") and alike and all(given):
        _note(call, found, [term for terms in given for term in terms])
    elif call.name in ("mul", "div") and given[0]:
        number = call.number(call["other"])
        if number:
            number = number if call.name == "mul" else 1 / number
            _note(call, found, [replace(term, number=term.number * number) for term in given[0]])


def _turn(term: Term) -> Term:
    turned = (
        replace(factor, dims=factor.dims and factor.dims[::-1]) for factor in reversed(term.factors)
    )
    return replace(term, factors=tuple(turned))


def apply_terms(
    call: Call, value: Activation, terms: Sequence[Term], shape: Sequence[int]
) -> Activation:
    """An activation times the sum of these terms."""
    made, *others = (_apply_term(call, value, term, shape) for term in terms)
    for other in others:
        made = call.recorder.emit("add", [made, other], shape)
    return made


def _apply_term(call: Call, value: Activation, term: Term, shape: Sequence[int]) -> Activation:
    recorder = call.recorder
    for part in term.factors:
        assert part.dims is not None
        if part is term.factors[-1] and term.number != 1:
            value = recorder.times(value, term.number)
        inside, outside = (math.prod(atom.size for atom in atoms) for atoms in part.dims)
        value = recorder.linear(
            value,
            Weight((part,)),
            ("in", "out"),
            (*shape[:-1], outside),
            features=len(shape) - 1,
            fans=(inside, outside),
            label=call.name,
        )
    return value
