"""`fanin verify`: files proved against a plan."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import fanin
from fanin import cli
from fanin.frameworks import _tiles

MODELS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 16, padding_idx=3)
        self.line = nn.Linear(16, 16)
        self.rotated = nn.Linear(16, 16)
        self.norm = nn.BatchNorm1d(16)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.table.weight
        self.rate = nn.Parameter(torch.log(torch.arange(1.0, 17.0)))
        self.scale = nn.Parameter(torch.ones(()))
        nn.utils.parametrizations.weight_norm(self.line)

    def forward(self, tokens):
        h = self.table(tokens).mean(1) * torch.exp(-torch.exp(self.rate))
        return self.scale * self.head(self.norm(torch.relu(self.rotated(torch.relu(self.line(h))))))

def nothing():
    return nn.ReLU()
"""
INIT = ["init", "verify_models:Net", "--input", "8:tokens=50", "--quiet"]
INIT += ["--override", "rotated.weight=orthogonal", "--seed", "7"]


@pytest.fixture(autouse=True)
def folder(write_module: Callable[[str, str], Path]) -> Path:
    return write_module("verify_models", MODELS)


def init(*arguments: str) -> None:
    assert cli.main([*INIT, "--out", "m.safetensors", "--save-plan", "p.toml", *arguments]) == 0


def test_what_init_wrote_is_verified(capsys: pytest.CaptureFixture[str]) -> None:
    init()
    digest = capsys.readouterr().out.splitlines()[-1]
    assert cli.main(["verify", "p.toml", "m.safetensors"]) == 0
    printed = capsys.readouterr()
    told = "verified: 10 parameters, seed 7, all as the plan draws them"
    assert printed.out == f"{told}\n{digest}\n"
    assert "not in the plan, as buffers are not: " in printed.err


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_in_every_type(dtype: str) -> None:
    init("--dtype", dtype)
    assert cli.main(["verify", "p.toml", "m.safetensors"]) == 0


@pytest.mark.parametrize("files", [["m.safetensors.index.json"], ["."], ["m-1", "m-2", "m-3"]])
def test_shards_an_index_and_a_folder(files: list[str]) -> None:
    init("--shards", "3")
    names = [f"{one.replace('-', '-0000')}-of-00003.safetensors" for one in files if "-" in one]
    assert cli.main(["verify", "p.toml", *(names or files)]) == 0


def test_of_a_folder_the_index_says_what_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    init("--out", "out", "--shards", "2")
    Path("out/model-00001-of-00009.safetensors").write_text("of an earlier run")
    assert cli.main(["verify", "p.toml", "out"]) == 0
    init("--out", "m.safetensors")
    Path("m.safetensors").rename("out/model.safetensors")
    capsys.readouterr()
    assert cli.main(["verify", "p.toml", "out"]) == 2
    assert "holds model.safetensors and model.safetensors.index.json" in capsys.readouterr().err


def test_tiles_are_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tiles.tiles, "__defaults__", (24,))
    init()
    assert cli.main(["verify", "p.toml", "m.safetensors"]) == 0


def test_what_the_library_saved_of_an_initialized_model(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(9, 4, padding_idx=2), nn.Linear(4, 4), nn.LayerNorm(4))
    fanin.initialize(model, 3, prefix="q1").save(tmp_path / "p.toml")
    save_file(model.state_dict(), "m.safetensors")
    assert cli.main(["verify", "p.toml", "m.safetensors"]) == 0


def edited(name: str, place: tuple[int, ...]) -> None:
    tensors = load_file("m.safetensors")
    tensors[name][place] += 1e-3
    save_file(tensors, "m.safetensors", metadata={"fanin.names": NAMES})


