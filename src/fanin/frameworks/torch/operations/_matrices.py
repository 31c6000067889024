"""Matrices made of parameters, followed through what torch does with them."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from fanin.frameworks.recording._matrices import note_terms, terms_of, turn
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry, Term
from fanin.frameworks.torch.record._call import Call

_TURNS = ("t", "t_copy", "transpose", "transpose_copy", "numpy_T", "permute")


def of(call: Call, tensor: Tensor) -> tuple[Term, ...]:
    """The terms of a matrix that is made of parameters alone; none where that is not known."""
    return terms_of(call.recorder, call.entry(tensor), tensor.dim())


def follow(call: Call, made: Sequence[TensorEntry]) -> None:
    """Notes what turning a matrix, adding another one or multiplying by a number makes of it."""
    recorder, found = call.recorder, made[0] if made else None
    if not isinstance(found, ActivationTensor) or found.node in recorder.matrices:
        return
    if not any(
        isinstance(entry, ActivationTensor) and entry.node in recorder.matrices
        for entry in call.entries
    ):
        return
    given = [of(call, source) for source in call.inputs()]
    alike = all(tuple(tensor.shape) == call.shape for tensor in call.inputs())
    if call.name in _TURNS and call.shape == tuple(call.first.shape)[::-1]:
        note_terms(recorder, found, [turn(term) for term in given[0]])
    elif call.name in ("add", "sub") and alike and all(given):
        note_terms(recorder, found, [term for terms in given for term in terms])
    elif call.name in ("mul", "div") and given[0]:
        number = call.number(call["other"])
        if number:
            number = number if call.name == "mul" else 1 / number
            terms = [replace(term, number=term.number * number) for term in given[0]]
            note_terms(recorder, found, terms)
