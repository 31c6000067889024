"""Memory: what a write in place does to the other tensors in the same memory."""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.record._call import Call
from fanin.frameworks.torch.record._record import Recorder

# Beyond this many elements two tensors of one memory count as overlapping.
_CHECKED = 1 << 24


def onto_itself(call: Call) -> bool:
    """x[i] += y ends with a copy of x[i] into x[i]."""
    if call.name != "copy":
        return False
    source, target = call["src"], call["self"]
    same = source.untyped_storage()._cdata == target.untyped_storage()._cdata
    return same and _place(source) == _place(target)


def spread(recorder: Recorder, written: Tensor, entry: TensorEntry) -> None:
    """What else lies in the memory of a tensor that was written."""
    if not isinstance(entry, (ActivationTensor, ParameterTensor)):
        return
    for other in recorder.sharing(written):
        before = recorder.entry(other)
        if isinstance(before, ParameterTensor) or not overlap(written, other):
            continue
        now = recorder.activation(written)
        if other.shape == written.shape:
            recorder.set(other, now)
            continue
        larger = other.numel() > written.numel()
        if larger and isinstance(before, ActivationTensor):
            made = recorder.emit("concat", [before, now], other.shape, label="write")
        else:
            made = recorder.emit("view", [now], other.shape, label="write")
        recorder.set(other, made)


def _place(tensor: Tensor) -> tuple[object, ...]:
    return tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have an element in common."""
    if _place(a) == _place(b):
        return True
    if not a.numel() or not b.numel():
        return False
    ends = [_end(item) for item in (a, b)]
    if ends[0] <= b.storage_offset() or ends[1] <= a.storage_offset():
        return False
    if max(ends) > _CHECKED:
        return True
    memory = np.zeros(max(ends), bool)
    _view(memory, a)[...] = True
    return bool(_view(memory, b).any())


def _end(tensor: Tensor) -> int:
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    last = sum((size - 1) * step for size, step in steps)
    return int(tensor.storage_offset() + last) + 1


def _view(memory: npt.NDArray[np.bool_], tensor: Tensor) -> npt.NDArray[np.bool_]:
    """The memory as the tensor sees it."""
    strides = [step * memory.itemsize for step in tensor.stride()]
    return np.lib.stride_tricks.as_strided(
        memory[tensor.storage_offset() :], tuple(tensor.shape), strides
    )