NAMES = (
    '{"line.parametrizations.weight.original0": "line.weight.original0",'
    ' "line.parametrizations.weight.original1": "line.weight.original1"}'
)


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("table.weight", (7, 5), r"table.weight: element (7, 5) is "),
        ("table.weight", (3, 0), r"table.weight: element (3, 0) is 0.001"),
        ("rotated.weight", (15, 15), "rotated.weight: element (15, 15) is "),
        ("scale", (), "scale: element () is 1.00100005, drawn 1"),
        ("norm.bias", (2,), "norm.bias: element (2,) is 0.001"),
        ("line.parametrizations.weight.original1", (0, 1), "original1: element (0, 1) is "),
        ("rate", (4,), "rate: is kept by the plan, and holds other values"),
    ],
)
def test_what_differs_is_named(
    name: str, place: tuple[int, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    init()
    edited(name, place)
    capsys.readouterr()
    assert cli.main(["verify", "p.toml", "m.safetensors"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("NOT as the plan draws them: 1 of 10 parameters, seed 7\n")
    assert message in out


def test_another_seed_and_missing_or_reshaped_tensors(capsys: pytest.CaptureFixture[str]) -> None:
    init()
    assert cli.main(["verify", "p.toml", "m.safetensors", "--seed", "8"]) == 1
    tensors = load_file("m.safetensors")
    del tensors["norm.weight"]
    tensors["norm.bias"] = torch.zeros(4)
    save_file(tensors, "m.safetensors", metadata={"fanin.names": NAMES})
    capsys.readouterr()
    assert cli.main(["verify", "p.toml", "m.safetensors"]) == 1
    out = capsys.readouterr().out
    assert "norm.weight: in none of the files" in out
    assert "norm.bias: has shape (4,), (16,) in the plan" in out


def test_the_plan_of_another_model(capsys: pytest.CaptureFixture[str]) -> None:
    init()
    fanin.plan(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))).save("other.toml")
    capsys.readouterr()
    assert cli.main(["verify", "other.toml", "m.safetensors"]) == 1
    title, line, _ = capsys.readouterr().out.splitlines()
    assert title == "NOT as the plan draws them: 4 of 4 parameters, seed 0"
    assert line.startswith("  no name in common: the plan has 0.weight, 0.bias, 1.weight, 1.bias.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("verify", "the following arguments are required: PLAN, FILE"),
        ("verify p.toml", "the following arguments are required: FILE"),
        ("verify no.toml m.safetensors", "cannot read the plan 'no.toml'"),
        ("verify m.safetensors p.toml", "is not a plan"),
        ("verify p.toml no.safetensors", "cannot read 'no.safetensors' (No such file"),
        (f"verify p.toml {'m' * 300}", "(File name too long)"),
        ("verify p.toml p.toml", "'p.toml' is no safetensors file"),
        ("verify p.toml m.safetensors m.safetensors", "is in 2 of the files"),
        ("verify p.toml empty", "holds no .safetensors files"),
        ("verify p.toml bad.index.json", "is no index of safetensors files"),
        ("verify p.toml cut.safetensors", "lies outside of it"),
        ("verify p.toml m.safetensors --seed -1", "seed is -1"),
        ("verify p.toml m.safetensors --seed x", "invalid int value: 'x'"),
    ],
)
def test_bad_input_is_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    init()
    Path("empty").mkdir()
    Path("bad.index.json").write_text("[]")
    Path("cut.safetensors").write_bytes(Path("m.safetensors").read_bytes()[:-9])
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    assert cli.main(words.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("fanin: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert [path for path in sorted(Path().rglob("*")) if "cache" not in str(path)] == [
        path for path in before if "cache" not in str(path)
    ]


def test_verify_needs_numpy_alone() -> None:
    init()
    code = (
        "import sys; from fanin.cli import main; status = main(sys.argv[1:])\n"
        "assert not {'torch', 'rich', 'safetensors', 'ml_dtypes'} & set(sys.modules)\n"
        "sys.exit(status)"
    )
    command = [sys.executable, "-c", code, "verify", "p.toml", "m.safetensors"]
    assert subprocess.run(command, check=False).returncode == 0


def test_bfloat16_as_bits_is_compared() -> None:
    """Where ml_dtypes is missing, bfloat16 values are their bits."""
    from fanin.commands._drawn import _numbers

    bits = np.array([0x3F80, 0xC000], np.uint16)
    assert _numbers(bits).tolist() == [1.0, -2.0]
