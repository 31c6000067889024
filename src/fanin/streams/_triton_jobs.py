"""What is to be drawn where: jobs, and how each becomes a row of the kernels' table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from fanin._arguments import check_seed
from fanin.errors import FaninError
from fanin.streams import _triton_tables as tables
from fanin.streams._address import Region, stream_number
from fanin.streams._distributions import Distribution
from fanin.streams._output import constants_of, precision_of

_ENCODINGS = {getattr(torch, name): name for name in tables.ENCODINGS}


@dataclass(frozen=True, slots=True)
class DrawJob:
    """A tensor to be filled with the draws of a stream.

    `tensor` is float32, float64, bfloat16 or float16, of any strides; `region` has its shape and
    its elements' addresses in the whole parameter, of which it may be a slice or a shard.
    `distribution` None means the words themselves, into uint32. `name` is the stream's and, in
    errors, the parameter's.
    """

    tensor: torch.Tensor
    distribution: Distribution | None
    seed: int
    name: str
    region: Region

    @property
    def encoding(self) -> str:
        """How values are stored: the name of the tensor's dtype."""
        return _ENCODINGS[self.tensor.dtype]

    @property
    def precision(self) -> str:
        """What the draw computes in: float32 or float64."""
        return precision_of(self.encoding)

    def constants(self) -> tuple[float, ...]:
        """The doubles that the draw computes with; FaninError where it leaves its dtype's range."""
        return constants_of(self.distribution, self.encoding) if self.distribution else ()

    def label(self) -> str:
        """How errors name the parameter."""
        return f"{self.name} of shape {tuple(self.tensor.shape)}"


def check(jobs: Sequence[DrawJob]) -> None:
    """Raise for what cannot be drawn, before anything is written."""
    for job in jobs:
        _check(job)
    for job in jobs:
        device, first = job.tensor.device, jobs[0].tensor.device
        if device != first:
            raise FaninError(
                f"{job.label()} is on {device} and {jobs[0].label()} on {first}; one call writes "
                "to one device: call once for each."
            )


def _check(job: DrawJob) -> None:
    tensor, region = job.tensor, job.region
    check_seed(job.seed)
    stream_number(job.name)
    if tensor.layout is not torch.strided:
        raise FaninError(f"{job.label()} has layout {tensor.layout}; make it dense first.")
    _check_memory(job)
    if (tensor.dtype == torch.uint32) != (job.distribution is None) or (
        tensor.dtype not in _ENCODINGS
    ):
        raise FaninError(
            f"{job.label()} has dtype {tensor.dtype}; allowed are torch.float32, float64, bfloat16 "
            "and float16, and uint32 for words."
        )
    if region.shape != tuple(tensor.shape):
        raise FaninError(
            f"{job.label()} is to hold a slice of shape {region.shape}; they must agree."
        )
    if _may_overlap(tensor):
        raise FaninError(
            f"{job.label()} has strides {tensor.stride()}, so that elements overlap in memory; "
            "pass a tensor that owns each of its elements."
        )
    try:
        job.constants()
    except FaninError as error:
        raise FaninError(f"{job.label()}: {error}") from None


def _check_memory(job: DrawJob) -> None:
    tensor = job.tensor
    if tensor.device.type == "cuda" and not torch.cuda.is_available():
        raise FaninError(
            f"{job.label()} is on {tensor.device}, and this torch has no CUDA device; install "
            "torch with CUDA, or keep the parameter on the CPU."
        )
    try:
        there = tensor.numel() == 0 or tensor.data_ptr() != 0
    except RuntimeError:  # a tensor that only stands for others
        there = False
    if not there:
        raise FaninError(
            f"{job.label()} is a {type(tensor).__name__} on {tensor.device} without memory of its "
            "own; materialize it, or pass the local tensor of a shard with its region."
        )


def _may_overlap(tensor: torch.Tensor) -> bool:
    reach = 1
    if tensor.numel() > 0:
        for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
            if size > 1:
                if stride < reach:
                    return True
                reach += stride * (size - 1)
    return False


class Axis(NamedTuple):
    """Element j of an axis has the address step * j and lies stride * j elements on."""

    size: int
    step: int
    stride: int


class MemoryLayout(NamedTuple):
    """The axes of a job as the kernels walk them."""

    base: int  # the address of the element at position 0 of every axis
    offset: int  # where it lies, in elements after the tensor's first
    run: Axis | None  # the axis along which addresses step by one, where blocks of four are made
    across: tuple[Axis, ...]  # the others, the fastest in memory first


_SHORT_RUN = 4  # a shorter run would waste most of a block's words


