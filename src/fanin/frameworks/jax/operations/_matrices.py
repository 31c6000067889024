"""Matrices made of parameters, followed through what a program does with them."""

from collections.abc import Sequence
from dataclasses import replace

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._matrices import (
    apply_terms,
    note_product,
    note_terms,
    terms_of,
    turn,
)
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry, Term
from fanin.frameworks.recording._weights import ParameterTensor


def _of(call: Call, at: int) -> tuple[Term, ...]:
    """The terms of a matrix, the axis that an input meets in front."""
    return terms_of(call.recorder, call.entries[at], len(call.ins[at].shape))


def follow(call: Call, made: Sequence[TensorEntry]) -> None:
    """Notes what turning a matrix, adding another one or multiplying by a number makes of it."""
    recorder, found = call.recorder, made[0]
    if not isinstance(found, ActivationTensor) or found.node in recorder.matrices:
        return
    active = [entry for entry in call.entries if isinstance(entry, ActivationTensor)]
    if not any(entry.node in recorder.matrices for entry in active):
        return
    given = [_of(call, at) for at in range(len(call.entries))]
    alike = all(shaped.shape == call.shape for shaped in call.ins)
    if call.name == "transpose" and tuple(call.params["permutation"]) == (1, 0):
        note_terms(recorder, found, [turn(term) for term in given[0]])
    elif call.name in ("add", "sub") and alike and all(given):
        note_terms(recorder, found, [term for terms in given for term in terms])
    elif call.name in ("mul", "div"):
        at = 0 if given[0] else 1
        number = call.number(1 - at)
        if given[at] and number and (call.name == "mul" or at == 0):
            number = number if call.name == "mul" else 1 / number
            terms = [replace(term, number=term.number * number) for term in given[at]]
            note_terms(recorder, found, terms)


def multiply(call: Call, made: ActivationTensor) -> None:
    """Notes the product of two matrices."""
    if len(call.shape) == 2 and not call.params["dimension_numbers"][1][0]:
        left, right = _orient(call)
        note_product(call.recorder, left, right, made)


def _orient(call: Call) -> tuple[list[Term], list[Term]]:
    """The terms of both sides, turned so that the summed axis is between them."""
    (summed_a,), (summed_b,) = call.params["dimension_numbers"][0]
    left, right = _of(call, 0), _of(call, 1)
    return (
        [turn(term) if summed_a == 0 else term for term in left],
        [turn(term) if summed_b == 1 else term for term in right],
    )


def apply(call: Call, value: int) -> ActivationTensor | None:
    """An activation times a matrix that is made of parameters; None for another product."""
    matrix = 1 - value
    entry = call.entries[matrix]
    (summed, batch) = (numbers[matrix] for numbers in call.params["dimension_numbers"])
    if isinstance(entry, ParameterTensor) or len(summed) != 1 or batch or value == 1:
        return None
    if call.params["dimension_numbers"][0][0] != (len(call.ins[0].shape) - 1,):
        return None
    terms = _of(call, matrix)
    if not terms:
        return None
    own = [turn(term) if summed[0] == 1 else term for term in terms]
    return apply_terms(call.recorder, call.activation(value), own, call.shape, "dot_general")
