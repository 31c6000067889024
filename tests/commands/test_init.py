"""`fanin init FACTORY`: the file has the weights of initialize, or there is no file."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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

def nothing():
    return nn.Sequential(nn.ReLU())

def grown():
    torch.manual_seed(3)
    return nn.ModuleDict({"emb": nn.Embedding(12, 4), "a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})

def drawn():
    model = nn.Linear(2, 3)
    model.register_buffer("noise", torch.rand(8))
    return model

class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 16, padding_idx=3)
        self.line = nn.Linear(16, 16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.table.weight
        nn.utils.parametrizations.weight_norm(self.line)

    def forward(self, tokens):
        h = self.table(tokens)
        return self.head(self.norm(h + torch.relu(self.line(h))))

def convolutions():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Linear(288, 4))

def raising():
    print("printed by the factory")
    return [][3]

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
def folder(write_module: Callable[[str, str], Path]) -> Path:
    return write_module("init_models", MODELS)


OUT = ("--out", "a.safetensors")


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
    first, second = printed.out.splitlines()
    assert first == "wrote model.safetensors"
    assert re.fullmatch("digest sha256:[0-9a-f]{64}", second)
    assert "plan: recipe he_normal(), 6 parameters" in printed.err
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


def test_a_part_is_drawn_beside_what_the_factory_gives(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(1)
    assert cli.main(["init", "init_models:convolutions", "--only", "4.*", *OUT]) == 0
    found = load_file("a.safetensors")
    torch.manual_seed(1)
    import init_models

    model = init_models.convolutions()
    made = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fanin.initialize(model, 0, only="4.*")
    assert torch.equal(found["0.weight"], made["0.weight"])
    assert not torch.equal(found["4.weight"], made["4.weight"])
    assert torch.equal(found["4.weight"], model.state_dict()["4.weight"])
    assert "kept as it is, not among only=" in capsys.readouterr().err
    assert cli.main(["init", "init_models:convolutions", "--only", "9.*", *OUT]) == 2


WORDS = ["--input", "8:tokens=50"]


def drawn(*arguments: str) -> dict[str, torch.Tensor]:
    """What `fanin init` of a language model writes."""
    flags = ["--out", "drawn.safetensors", "--seed", "5", "--quiet"]
    assert cli.main(["init", "init_models:Language", *flags, *arguments]) == 0
    return load_file("drawn.safetensors")


def test_with_inputs_the_model_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    found = drawn(*WORDS)
    import init_models

    model = init_models.Language()
    fanin.initialize(model, 5, torch.zeros(4, 8, dtype=torch.int64))
    state = model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.items())
    capsys.readouterr()
    drawn()
    assert "note: made without inputs" in capsys.readouterr().err


def test_rows_and_copies_are_written_as_python_writes_them() -> None:
    """By flags, and by the plan that they made."""
    flags = ["--rows", "emb.weight=8:", "--like", "a.*=b.*", "--quiet"]
    assert init("init_models:grown", *flags, *OUT, "--save-plan", "p.toml") == 0
    import init_models

    model, before = init_models.grown(), init_models.grown()
    rows, like = {"emb.weight": slice(8, None)}, {"a.*": "b.*"}
    plan = fanin.initialize(
        model, 5, initializer="he_normal", unplaced="keep", rows=rows, like=like
    )
    first = load_file("a.safetensors")
    assert first.keys() == model.state_dict().keys()
    assert all(torch.equal(first[name], t) for name, t in model.state_dict().items())
    assert torch.equal(first["emb.weight"][:8], before["emb"].weight[:8])
    assert torch.equal(first["a.weight"], before["b"].weight)
    assert fanin.Plan.load("p.toml") == plan
    draw = ["init", "init_models:grown", "--plan", "p.toml", "--out", "b.safetensors", "--quiet"]
    assert cli.main(draw) == 0
    assert all(torch.equal(first[name], t) for name, t in load_file("b.safetensors").items())


def test_rows_may_be_the_plan_of_the_model_before() -> None:
    before = {"emb": nn.Embedding(8, 4), "a": nn.Linear(4, 4), "b": nn.Linear(4, 4)}
    fanin.plan(nn.ModuleDict(before)).save("before.toml")
    flags = ["--rows", "before.toml", "--save-plan", "p.toml", "--quiet"]
    assert init("init_models:grown", *OUT, *flags) == 0
    assert fanin.Plan.load("p.toml")["emb.weight"].drawn_rows == (8, 12)


def test_strict_refuses_what_no_seed_decides(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["init_models:drawn", *OUT, "--quiet"]
    assert init(*flags) == 0
    assert init(*flags, "--strict") == 2
    assert "strict is True, and values are the constructor's" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [("--rows", "x=1:"), ("--like", "x=y"), ("--strict",)])
def test_a_plan_says_which_rows_and_copies(
    flag: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", "init_models:grown", *OUT, "--plan", "p.toml", *flag]) == 2
    assert f"--plan and {flag[0]} are both given; the plan says it all." in capsys.readouterr().err


def test_overrides_and_another_type() -> None:
    flags = ["--override", "*.bias=constant(1/4)", "--override", "norm.bias=ones"]
    found = drawn(*WORDS, *flags, "--dtype", "bfloat16")
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    assert found["line.bias"].unique().tolist() == [0.25]
    assert found["norm.bias"].unique().tolist() == [1.0]


def test_inputs_have_the_models_type() -> None:
    command = ["init", "init_models:convolutions", *OUT, "--input", "3,8,8", "--quiet"]
    assert cli.main([*command, "--dtype", "bfloat16"]) == 0
    found = load_file("a.safetensors")
    assert found["0.weight"].dtype == torch.bfloat16
    assert found["1.num_batches_tracked"].dtype == torch.int64


def test_a_saved_plan_makes_the_same_file(capsys: pytest.CaptureFixture[str]) -> None:
    drawn(*WORDS, "--save-plan", "plan.toml")
    whole = Path("drawn.safetensors").read_bytes()
    plan = fanin.Plan.load("plan.toml")
    assert plan.seed == 5
    first = capsys.readouterr().out.splitlines()[-1]
    command = ["init", "init_models:Language", "--plan", "plan.toml", "--quiet"]
    assert cli.main([*command, *OUT]) == 0
    assert Path("a.safetensors").read_bytes() == whole
    assert capsys.readouterr().out.splitlines()[-1] == first
    assert cli.main([*command, *OUT, "--seed", "6"]) == 0
    assert Path("a.safetensors").read_bytes() != whole


def test_a_recipe_that_measures() -> None:
    command = ["init", "init_models:convolutions", *OUT, "--input", "3,8,8", "--quiet"]
    assert cli.main([*command, "--recipe", "lsuv", "--save-plan", "plan.toml"]) == 0
    assert cli.main(["verify", "plan.toml", "a.safetensors"]) == 0


def test_the_digest_is_that_of_the_tensors_whatever_the_files(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Against the definition, written out here."""
    drawn()
    drawn("--shards", "4", "--out", "many.safetensors")
    digests = [one for one in capsys.readouterr().out.splitlines() if one.startswith("digest")]
    lines = b""
    for name, tensor in sorted(drawn().items()):
        data = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
        lines += json.dumps([name, "F32", list(tensor.shape), data]).encode() + b"\n"
    assert digests == [f"digest sha256:{hashlib.sha256(lines).hexdigest()}"] * 2


