"""Draws on a GPU: `draw_many` fills tensors of one device with the bits of every other back end.

Triton's kernels draw where Triton and CUDA are there; elsewhere the CPU draws and the values are
copied. With TRITON_INTERPRET=1 the kernels are interpreted on CPU tensors, which is how they are
tested without a GPU. docs/gpu.md says how they work.
"""

import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from fanin.errors import FaninError
from fanin.streams._triton_copy import copy_many
from fanin.streams._triton_jobs import DrawJob as DrawJob
from fanin.streams._triton_jobs import JobRow, check, make_row
from fanin.streams._triton_tables import ENCODING, KIND, coefficients

# Values that a program makes: enough to hide the latency of reading its job.
PROGRAM = 1024
# A tensor with more has a launch of its own; below, launching costs more than drawing.
MOST_FUSED = 1 << 22
# From here on groups are numbered in 64 bits.
MANY_GROUPS = 1 << 31

WARPS = 4
# What a group counts for in a program, by its lanes: a block made for one element takes registers
# as two elements do.
VALUES = {4: 4, 1: 2}


def draw_many(
    jobs: Sequence[DrawJob], program: int = PROGRAM, most_fused: int = MOST_FUSED
) -> None:
    """Fill the tensors of the jobs, all on one device, each with the draws that it asks for.

    Tensors of more than `most_fused` elements take a launch each; the others share one (one more
    for float64, and for slices along which addresses do not step by one). The values do not depend
    on `program`, the number that a program of the grid makes.

    Whatever can fail is tried before the first value is written: FaninError for dtypes, layouts,
    ranges and devices that cannot be drawn, and where memory is lacking.
    """
    check(jobs)
    jobs = [job for job in jobs if job.tensor.numel()]
    if not jobs:
        return
    if kernels_draw(jobs[0].tensor.device):
        _Launches([make_row(job) for job in jobs], program, most_fused).run()
    else:
        copy_many(jobs)
    for job in jobs:
        if not job.tensor.is_inference():  # written behind autograd's back
            torch.autograd.graph.increment_version(job.tensor)


def is_interpreted() -> bool:
    """Whether Triton runs kernels on the CPU, by TRITON_INTERPRET=1."""
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on", "yes", "y")


# On a GPU, the oldest that the kernels were compiled with (torch brings its own); the interpreter
# of older ones rounds an fma twice.
_OLDEST = {"cuda": (3, 4), "cpu": (3, 9)}


@cache
def _has_triton(device_type: str) -> bool:
    if find_spec("triton") is not None:
        import triton

        if tuple(map(int, triton.__version__.split(".")[:2])) >= _OLDEST[device_type]:
            return True
    warnings.warn(
        f"Triton {'.'.join(map(str, _OLDEST[device_type]))} or later is not installed: the CPU "
        "draws and the values are copied, with the same bits, but slower. Install fanin[gpu].",
        RuntimeWarning,
        stacklevel=4,  # the line that draws
    )
    return False


def kernels_draw(device: torch.device) -> bool:
    """Whether tensors there are drawn by Triton's kernels; else the CPU draws and copies."""
    if device.type == "cuda" and torch.version.hip is None:
        return _has_triton("cuda")
    return device.type == "cpu" and is_interpreted() and _has_triton("cpu")


class _Launches:
    """The rows of a call by kernel, and their table in device memory."""

    def __init__(self, rows: list[JobRow], program: int, most_fused: int) -> None:
        self._device = rows[0].job.tensor.device
        self._program = program
        self._fused: dict[tuple[bool, int], list[JobRow]] = {}
        self._alone: list[JobRow] = []
        for row in rows:
            if row.job.tensor.numel() > most_fused:
                self._alone.append(row)
            else:
                self._fused.setdefault((row.double, row.lanes), []).append(row)
        ordered = [*self._alone, *(row for group in self._fused.values() for row in group)]
        self._columns = max(len(row.numbers) for row in rows)
        self._firsts = {key: self._first_programs(group) for key, group in self._fused.items()}
        table = np.zeros((len(ordered), self._columns), np.int64)
        for numbers, row in zip(table, ordered, strict=True):
            numbers[: len(row.numbers)] = row.numbers
        parts = [table.ravel(), *(firsts[:-1] for firsts in self._firsts.values())]
        try:
            self._table = torch.from_numpy(np.concatenate(parts)).to(self._device)
            self._coefficients = {
                double: _coefficients(double, self._device) for double in {o.double for o in rows}
            }
        except torch.OutOfMemoryError:
            raise FaninError(
                f"{self._device} has no room for the table of {len(rows)} draws "
                f"({8 * sum(map(len, parts)):,} bytes), of which {rows[0].job.label()} is the "
                "first; nothing was written. Free memory there and call again."
            ) from None

    def _first_programs(self, group: list[JobRow]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The number of each row's first program, and their number in all."""
        programs = [self._programs(row) for row in group]
        return np.cumsum([0, *programs], dtype=np.int64)

    def _programs(self, row: JobRow) -> int:
        return -(-row.groups // (self._program // VALUES[row.lanes]))

    def run(self) -> None:
        """Launch everything."""
        from fanin.streams import _triton_kernels as kernels

        options = {"num_warps": WARPS, "enable_fp_fusion": False}
        with _current(self._device):
            for number, row in enumerate(self._alone):
                kernels._one[(self._programs(row),)](
                    self._table[number * self._columns :],
                    self._coefficients[row.double],
                    KIND=row.numbers[KIND],
                    ENCODING=row.numbers[ENCODING],
                    RANK=row.rank,
                    DOUBLE=row.double,
                    LANES=row.lanes,
                    WIDE=row.groups >= MANY_GROUPS,
                    BLOCK=self._program // VALUES[row.lanes],
                    **options,
                )
            start = len(self._alone) * self._columns
            firsts = start + sum(map(len, self._fused.values())) * self._columns
            for (double, lanes), group in self._fused.items():
                kernels._many[(int(self._firsts[double, lanes][-1]),)](
                    self._table[start:],
                    self._columns,
                    self._table[firsts:],
                    len(group),
                    self._coefficients[double],
                    DOUBLE=double,
                    LANES=lanes,
                    BLOCK=self._program // VALUES[lanes],
                    **options,
                )
                start += len(group) * self._columns
                firsts += len(group)


def _current(device: torch.device) -> AbstractContextManager[object]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@cache
def _coefficients(double: bool, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(coefficients("float64" if double else "float32")).to(device)
