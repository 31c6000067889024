"""What the tests of the GPU kernels share: a GPU, or Triton's interpreter in its place."""

import platform
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # `make test-sanitizers` has no torch
    import torch

Draw = Callable[..., None]


@pytest.fixture(scope="session")
def gpu() -> "torch.device":
    """The device to draw on: CUDA where there is one, else the CPU, by the interpreter."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def draw(gpu: "torch.device", monkeypatch: pytest.MonkeyPatch) -> Draw:
    """`draw_many`, by the kernels; `program` counts in the interpreter only, None being large.

    There a large one saves time; on a GPU each is a compilation.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the dev extra has no Triton here")
    from fanin.streams import _triton

    if gpu.type == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")  # before Triton decorates the kernels

    def run(
        jobs: Sequence[_triton.DrawJob],
        most_fused: int = _triton.MOST_FUSED,
        program: int | None = _triton.PROGRAM,
    ) -> None:
        if gpu.type == "cuda":
            program = _triton.PROGRAM
        elif program is None:
            largest = max(job.tensor.numel() for job in jobs)
            program = max(16, 1 << largest.bit_length())
        _triton.draw_many(jobs, program, most_fused)

    return run