def test_a_model_without_parameters_leaves_the_file_that_was_there() -> None:
    Path("a.safetensors").write_text("from before")
    assert cli.main(["init", "init_models:nothing", *OUT]) == 2
    assert Path("a.safetensors").read_text() == "from before"


def test_a_folder_gets_the_usual_name() -> None:
    Path("folder").mkdir()
    assert init("init_models:Small", "--out", "folder") == 0
    assert [path.name for path in Path("folder").iterdir()] == ["model.safetensors"]


def test_an_error_of_the_factory_says_where(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "init_models:raising", *OUT]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    line = printed.err.splitlines()[-1]
    assert "failed: IndexError: list index out of range" in line
    assert re.search(r"Raised at .*init_models\.py:\d+; --traceback shows", line)
    assert line.count("Raised at") == 1
    assert cli.main(["init", "init_models:raising", *OUT, "--traceback"]) == 2
    assert "return [][3]" in capfd.readouterr().err


def test_the_plan_of_another_model_says_what_a_shell_can_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert init("init_models:Small", "--out", "a.safetensors", "--save-plan", "p.toml") == 0
    assert cli.main(["init", "init_models:Language", *OUT, "--plan", "p.toml"]) == 2
    assert "Make a plan of this model, or, in Python, map the names" in capsys.readouterr().err


