"""Softmax: the quotient or the difference that it is written as, without its name."""

import math

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.recording._record import ActivationTensor


def _see_through(recorder: Recorder, node: int) -> int:
    """What a node shows, masked or in another shape."""
    while recorder.nodes[node].op == "view" and "part" not in recorder.nodes[node].flags:
        if not recorder.nodes[node].inputs:
            break
        node = recorder.nodes[node].inputs[0]
    return node


def note_largest(call: Call, made: ActivationTensor) -> None:
    """Notes the largest of every row."""
    entry = call.entries[0]
    if isinstance(entry, ActivationTensor):
        call.recorder.maxima[made.node] = _see_through(call.recorder, entry.node)


def note_difference(call: Call, made: ActivationTensor) -> None:
    """Notes a row without its largest."""
    x, largest = call.entries
    if isinstance(x, ActivationTensor) and isinstance(largest, ActivationTensor):
        recorder = call.recorder
        of = recorder.maxima.get(_see_through(recorder, largest.node))
        if of is not None and recorder.twin(of) == recorder.twin(_see_through(recorder, x.node)):
            recorder.shifted[made.node] = x.node


def note_exponential(call: Call, source: ActivationTensor, made: ActivationTensor) -> None:
    """Notes the exponential of such a row, and the logarithm of its sum."""
    recorder = call.recorder
    node = _see_through(recorder, source.node)
    if call.name == "exp" and node in recorder.shifted:
        recorder.exponentials[made.node] = recorder.shifted[node]
    elif call.name == "log" and node in recorder.totals:
        recorder.totals[made.node] = (recorder.totals[node][0], True)


def note_total(call: Call, made: ActivationTensor) -> None:
    """Notes the sum of such exponentials."""
    entry, recorder = call.entries[0], call.recorder
    node = _see_through(recorder, entry.node) if isinstance(entry, ActivationTensor) else -1
    if node in recorder.exponentials:
        recorder.totals[made.node] = (recorder.exponentials[node], False)


def find_softmax(call: Call, value: ActivationTensor, divisor: int) -> ActivationTensor | None:
    """A row of exponentials over its sum."""
    recorder, entry = call.recorder, call.entries[divisor]
    if not isinstance(entry, ActivationTensor):
        return None
    of = recorder.exponentials.get(_see_through(recorder, value.node))
    total = _see_through(recorder, entry.node)
    if of is None or recorder.totals.get(total) != (of, False):
        return None
    return _softmax(call, of, total, "softmax")


def find_log_softmax(call: Call) -> ActivationTensor | None:
    """A row less the logarithm of the sum of its exponentials."""
    recorder = call.recorder
    x, entry = call.entries
    if not isinstance(entry, ActivationTensor) or not isinstance(x, ActivationTensor):
        return None
    of = recorder.shifted.get(_see_through(recorder, x.node))
    total = _see_through(recorder, entry.node)
    if of is None or recorder.totals.get(total) != (of, True):
        return None
    return _softmax(call, of, total, "log_softmax")


def _softmax(call: Call, source: int, total: int, label: str) -> ActivationTensor:
    recorder = call.recorder
    count = math.prod(call.shape) / max(math.prod(recorder.nodes[total].shape), 1)
    return recorder.emit(
        "softmax", [ActivationTensor(source)], call.shape, label=label, count=count
    )
