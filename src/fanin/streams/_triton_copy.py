"""Draws for a device without kernels: the CPU draws, and the values are copied there."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from fanin.errors import FaninError
from fanin.streams._address import Region, stream_number
from fanin.streams._backends import check_threads, current_fill
from fanin.streams._distributions import Constant
from fanin.streams._output import Array, encode
from fanin.streams._triton_jobs import DrawJob, steps

CHUNK = 1 << 24  # bytes of each of two buffers: one is drawn into while the other is copied


def copy_many(jobs: Sequence[DrawJob], chunk: int = CHUNK) -> None:
    """Fill the tensors of the jobs, which were checked, through buffers of `chunk` bytes.

    For CUDA the buffers are pinned memory, and copies run while the next chunk is drawn.
    """
    buffers = _Buffers(jobs, min(chunk, max(job.tensor.nbytes for job in jobs)))
    with torch.no_grad():
        for job in jobs:
            for part in _parts(job, chunk // job.tensor.element_size()):
                values = buffers.next(part.tensor)
                _draw(part, values)
                buffers.copy(values, part.tensor)
    buffers.finish()


def _parts(job: DrawJob, most: int) -> Iterator[DrawJob]:
    """The job as jobs of at most `most` elements each."""
    shape, own = job.region.shape, steps(job.region)
    if job.tensor.numel() <= most:
        yield replace(job, region=Region(job.region.base, shape, own))
        return
    axis = next(axis for axis, size in enumerate(shape) if size > 1)
    rows = max(1, most * shape[axis] // job.tensor.numel())
    for start in range(0, shape[axis], rows):
        tensor = job.tensor.narrow(axis, start, min(rows, shape[axis] - start))
        region = Region(job.region.base + start * own[axis], tuple(tensor.shape), own)
        yield from _parts(replace(job, tensor=tensor, region=region), most)


def _draw(job: DrawJob, values: torch.Tensor) -> None:
    """Draw a job's values into CPU memory of its shape."""
    out, distribution = _as_numpy(values), job.distribution
    if isinstance(distribution, Constant):
        out[...] = encode(np.array(job.constants()), job.encoding)
        return
    current_fill()(
        out,
        job.encoding,
        job.region.base % 2**64,
        job.region.steps,
        job.seed,
        (stream_number(job.name), stream_number(job.name, "low")),
        distribution.kind if distribution else "words",
        job.constants(),
        check_threads(None, out.size),
    )


def _as_numpy(tensor: torch.Tensor) -> Array:
    """CPU memory as the back ends take it: 16-bit floats as their bits."""
    if tensor.element_size() == 2:
        return tensor.view(torch.int16).numpy().view(np.uint16)
    array: Array = tensor.numpy()
    return array


class _Buffers:
    """Two buffers in turn; a buffer is free again when its copy has been made."""

    def __init__(self, jobs: Sequence[DrawJob], size: int) -> None:
        self._device = jobs[0].tensor.device
        self._cuda = self._device.type == "cuda"
        self._there: torch.Tensor | None = None  # where values for strided tensors land first
        try:
            self._memory = [
                torch.empty(size, dtype=torch.uint8, device="cpu", pin_memory=self._cuda)
                for _ in range(2)
            ]
            if not all(job.tensor.is_contiguous() for job in jobs):
                self._there = torch.empty(size, dtype=torch.uint8, device=self._device)
        except (RuntimeError, MemoryError) as error:
            raise FaninError(
                f"there is no memory for buffers of {size:,} bytes through which "
                f"{jobs[0].label()} is drawn ({error}); nothing was written. Free memory and call "
                "again."
            ) from None
        self._copied: list[torch.cuda.Event | None] = [None, None]
        self._turn = 0

    def next(self, tensor: torch.Tensor) -> torch.Tensor:
        """Free CPU memory of a tensor's dtype and shape."""
        self._turn = 1 - self._turn
        event = self._copied[self._turn]
        if event is not None:
            event.synchronize()
        return _shape(self._memory[self._turn], tensor)

    def copy(self, values: torch.Tensor, tensor: torch.Tensor) -> None:
        """Copy what was drawn into the memory that `next` gave."""
        if self._there is not None and not tensor.is_contiguous():
            # Else torch would allocate there, when some values have been written.
            values = _shape(self._there, tensor).copy_(values, non_blocking=self._cuda)
        tensor.copy_(values, non_blocking=self._cuda)
        if self._cuda:
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(self._device))
            self._copied[self._turn] = event

    def finish(self) -> None:
        """Wait for the copies: the buffers are about to be given back."""
        for event in self._copied:
            if event is not None:
                event.synchronize()


def _shape(memory: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """The beginning of a buffer, with a tensor's dtype and shape."""
    return memory[: tensor.nbytes].view(tensor.dtype).view(tensor.shape)