def test_the_library_loads_it_into_the_model() -> None:
    init("init_models:Small", "--out", "model.safetensors")
    model, state = type(expected())(), expected().state_dict()
    load_model(model, "model.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_shards_and_their_index(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
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


def test_what_an_earlier_run_left_of_the_same_weights_is_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And nothing else, nor before the new files are whole."""
    Path("out").mkdir()
    others = ["other-00001-of-00009.safetensors", "model.txt", "model-1.safetensors"]
    for name in others:
        Path("out", name).write_text("another's")
    words = ("init_models:Small", "--out", "out/model.safetensors", "--shards")
    written: set[str] = set()
    for shards in ("1", "2", "3", "2", "1"):
        before = sorted(Path("out").iterdir())
        assert init(*words, "99") == 2
        assert sorted(Path("out").iterdir()) == before
        capsys.readouterr()
        assert init(*words, shards) == 0
        told = capsys.readouterr()
        old, written = written, set(re.findall("(?m)^wrote (.*)$", told.out))
        assert set(re.findall("init: removed (.*), of an earlier", told.err)) == old - written
        assert {str(path) for path in Path("out").iterdir()} == {
            *written,
            *(str(Path("out", name)) for name in others),
        }


def test_quiet_tells_neither_plan_nor_progress(capsys: pytest.CaptureFixture[str]) -> None:
    assert init("init_models:Small", *OUT) == 0
    loud = capsys.readouterr().err
    assert all(word in loud for word in ("writing a.safetensors", "plan: recipe"))
    assert init("init_models:Small", *OUT, "--quiet") == 0
    assert all(
        line.startswith("fanin init: note: ") for line in capsys.readouterr().err.splitlines()
    )


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
        (("nowhere:Small", *OUT), "factory 'nowhere:Small' cannot be imported"),
        (("init_models:Smal", *OUT), "factory 'init_models:Smal' cannot be imported"),
        (("init_models", *OUT), "Write package.module:function"),
        (("init_models:number", *OUT), "is no function; write package.module:function"),
        (
            ("init_models:none", *OUT),
            "the factory returned NoneType; it must return a torch.nn.Module",
        ),
        (("init_models:Small",), "--out is missing; name the file to write"),
        (("init_models:Small", *OUT, "--shards", "99"), "shards is 99; the model has 10"),
        (("init_models:Small", *OUT, "--shards", "0"), "shards is 0; the model has 10"),
        (("init_models:lost", *OUT), "angles of shape (2,) is computed from weights"),
        (("init_models:half", *OUT), "angles of shape (3,) holds float8_e4m3fn, which"),
        (("init_models:Small", "--out", "init_models.py/a.safetensors"), "cannot write 'init"),
        (("init_models:Small", "--out", "a.pt"), "--out is 'a.pt', neither a folder that exists"),
        (("init_models:Small", "--out", "a.bin"), "ends in .safetensors, the one format"),
        (("init_models:Small", "--out", "no/"), "--out is 'no/', neither a folder that exists"),
        (("init_models:Small", "--out", "no/a.safetensors"), "Name a file in a folder that exists"),
        (("init_models:Small", *OUT, "--save-plan", "no/p.toml"), "cannot write 'no/p.toml' ("),
        (("init_models:Small", *OUT, "--save-plan", "./a.safetensors"), "a file of the weights"),
        (
            ("init_models:Small", *OUT, "--save-plan", "a-00001-of-00002.safetensors"),
            "--save-plan is 'a-00001-of-00002.safetensors', a file of the weights; name another.",
        ),
        (("init_models:Small", *OUT, "--plan", "no.toml"), "--plan and --initializer are both"),
        (("init_models:Small", *OUT, "--override", "x"), "override 'x' is not NAME=INIT"),
        (("init_models:Small", *OUT, "--override", "=zeros"), "override '=zeros' is not NAME=INIT"),
        (("init_models:Small", *OUT, "--override", "hiden.bias=ones"), "did you mean 'hidden"),
        (("init_models:Small", *OUT, "--override", "*.bias=zeross"), "did you mean 'zeros'?"),
        (("init_models:grown", *OUT, "--rows", "emb.weight"), "is not NAME=FIRST:END, such as"),
        (("init_models:grown", *OUT, "--rows", "emb.weight=8-9"), "is not NAME=FIRST:END"),
        (("init_models:grown", *OUT, "--rows", "emb.weight=20:"), "has 12 rows"),
        (("init_models:grown", *OUT, "--like", "a.*"), "like 'a.*' is not COPY=SOURCE"),
        (("init_models:grown", *OUT, "--like", "a.*=z.*"), "which is no parameter"),
        (("init_models:grown", *OUT, "--recipe", "eva"), "and --input makes one by chance"),
        (("init_models:Small", *OUT, "--dtype", "int8"), "--dtype: invalid choice: 'int8'"),
        (("init_models:Small", *OUT, "--batch", "3"), "--batch is given without --input"),
        (("init_models:Small", *OUT, "--input", "0"), "has an axis of length 0"),
        (("init_models:Small", *OUT, "--input", "x"), "input 'x' is none of these"),
        (("init_models:nothing", *OUT), "a model without parameters: nothing to draw"),
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

assert main(["init", "init_models:Small", "--out", "small.safetensors", "--unplaced", "keep"]) == 0
before = peak()
assert main(["init", "init_models:large", "--out", "large.safetensors"]) == 0
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_tile(folder: Path) -> None:
    """A file of 384 MiB takes less than 64 MiB: a tile is 16."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert Path("large.safetensors").stat().st_size > 384 << 20
    assert float(done.stdout.split()[-1]) < 64
