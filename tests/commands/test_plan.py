"""`fanin plan`: a plan as a table, as TOML and JSON, in a file, and what changed against one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fanin
from fanin import cli

MODELS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.table = nn.Embedding(50, width, padding_idx=3)
        self.line = nn.Linear(width, width)
        self.head = nn.Linear(width, 5)

    def forward(self, tokens):
        return self.head(torch.relu(self.line(self.table(tokens).mean(1))))

def wide():
    return Net(32)

def nothing():
    return nn.ReLU()
"""
NET = ["plan", "plan_models:Net", "--input", "8:tokens=50"]


@pytest.fixture(autouse=True)
def folder(write_module: Callable[[str, str], Path]) -> Path:
    return write_module("plan_models", MODELS)


def printed(capsys: pytest.CaptureFixture[str], status: int, *words: str) -> str:
    """What the command prints on stdout, of which this is the status."""
    assert cli.main([*words]) == status
    return capsys.readouterr().out


def test_a_plan_is_shown_and_saved(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*NET, "--seed", "7", "--save", "p.toml"]) == 0
    told = capsys.readouterr()
    plan = fanin.Plan.load("p.toml")
    assert plan.seed == 7
    assert told.out == f"{plan}\n"
    assert told.err == "fanin plan: wrote p.toml\n"
    assert printed(capsys, 0, "plan", "p.toml") == told.out
    assert "applied with seed 9" in printed(capsys, 0, "plan", "p.toml", "--seed", "9")
    draw = ["init", NET[1], "--plan", "p.toml", "--out", "m.safetensors", "--quiet"]
    printed(capsys, 0, *draw)
    printed(capsys, 0, "verify", "p.toml", "m.safetensors")


def test_as_toml_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    saved = printed(capsys, 0, *NET, "--format", "toml", "--save", "p.toml")
    assert saved == Path("p.toml").read_text("utf-8")
    told = json.loads(printed(capsys, 0, *NET, "--format", "json"))
    assert told["recipe"] == "auto"
    plan = fanin.Plan.load("p.toml")
    assert [row["name"] for row in told["parameter"]] == [*plan]
    assert told["parameter"][1]["initializer"] == str(plan["line.weight"].initializer)


def test_what_the_users_code_prints_is_no_part_of_the_plan(
    write_module: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    write_module("plan_prints", "print('read')\n\ndef make():\n    print('made')\n    return 3\n")
    assert cli.main(["plan", NET[1], "--input", "plan_prints:make", "--format", "json"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "read\nmade\n" in told.err


def test_inputs_is_another_name_of_input(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", NET[1], "--inputs", "8:tokens=50"]
    assert printed(capsys, 0, *words) == printed(capsys, 0, *NET)


def test_a_part_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, 0, *NET, "--only", "head.*")
    assert shown.count("kept as it is, not among only=") == 3


def test_only_what_changed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, 0, *NET, "--seed", "7", "--save", "p.toml")
    assert printed(capsys, 0, *NET, "--diff", "p.toml") == ""
    assert printed(capsys, 0, *NET, "--diff", "p.toml", "--seed", "7") == ""
    assert printed(capsys, 1, *NET, "--diff", "p.toml", "--seed", "8") == "- seed 7\n+ seed 8\n"
    changed = printed(capsys, 1, *NET, "--diff", "p.toml", "--override", "head.bias=constant(0.1)")
    assert changed == (
        "- head.bias (5,) float32: zeros()\n+ head.bias (5,) float32: constant(0.1)\n"
    )
    wide = ["plan", "plan_models:wide", *NET[2:]]
    lines = printed(capsys, 1, *wide, "--diff", "p.toml", "--save", "w.toml").splitlines()
    assert lines[2] == "- line.weight (16, 16) float32: lecun_normal()"
    assert lines[3] == "+ line.weight (32, 32) float32: lecun_normal()"
    assert printed(capsys, 1, "plan", "w.toml", "--diff", "p.toml").splitlines() == lines


def test_seeds_are_compared_where_both_say_one(capsys: pytest.CaptureFixture[str]) -> None:
    """And where one does that is told: the plan without one fits any."""
    printed(capsys, 0, *NET, "--seed", "7", "--save", "7.toml")
    printed(capsys, 0, *NET, "--save", "none.toml")
    assert cli.main([*NET, "--diff", "7.toml"]) == 0
    told = "fanin plan: seeds are not compared: one is said, {}, and none beside it\n"
    assert capsys.readouterr() == ("", told.format("7 before"))
    assert cli.main([*NET, "--diff", "none.toml", "--seed", "3"]) == 0
    assert capsys.readouterr() == ("", told.format("3 now"))
    assert cli.main([*NET, "--diff", "none.toml"]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main([*NET, "--diff", "7.toml", "--seed", "0"]) == 1
    assert capsys.readouterr() == ("- seed 7\n+ seed 0\n", "")


def test_a_prefix_draws_other_values(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    model = torch.nn.Linear(3, 2)
    fanin.plan(model).save("a.toml")
    fanin.plan(model, prefix="critic").save("b.toml")
    assert (
        printed(capsys, 1, "plan", "b.toml", "--diff", "a.toml") == "- prefix \n+ prefix critic\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("plan", "nothing to plan: name a factory"),
        ("plan no:thing", "factory 'no:thing' cannot be imported"),
        ("plan plan_models:nothing", "a model without parameters"),
        ("plan plan_models:Net --save no/p.toml", "Name a file in a folder that exists"),
        ("plan no.toml", "cannot read the plan 'no.toml'"),
        ("plan plan_models:Net --override a=b", "unknown initializer 'b'"),
        ("plan plan_models:Net --override bias", "'bias' is not NAME=INIT"),
        ("plan plan_models:Net --input 8:tokens=0", "asks for 0 tokens"),
        ("plan plan_models:Net --input 8", "table (Embedding) does not run on these inputs"),
        ("plan plan_models:Net --input 8", "or pass inputs=None (in a shell no --input): then"),
        ("plan plan_models:Net --batch 8", "--batch is given without --input"),
        ("plan plan_models:Net --seed 1.5", "invalid int value"),
        ("plan plan_models:Net --seed -1", "seed is -1"),
        ("plan plan_models:Net --recipe autoo", "unknown recipe 'autoo': did you mean 'auto'?"),
        ("plan plan_models:Net --recipe gpt2", "in a shell --input"),
        ("plan plan_models:Net --only heads.*", "only has 'heads.*', which no parameter matches"),
        ("plan plan_models:Net --only a --keep b", "only and keep are both given"),
        ("plan plan_models:Net --format yaml", "invalid choice: 'yaml'"),
        ("plan plan_models:Net --diff no.toml", "cannot read the plan 'no.toml'"),
        ("plan plan_models:Net --diff plan_models.py", "'plan_models.py' is not a plan"),
        ("plan plan_models:Net --diff p.toml --format json", "not allowed with argument"),
        ("plan p.toml --only head.*", "a plan's file and --only are both given"),
        ("plan p.toml --dtype float64", "a plan's file and --dtype are both given"),
        ("plan p.toml --input 8", "a plan's file and --input are both given"),
    ],
)
def test_bad_input_is_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed(capsys, 0, *NET, "--save", "p.toml")
    before = sorted(Path().glob("*"))
    capsys.readouterr()
    assert cli.main(words.split()) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("fanin: error: ")
    assert told.err.count("\n") == 1
    assert message in told.err
    assert sorted(Path().glob("*")) == before
