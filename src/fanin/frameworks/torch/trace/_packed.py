"""Packed sequences in a run on fake tensors: their lengths are known, what reads them is not."""

from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map_only

from fanin.frameworks.torch.trace._mode import RecordingMode, Unreadable

_REPLACED = frozenset(
    (
        *("_pack_padded_sequence", "_pad_packed_sequence"),
        *("tolist", "numpy", "__array__", "__format__"),  # methods that read all values of a tensor
    )
)


class PackingMode(TorchFunctionMode):
    """Packs and pads by selecting rows, and gives values out; torch does it by reading memory."""

    def __init__(self, mode: RecordingMode) -> None:
        super().__init__()
        self._mode = mode

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name not in _REPLACED:
            return func(*args, **(kwargs or {}))
        if name == "_pack_padded_sequence":
            return self._pack(*args)
        if name == "_pad_packed_sequence":
            return self._pad(*args)
        if args and isinstance(args[0], FakeTensor):
            values = self._mode.read(args[0])
            with _disable_current_modes():
                return getattr(values.clone(), name)(*args[1:], **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _pack(self, padded: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
        rows = padded.transpose(0, 1) if batch_first else padded
        steps, batch = rows.shape[:2]
        sizes = _numbers(lengths, self._mode) or [steps] * batch  # unknown: all are full
        running = [sum(size > step for size in sizes) for step in range(max(sizes))]
        taken = [
            step * batch + number for step, count in enumerate(running) for number in range(count)
        ]
        data = rows.flatten(0, 1).index_select(0, self._constant(taken))
        return data, self._constant(running)

    def _pad(
        self, data: Tensor, batch_sizes: Tensor, batch_first: bool, value: float, steps: int
    ) -> tuple[Tensor, Tensor]:
        running = _numbers(batch_sizes, self._mode)
        if running is None:
            raise Unreadable("a packed sequence whose lengths are not known")
        batch = running[0]
        starts = [0, *accumulate(running)]
        taken = [
            starts[step] + number if step < len(running) and number < running[step] else 0
            for step in range(steps)
            for number in range(batch)
        ]
        padded = data.index_select(0, self._constant(taken)).reshape(steps, batch, *data.shape[1:])
        lengths = [sum(number < count for count in running) for number in range(batch)]
        return padded.transpose(0, 1) if batch_first else padded, self._constant(lengths)

    def _constant(self, values: list[int]) -> Tensor:
        with _disable_current_modes():
            real = torch.tensor(values, dtype=torch.int64, device="cpu")
        return self._mode.adopt(real)


def find_packed(args: tuple[Any, ...]) -> PackedSequence | None:
    """The packed sequence that a recurrent module is called with; it could run on its data."""
    return args[0] if args and isinstance(args[0], PackedSequence) else None


def repack(packed: PackedSequence, output: Any, mode: RecordingMode) -> Any:
    """What a recurrent module returns for it, of what it returned for the data as one sequence."""
    running = _numbers(packed.batch_sizes, mode)
    if running is None:
        raise Unreadable("a packed sequence whose lengths are not known")
    batch = running[0]
    data, state = output
    states = tree_map_only(Tensor, lambda item: item.unsqueeze(1).expand(-1, batch, -1), state)
    return PackedSequence(data, *packed[1:]), states


def _numbers(tensor: Tensor, mode: RecordingMode) -> list[int] | None:
    known = mode.read_known(tensor)
    if known is None:
        return None
    with _disable_current_modes():
        numbers: list[int] = known.tolist()
    return numbers
