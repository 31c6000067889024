"""`fanin init FACTORY`: the file has the weights of initialize, or there is no file."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model
from torch import nn

import fanin
from fanin import cli
from fanin.commands import _safetensors
from fanin.frameworks._tiles import tiles

MODELS = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(30, 8, padding_idx=1)
        self.hidden = nn.Linear(8, 8).to(torch.bfloat16)
        self.norm = nn.BatchNorm1d(8)
        self.scale = nn.Parameter(torch.full((8,), 0.125))
        self.head = nn.Linear(8, 30, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("mask", torch.tensor([True, False, True]))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

def endless():
    return nn.Sequential(*(nn.Linear(2048, 2048) for _ in range(200)))

def large():
    return nn.Sequential(*(nn.Linear(2048, 2048) for _ in range(24)))

def none():
    return None

def lost():
    model = nn.Linear(2, 2)
    model.register_buffer("angles", model.weight.detach().norm(dim=1))
    return model

def half():
    model = nn.Linear(2, 2)
    model.register_buffer("angles", torch.empty(3).to(torch.float8_e4m3fn))
    return model

number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "init_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "init_models", raising=False)
    return tmp_path


def init(*arguments: str) -> int:
    flags = ["--initializer", "he_normal", "--seed", "5", "--unplaced", "keep"]
    return cli.main(["init", *arguments, *flags])


def expected() -> nn.Module:
    import init_models  # type: ignore[import-not-found]

    model: nn.Module = init_models.Small()
    fanin.initialize(model, 5, initializer="he_normal", unplaced="keep")
    return model


def test_the_file_holds_what_initialize_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert init("init_models:Small", "--out", "model.safetensors") == 0
    printed = capsys.readouterr()
    assert printed.out == "wrote model.safetensors\n"
    assert "writing model.safetensors: 100 %" in printed.err
    state = expected().state_dict()
    found = load_file("model.safetensors")
    assert set(found) == set(state) - {"head.weight"}
    for name, tensor in found.items():
        assert torch.equal(tensor, state[name]), name
        assert tensor.dtype == state[name].dtype
    with safe_open("model.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["head.weight"] == "table.weight"
    assert (metadata["format"], metadata["seed"], metadata["stream"]) == ("pt", "5", "1")


def test_the_library_loads_it_into_the_model() -> None:
    init("init_models:Small", "--out", "model.safetensors")
    model, state = type(expected())(), expected().state_dict()
    load_model(model, "model.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_shards_and_their_index(capsys: pytest.CaptureFixture[str]) -> None:
    assert init("init_models:Small", "--out", "out/model.safetensors", "--shards", "3") == 0
    names = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    files = sorted(path.name for path in Path("out").iterdir())
    assert files == [*names, "model.safetensors.index.json"]
    index = json.loads(Path("out/model.safetensors.index.json").read_text())
    state = expected().state_dict()
    held: dict[str, torch.Tensor] = {}
    for name in names:
        part = load_file(f"out/{name}")
        assert part
        assert all(index["weight_map"][key] == name for key in part)
        held |= part
    assert set(index["weight_map"]) == set(held)
    assert all(torch.equal(tensor, state[name]) for name, tensor in held.items())
    assert index["metadata"]["total_size"] == sum(one.nbytes for one in held.values())


def test_the_bytes_of_a_small_file() -> None:
    """The format by hand: length, header padded to 8 bytes, data from offset 0."""
    values = np.arange(3, dtype=np.float32)
    entry = type("Entry", (), {"name": "a", "dtype": "float32", "shape": (3,), "size": 12})
    entry.pieces = staticmethod(lambda: iter([values[:2].tobytes(), values[2:].tobytes()]))
    _safetensors.write(Path("a.safetensors"), [entry], {"k": "v"}, 1, lambda n: None)
    text = b'{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}'
    text += b" " * (-len(text) % 8)
    data = Path("a.safetensors").read_bytes()
    assert data == len(text).to_bytes(8, "little") + text + values.tobytes()


def test_tiles_make_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    init("init_models:Small", "--out", "whole.safetensors")
    monkeypatch.setattr(tiles, "__defaults__", (13,))
    init("init_models:Small", "--out", "tiled.safetensors")
    assert Path("whole.safetensors").read_bytes() == Path("tiled.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere:Small", "--out", "a"), "factory 'nowhere:Small' cannot be imported"),
        (("init_models:Smal", "--out", "a"), "factory 'init_models:Smal' cannot be imported"),
        (("init_models", "--out", "a"), "Write package.module:function"),
        (("init_models:number", "--out", "a"), "is no function; write package.module:function"),
        (("init_models:none", "--out", "a"), "the factory made a NoneType; it must make a Module"),
        (("init_models:Small",), "--out is missing; name the file to write"),
        (("init_models:Small", "--out", "a", "--shards", "99"), "shards is 99; the model has 10"),
        (("init_models:Small", "--out", "a", "--shards", "0"), "shards is 0; the model has 10"),
        (("init_models:lost", "--out", "a"), "angles of shape (2,) is computed from weights"),
        (("init_models:half", "--out", "a"), "angles of shape (3,) holds float8_e4m3fn, which"),
        (("init_models:Small", "--out", "init_models.py/a"), "cannot write 'init_models.py/a' ("),
        (("init_models:Small", "--list"), "--list and a factory are both given"),
    ],
)
def test_bad_input_is_one_line_and_no_file(
    arguments: tuple[str, ...], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("fanin: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert {path.name for path in folder.iterdir()} <= {"init_models.py", "__pycache__"}


# What runs in the background of a shell inherits that Ctrl-C is ignored.
HEARS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from fanin.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_in_the_middle_it_leaves_nothing_under_the_final_name(
    sign: signal.Signals, folder: Path
) -> None:
    Path("model.safetensors").write_text("from before")
    command = [sys.executable, "-c", HEARS, "init", "init_models:endless"]
    process = subprocess.Popen(
        [*command, "--out", "model.safetensors", "--initializer", "he_normal"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while sum(one.stat().st_size for one in folder.glob(".model.safetensors.*.tmp")) <= 1 << 24:
        assert process.poll() is None  # until it is in the middle: some MiB of 3 GiB
        time.sleep(0.01)
    process.send_signal(sign)
    _, errors = process.communicate()
    assert Path("model.safetensors").read_text() == "from before"
    left = {path.name for path in folder.iterdir()} - {"init_models.py", "__pycache__"}
    if sign == signal.SIGINT:
        assert process.returncode == 130
        assert errors.endswith("fanin: interrupted\n")
        assert left == {"model.safetensors"}
    else:
        assert process.returncode == -signal.SIGKILL
        assert len(left) == 2
        os.unlink(folder / (left - {"model.safetensors"}).pop())


PEAK = """
import sys
from fanin.cli import main

def peak():  # not ru_maxrss, which starts at the parent's
    lines = open("/proc/self/status").read().splitlines()
    return int(next(one for one in lines if one.startswith("VmHWM")).split()[1]) / 1024

assert main(["init", "init_models:Small", "--out", "small.st", "--unplaced", "keep"]) == 0
before = peak()
assert main(["init", "init_models:large", "--out", "large.st"]) == 0
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_tile(folder: Path) -> None:
    """A file of 384 MiB takes less than 64 MiB: a tile is 16."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert Path("large.st").stat().st_size > 384 << 20
    assert float(done.stdout.split()[-1]) < 64
