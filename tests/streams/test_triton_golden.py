"""The kernels draw the golden values: on a GPU, or in Triton's interpreter on the CPU."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from fanin.streams import Distribution, Normal, TruncatedNormal, Uniform
from fanin.streams._address import region
from fanin.streams._triton import DrawJob

LINES = (Path(__file__).parents[1] / "golden" / "streams_v1.txt").read_text("utf-8").splitlines()
LINE = re.compile(r'(draw|hash) (\w+) (\d+) (".*") (\d+) (\w+)\((.*)\) : (.*)')
WIDTH = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def distribution(kind: str, arguments: str) -> Distribution | None:
    """What a line draws; None means words."""
    numbers = [float(argument) for argument in arguments.split(",") if argument]
    if kind == "normal":
        return Normal(*numbers)
    if kind == "uniform":
        return Uniform(*numbers)
    return TruncatedNormal(*numbers) if kind == "truncated_normal" else None


def jobs(what: str, gpu: torch.device) -> list[tuple[DrawJob, str]]:
    """A job for each line of a kind, and what it must draw."""
    found = []
    for line in LINES:
        match = LINE.fullmatch(line)
        if match is None or match.group(1) != what:
            continue
        _, dtype, seed, name, number, kind, arguments, golden = match.groups()
        first = int(number) if what == "draw" else 0
        count = len(golden.split()) if what == "draw" else int(number)
        tensor = torch.empty(count, dtype=getattr(torch, dtype), device=gpu)
        where = region((2**62,), slice(first, first + count))
        drawn = distribution(kind, arguments)
        found.append((DrawJob(tensor, drawn, int(seed), json.loads(name), where), golden))
    return found


def bits(tensor: torch.Tensor) -> str:
    """The values' bits, as the golden file writes them."""
    digits = 2 * tensor.element_size()
    numbers = tensor.cpu().view(WIDTH[tensor.element_size()]).tolist()
    return " ".join(f"{number % 16**digits:0{digits}x}" for number in numbers)


def test_triton_draws_the_golden_values(gpu: torch.device, draw: Any) -> None:
    """All of them in two fused launches: words and single precision, double precision."""
    todo = jobs("draw", gpu)
    assert len(todo) == 265
    draw([job for job, _ in todo], program=16)
    different = [job.label() for job, golden in todo if bits(job.tensor) != golden]
    assert not different, "\n".join(different[:10])


def test_triton_draws_the_golden_hashes(gpu: torch.device, draw: Any) -> None:
    """A launch each; in the interpreter, one program each."""
    todo = jobs("hash", gpu)
    assert len(todo) == 52
    draw([job for job, _ in todo], most_fused=0, program=None)
    for job, golden in todo:
        values = job.tensor.cpu().view(WIDTH[job.tensor.element_size()]).numpy()
        assert hashlib.sha256(values).hexdigest() == golden, job.distribution
