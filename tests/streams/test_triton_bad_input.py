"""What cannot be drawn on a device says so, and nothing is written."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from fanin import FaninError
from fanin.streams import Normal, Uniform, _triton
from fanin.streams._address import Region, region
from fanin.streams._triton import DrawJob, draw_many

NORMAL = Normal(0.0, 1.0)


def job(tensor: torch.Tensor, distribution: Any = NORMAL, where: Region | None = None) -> DrawJob:
    return DrawJob(tensor, distribution, 0, "a.weight", where or region(tuple(tensor.shape)))


REFUSED = [
    (lambda: job(torch.ones(3, dtype=torch.int64)), r"\(3,\) has dtype torch.int64; allowed are"),
    (lambda: job(torch.ones(3), None), "has dtype torch.float32; .* uint32 for words"),
    (lambda: job(torch.ones(3, dtype=torch.uint32)), "has dtype torch.uint32; allowed are"),
    (lambda: job(torch.ones(3), NORMAL, region((4,))), r"hold a slice of shape \(4,\); they must"),
    (lambda: job(torch.ones(3, 1).expand(3, 2)), r"has strides \(1, 0\), so that elements overlap"),
    (lambda: job(torch.ones(3).to_sparse()), "has layout torch.sparse_coo; make it dense first"),
    (lambda: job(torch.ones(3, device="meta")), "is a Tensor on meta without memory of its own"),
    (
        lambda: job(torch.ones(3, dtype=torch.float16), Uniform(0.0, 1e6)),
        r"a.weight of shape \(3,\): Uniform.* reaches 1e\+06, beyond the range of float16",
    ),
]


@pytest.mark.parametrize(("bad", "message"), REFUSED)
def test_triton_refuses_and_leaves_the_others(bad: Any, message: str) -> None:
    good, wrong = torch.full((5,), 7.0), bad()
    with pytest.raises(FaninError, match=f"a.weight of shape .*{message}|{message}"):
        draw_many([job(good), wrong])
    assert torch.all(good == 7)


def test_triton_refuses_two_devices_in_a_call() -> None:
    good = torch.full((5,), 7.0)
    other = torch.empty(0, device="meta")
    with pytest.raises(
        FaninError, match=r"a.weight of shape \(0,\) is on meta and a.weight of .* "
    ):
        draw_many([job(good), job(other)])
    assert torch.all(good == 7)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_triton_refuses_a_cuda_tensor_without_cuda() -> None:
    with FakeTensorMode():
        fake = torch.empty(3, device="cuda")
    with pytest.raises(FaninError, match=r"is on cuda:0, and this torch has no CUDA device; inst"):
        draw_many([job(fake)])


def test_triton_out_of_memory_writes_nothing_and_names_the_parameter(
    gpu: torch.device, draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(_triton, "_coefficients", full)
    tensor = torch.full((5,), 7.0, device=gpu)
    with pytest.raises(FaninError, match=r"no room for the table of 1 draws \(\d+ bytes\), of wh"):
        draw([job(tensor)])
    with pytest.raises(FaninError, match=r"a.weight of shape \(5,\) is the first; nothing was wri"):
        draw([job(tensor)])
    assert torch.all(tensor == 7)


def test_triton_draws_nothing_into_empty_tensors(gpu: torch.device, draw: Any) -> None:
    draw([])
    draw([job(torch.empty(0, 3, device=gpu))])


def test_importing_the_triton_back_end_does_not_load_triton() -> None:
    code = "import sys, fanin.streams._triton; print('triton.language' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