def layout(job: DrawJob) -> MemoryLayout:
    """Axes with positive steps, neighbours merged where both addresses and memory run on.

    native/tiling.cpp does the same.
    """
    base, offset = job.region.base, 0
    axes = []
    strides = job.tensor.stride()
    for size, step, stride in zip(job.region.shape, steps(job.region), strides, strict=True):
        if size > 1:
            if step < 0:
                base += step * (size - 1)
                offset += stride * (size - 1)
                step, stride = -step, -stride
            axes.append(Axis(size, step, stride))
    merged: list[Axis] = []
    for axis in sorted(axes, key=lambda axis: axis.step):  # the fastest first
        inner = merged[-1] if merged else None
        runs_on = inner and (axis.step, axis.stride) == (
            inner.step * inner.size,
            inner.stride * inner.size,
        )
        if inner and runs_on:
            merged[-1] = Axis(inner.size * axis.size, inner.step, inner.stride)
        else:
            merged.append(axis)
    run = None
    if merged and merged[0].step == 1 and merged[0].size >= _SHORT_RUN:
        run = merged.pop(0)
    return MemoryLayout(base, offset, run, tuple(sorted(merged, key=lambda axis: abs(axis.stride))))


def steps(region: Region) -> tuple[int, ...]:
    """The address steps of a region's axes, row-major where it gives none."""
    if region.steps is not None:
        return region.steps
    result, step = [], 1
    for size in reversed(region.shape):
        result.append(step)
        step *= size
    return tuple(reversed(result))


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job's row of the table, and what chooses the kernel that draws it."""

    job: DrawJob
    numbers: list[int]  # signed, of 64 bits
    groups: int
    lanes: int

    @property
    def rank(self) -> int:
        """The number of axes."""
        return self.numbers[tables.RANK]

    @property
    def double(self) -> bool:
        """Whether the draw computes in float64."""
        return self.job.precision == "float64"


def make_row(job: DrawJob) -> JobRow:
    """The numbers that the kernels read about a job that has elements."""
    plan = layout(job)
    size = job.tensor.element_size()
    out = job.tensor.data_ptr() + plan.offset * size
    axes = [(*axis, 0) for axis in plan.across]
    length, stride = 1, 0
    if plan.run:
        length, _, stride = plan.run
        blocks = _blocks(plan, length)
        place = sum(abs(axis.stride) < 4 * abs(stride) for axis in plan.across)
        axes.insert(place, (blocks, 4, 4 * stride, 4))
    axes = axes or [(1, 0, 0, 0)]
    numbers = [0] * (tables.AXES + tables.AXIS * len(axes))
    numbers[tables.OUT] = out
    numbers[tables.BASE] = plan.base
    numbers[tables.SEED] = job.seed
    numbers[tables.STREAM] = stream_number(job.name)
    numbers[tables.LOW] = stream_number(job.name, "low")
    numbers[tables.KIND] = tables.KINDS[job.distribution.kind if job.distribution else "words"]
    numbers[tables.ENCODING] = tables.ENCODINGS[job.encoding]
    numbers[tables.RUN : tables.RUN_STRIDE + 1] = length, stride
    groups = math.prod(axis[0] for axis in axes)
    if plan.run and _is_aligned(plan, out, size):
        numbers[tables.WHOLE] = groups if plan.across else length // 4
    numbers[tables.GROUPS : tables.RANK + 1] = groups, len(axes)
    bits = _constant_bits(job)
    numbers[tables.CONSTANTS : tables.CONSTANTS + len(bits)] = bits
    numbers[tables.AXES :] = [number for axis in axes for number in axis]
    return JobRow(job, [_sign(number) for number in numbers], groups, 4 if plan.run else 1)


def _blocks(plan: MemoryLayout, length: int) -> int:
    """How many blocks hold a run; where runs begin anywhere in a block, the most that may."""
    if all(axis.step % 4 == 0 for axis in plan.across):
        return (plan.base % 4 + length + 3) // 4
    return (3 + length + 3) // 4


def _is_aligned(plan: MemoryLayout, out: int, size: int) -> bool:
    """Whether every block's four elements lie side by side where a vector store may write."""
    assert plan.run is not None
    side_by_side = plan.run.stride == 1 and plan.base % 4 == 0 and out % (4 * size) == 0
    return side_by_side and (
        not plan.across
        or plan.run.size % 4 == 0 == math.gcd(*[n for axis in plan.across for n in axis[1:]]) % 4
    )


def _constant_bits(job: DrawJob) -> list[int]:
    constants = np.array(job.constants())
    if not (job.distribution and job.distribution.kind == "constant"):
        constants = constants + 0.0  # no -0.0
    if job.precision == "float64":
        return [int(bits) for bits in constants.view(np.int64)]
    with np.errstate(over="ignore"):
        single = constants.astype(np.float32)
    if not (job.distribution and job.distribution.kind == "constant"):
        single = single + np.float32(0.0)  # to which a small number may round
    return [int(bits) for bits in single.view(np.int32)]


def _sign(number: int) -> int:
    """The number modulo 2**64, as a signed one."""
    return (number + 2**63) % 2**64 - 2**63
