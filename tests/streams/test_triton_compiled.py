"""The kernels compile for NVIDIA GPUs, without one, and nothing there rounds otherwise.

Compiled, not run: by Triton and the assembler that it brings, in a process without its interpreter.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]  # of bench
PER_THREAD = 1024 // 128  # values of a program and its threads
# The fma of a float32 value that the contract asks for: seven in the polynomial, then the scaling,
# and three more for the truncation. None in float64.
UNIFORM, NORMAL, TRUNCATED = 2 * PER_THREAD, 8 * PER_THREAD, 11 * PER_THREAD
KERNELS = {
    "one('normal', 'float32', 90)": NORMAL,
    "one('normal', 'bfloat16', 90, rank=2)": NORMAL,
    "one('normal', 'float16', 90, rank=2, lanes=1)": NORMAL // 2,  # which makes half as many
    "many(False, 4, 80)": UNIFORM + NORMAL + TRUNCATED,
    "many(False, 4, 90)": UNIFORM + NORMAL + TRUNCATED,
    "many(True, 4, 90)": 0,
}
CODE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch, triton
from triton.backends.compiler import GPUTarget
from bench.gpu import instructions as g
from fanin.streams import Normal, _triton
from fanin.streams._address import region

result = {"kernels": [g.suspects(eval(f"g.{call}")) for call in json.loads(sys.argv[2])]}
binary = g.one("normal", "float32", 90)
result["path"] = g.hot_path(binary, "float32")
result["total"] = sum(g.counts(binary, "float32").values())

# What `draw_many` passes to Triton, up to the launch itself, for a driver that has no GPU.
class Driver:
    get_current_target = lambda self: GPUTarget("cuda", 90, 32)
    get_current_device = get_current_stream = lambda self, *_: 0

triton.runtime.driver.set_active(Driver())
kernel, found = type(g.kernels._one), []
launch = kernel.run

def run(self, *arguments, warmup, **options):
    binary = launch(self, *arguments, warmup=True, **options)
    found.append((self.__name__, *options["grid"], binary.metadata.enable_fp_fusion, binary.hash))

kernel.run = run
_triton.kernels_draw = lambda device: True
tensors = [torch.zeros(5), torch.zeros(2000), torch.zeros(33, 7)[:, ::2]]
for some, most_fused in ((3, 0), (2, 0), (3, 1 << 22), (2, 1 << 22)):
    wanted = [(t, region(tuple(t.shape))) for t in tensors[:some]]
    jobs = [_triton.DrawJob(t, Normal(0.0, 1.0), 0, "a", where) for t, where in wanted]
    _triton.draw_many(jobs, most_fused=most_fused)
print(json.dumps({**result, "launches": found}))
"""

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the dev extra has no Triton here",
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program above found out, with no binaries of older kernels."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(ROOT), json.dumps(list(KERNELS))],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_triton_kernels_compile_to_the_fma_of_the_contract_and_no_other(
    compiled: dict[str, Any],
) -> None:
    for (call, fma), counted in zip(KERNELS.items(), compiled["kernels"], strict=True):
        assert counted["fma written"] == counted["fma made"] == fma, call
        assert counted["flushing or approximate"] == counted["spilled bytes"] == 0, call


def test_triton_kernels_store_vectors_and_take_few_instructions(compiled: dict[str, Any]) -> None:
    """51.6 for a float32 normal (docs/gpu.md); a layout gone wrong costs ten more, and barriers."""
    assert compiled["total"] < 56
    assert compiled["path"].count("STG.E.128") == 2
    assert not {name.split(".")[0] for name in compiled["path"]} & {"BAR", "LDS", "STS"}


def test_triton_launches_compile_without_contraction_and_only_once(
    compiled: dict[str, Any],
) -> None:
    launches = compiled["launches"]
    assert [(name, programs) for name, programs, *_ in launches] == [
        *[("_one", 1), ("_one", 2), ("_one", 1)],
        *[("_one", 1), ("_one", 2)],
        ("_many", 4),
        ("_many", 3),
    ]
    assert not any(contracted for _, _, contracted, _ in launches)
    assert len({binary for *_, binary in launches}) == 3  # of ranks 1 and 2, and the fused one
