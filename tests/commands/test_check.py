"""`fanin check`: exit status, inputs, baseline, files; one line for whatever it cannot use."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import fanin
from fanin import checks, cli
from fanin._samples import Sample
from fanin.checks import RULES, Checkup, Conditions, Finding, Layer
from fanin.commands.formats import FORMATS
from fanin.frameworks.torch import place

MODELS = """
import torch
from torch import nn

print("imported")

def network(depth, std, inputs=64, outputs=10):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, 64), nn.ReLU()]
        inputs = 64
    model = nn.Sequential(nn.Flatten(), *layers, nn.Linear(64, outputs))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std * module.in_features**-0.5)
            nn.init.zeros_(module.bias)
    return model

def sound():
    print("constructed")
    return network(3, 2**0.5)

def vanishing():
    return network(20, 0.3)

def digits(outputs):
    return network(2, 2**0.5, 784, outputs)

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 16)
        self.head = nn.Linear(16, 50)

    def forward(self, ids):
        return self.head(self.table(ids))

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(4, 8)

    def forward(self, x, y):
        return self.a(x) + self.b(y)

def half():
    return network(2, 2**0.5).to(torch.bfloat16)

def zeros():
    return network(1, 0.0)

def none():
    return None

def empty():
    return nn.ReLU()

def exiting():
    raise SystemExit(0)

def raising():
    raise RuntimeError("no such file\\nat all")

def pairs():
    return torch.ones(4, 8), torch.full((4, 4), 2.0)

def raising_inputs():
    raise KeyError("x")

number = 3
made = nn.Linear(64, 3)
"""


@pytest.fixture(autouse=True)
def folder(write_module: Callable[[str, str], Path]) -> Path:
    write_module("check_exits", "import sys; sys.exit(0)")
    return write_module("check_models", MODELS)


def run(factory: str, *arguments: str) -> int:
    return cli.main(["check", f"check_models:{factory}", *arguments])


CONDITIONS = Conditions("Net", 1, "2", "float32", "cpu", "train", 8, "given", "given", 1, 0)


class Fake:
    """fanin.check, for the arguments that it gets; each level has one finding of its own."""

    findings: tuple[Finding, ...] = tuple(
        Finding(id, severity, "a", "m", "e", "l", "why", "fix")
        for id, severity in (("F02", "error"), ("F03", "warning"), ("F12", "note"))
    )
    layers: tuple[Layer, ...] = (Layer("a.weight", "a", "linear", (8, 8), "", "zeros"),)

    def __call__(self, make: Any, inputs: Any, **options: Any) -> Checkup:
        self.options = options
        self.models = [make() for _ in range(options["draws"])]
        ours = isinstance(inputs, Sample)
        self.inputs = place(inputs.values, self.models[0]) if ours else inputs
        self.targets = place(inputs.targets, self.models[0]) if ours else None
        kept = tuple(one for one in self.findings if one.id in options["select"])
        return Checkup(kept, self.layers, (), CONDITIONS)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(checks, "check", made)
    return made


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 1),
        (("--fail-level", "note"), 1),
        (("--ignore", "F02"), 0),
        (("--ignore", "F02", "--fail-level", "warning"), 1),
        (("--select", "F12"), 0),
        (("--select", "F12", "--fail-level", "warning"), 0),
        (("--select", "F12", "--fail-level", "note"), 1),
        (("--select", "gain,f03", "--ignore", "F03", "--fail-level", "note"), 1),
        (("--select", "F13", "--fail-level", "note"), 0),
    ],
)
def test_the_exit_status(arguments: tuple[str, ...], status: int, fake: Fake) -> None:
    assert run("sound", "--input", "64", "--format", "json", *arguments) == status


def test_findings_go_to_stdout_and_progress_to_stderr(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    run("sound", "--input", "64", "--format", "json", "--draws", "2")
    out, err = capsys.readouterr()
    assert [one["id"] for one in json.loads(out)["findings"]] == ["F02", "F03", "F12"]
    told = [line for line in err.splitlines() if line.startswith("fanin check: ")]
    assert told == [f"fanin check: draw {n} of 2: check_models:sound" for n in (1, 2)]
    assert "imported" in err
    assert err.count("constructed") == 2


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_written_to_a_file(
    form: str, fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("report").write_text("from before")
    assert run("sound", "--input", "64", "--format", form, "-o", "report") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "fanin check: wrote report: This network will probably not train" in err
    assert "F02" in Path("report").read_text("utf-8")
    assert set(os.listdir()) - {"__pycache__"} == {"check_models.py", "check_exits.py", "report"}


def test_a_report_names_the_line_of_the_factory(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    line = MODELS.splitlines().index("def sound():") + 1
    run("sound", "--input", "64", "--format", "github")
    assert f"::error file=check_models.py,line={line},title=F02" in capsys.readouterr().out


def test_inputs_by_chance_have_their_shape_and_scale_and_follow_the_seed(fake: Fake) -> None:
    run("sound", "--input", "3,64", "--batch", "512", "--seed", "7")
    first = fake.inputs
    assert first.shape == (512, 3, 64)
    assert first.dtype == torch.float32
    # 98,304 values: mean and std are within 5 standard errors, false alarms below 2e-6.
    assert abs(first.mean()) < 0.016
    assert abs(first.std() - 1) < 0.012
    run("sound", "--shape", "3,64", "--batch", "512", "--seed", "7")
    assert torch.equal(fake.inputs, first)
    run("sound", "--shape", "3,64", "--batch", "512", "--seed", "8")
    assert not torch.equal(fake.inputs, first)


def test_the_loss_is_judged_only_with_labels(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or where the model may get some: then, too, a report has a place for it."""
    for words, judged in (
        (("sound", "--input", "64"), False),
        (("digits", "--data", "digits"), True),
        (("Two", "--input", "check_models:pairs"), True),
    ):
        run(*words, "--format", "junit")
        cases = re.findall('name="(F..) ', capsys.readouterr().out)
        unjudged = {"F19", "F20"} | (set() if judged else {"F11"})
        assert cases == [id for id in RULES if id not in unjudged]


@pytest.mark.parametrize("model", ["sound", "half"])
def test_a_batch_of_the_default_size_is_the_default_batch(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same numbers, and so the same checkup with the same notes."""
    reports = []
    for batch in ((), ("--batch", "256")):
        run(model, "--input", "64", *batch, "--seed", "7", "--format", "json")
        reports.append(capsys.readouterr().out)
    assert reports[0] == reports[1]
    assert "inputs are Gaussian, not data" in reports[1]
    run(model, "--input", "64", "--seed", "8", "--format", "json")
    assert capsys.readouterr().out != reports[0]


def test_tokens_by_chance_are_all_of_them(fake: Fake) -> None:
    run("Words", "--input", "40:tokens=50", "--batch", "100")
    assert fake.inputs.shape == (100, 40)
    assert fake.inputs.dtype == torch.int64
    counts = torch.bincount(fake.inputs.reshape(-1), minlength=50)
    # 4000 values, 80 expected of each token, standard deviation 8.9: within 6, false alarms 1e-7.
    assert len(counts) == 50
    assert (counts.double() - 80).abs().max() < 54


def test_several_inputs_are_several_arguments(fake: Fake) -> None:
    run("Two", "--input", "8", "--input", "4")
    x, y = fake.inputs
    assert (x.shape, y.shape) == ((256, 8), (256, 4))
    assert not torch.equal(x[:, :4], y)


def test_a_function_makes_the_inputs(fake: Fake) -> None:
    run("Two", "--input", "check_models:pairs")
    assert [one.shape for one in fake.inputs] == [(4, 8), (4, 4)]


def test_data_has_labels_and_tells_the_factory_of_the_classes(fake: Fake) -> None:
    run("digits", "--data", "digits", "--batch", "32")
    assert fake.inputs.shape == (32, 1, 28, 28)
    assert fake.targets.shape == (32,)
    assert fake.targets.dtype == torch.int64
    assert fake.models[0][-1].out_features == 10


@pytest.mark.parametrize(
    ("arguments", "told", "note"),
    [
        (("sound", "--input", "64", "--batch", "5"), "Gaussian, mean 0, variance 1, (5, 64)", True),
        (("Words", "--input", "64:tokens=9"), "token ids 0 to 8, (256, 64)", True),
        (("digits", "--data", "digits"), "256 images of digits", False),
        (("Two", "--input", "check_models:pairs"), "given", False),
    ],
)
def test_the_conditions_say_what_the_inputs_were(
    arguments: tuple[str, ...], told: str, note: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*arguments, "--format", "json")
    found = json.loads(capsys.readouterr().out)
    assert found["conditions"]["inputs"] == told
    assert any("not data: what real inputs do" in one for one in found["notes"]) == note


def test_a_recipe_initializes_every_draw_with_a_seed_of_its_own(fake: Fake) -> None:
    run("sound", "--input", "64", "--initializer", "he_normal", "--draws", "2", "--seed", "5")
    import check_models  # type: ignore[import-not-found]

    for seed, model in zip((5, 6), fake.models, strict=True):
        expected: nn.Module = check_models.sound()
        fanin.initialize(expected, seed, initializer="he_normal")
        assert torch.equal(model[1].weight, expected[1].weight)


@pytest.mark.parametrize(("flag", "mode"), [("--train", True), ("--eval", False)])
def test_the_mode_of_the_model(flag: str, mode: bool, fake: Fake) -> None:
    run("sound", "--input", "64", flag)
    assert fake.models[0].training is mode


def test_a_baseline_hides_what_it_knows(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--input", "64", "--format", "json", "--fail-level", "note")
    assert run("sound", *given, "--ignore", "F03", "--write-baseline", "known.json") == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["findings"]) == 2
    assert "fanin check: recorded 2 findings in known.json" in err
    assert run("sound", *given, "--baseline", "known.json") == 1
    (left,) = json.loads(capsys.readouterr().out)["findings"]
    assert left["id"] == "F03"
    fake.findings = fake.findings[:1]
    assert run("sound", *given, "--baseline", "known.json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "No finding is new. The baseline knows 1 more."
    assert "fanin check: the baseline knows F12 at a, which is no longer found" in err
    assert run("sound", *given, "--baseline", "known.json", "--ignore", "F12") == 0
    assert "the baseline knows" not in capsys.readouterr().err


WRONG: list[tuple[str, str]] = [
    ("nowhere:x --input 64", "factory 'nowhere:x' cannot be imported: ModuleNotFoundError"),
    ("check_models:soud --input 64", "factory 'check_models:soud' cannot be imported"),
    ("check_models --input 64", "Write package.module:function"),
    ("check_models:number --input 64", "is no function; write package.module:function"),
    ("check_models:none --input 64", "the factory returned NoneType; it must return a torch.nn."),
    ("check_models:none --input 64 --eval", "the factory returned NoneType; it must return a"),
    ("check_models:exiting --input 64", "nothing done: code of yours called sys.exit(0). Put"),
    ("check_exits:sound --input 64", "nothing done: code of yours called sys.exit(0). Put"),
    ("check_models:raising --input 64", "factory 'check_models:raising' failed: RuntimeError: no"),
    ("check_models:made --input 64", "It is a model, Linear: name its class, or a function that"),
    ("check_models:digits --input 64", "It is called without arguments and returns a model."),
    ("check_models:empty --input 64", "no output depends on a parameter"),
    ("check_models:sound --input 65", "65"),
    ("check_models:sound", "nothing to run the model on: give --input 3,224,224, say, or --data"),
    ("--input 64", "nothing to check: name a factory, package.module:factory."),
    ("check_models:sound --input=", "input '' is none of these"),
    ("check_models:sound --input -3", "input '-3' is none of these"),
    ("check_models:sound --input 3x224", "input '3x224' is none of these"),
    ("check_models:sound --input 3,0", "input '3,0' has an axis of length 0"),
    ("check_models:sound --input 3:tokens=0", "asks for 0 tokens. Use 1 to 2**31."),
    ("check_models:sound --input 64 --batch 0", "batch is 0. Use a whole number of 1 or more."),
    ("check_models:sound --input no:x", "input 'no:x' cannot be imported"),
    ("check_models:sound --input check_models:raising_inputs", "failed: KeyError: 'x'"),
    (
        "check_models:Two --input check_models:pairs --input 3",
        "a function that makes all inputs, package.module:function, which stands alone",
    ),
    ("check_models:sound --data minst", "did you mean 'mnist'?"),
    ("check_models:sound --input 64 --steps 8", "--steps is that of an optimizer; add --optimizer"),
    ("check_models:sound --input 64 --optimizer sgd", "--optimizer needs a loss: give --data"),
    ("check_models:sound --input 64 --select F19", "give --optimizer adam"),
    ("check_models:digits --data digits --batch 1797", "batch is 1797; digits has 1797 images"),
    ("check_models:sound --data digits --input 64", "not allowed with argument"),
    ("check_models:sound --input 64 --seed -1", "seed is -1; a seed is an integer in [0, 2**64)"),
    ("check_models:sound --input 64 --draws 0", "draws is 0"),
    ("check_models:sound --input 64 --select F2", "unknown rule 'F2': did you mean 'F02'?"),
    ("check_models:sound --input 64 --ignore X", "unknown rule 'X'"),
    (
        "check_models:sound --input 64 --select F02 --ignore F02",
        "nothing checked: --ignore leaves no rule of those selected.",
    ),
    ("check_models:sound --input 64 --select F11", "nothing checked: F11 compares the loss with"),
    ("check_models:sound --input 64 --fail-level bad", "invalid choice: 'bad'"),
    ("check_models:sound --input 64 --format xml", "invalid choice: 'xml'"),
    ("check_models:sound --input 64 -o .", "cannot write '.' (it is not a file)"),
    ("check_models:sound --input 64 -o=", "cannot write '' (it is not a file)"),
    (
        "check_models:sound --input 64 -o a.json --write-baseline ./a.json",
        "--output and --write-baseline both name 'a.json'; name two files.",
    ),
    ("check_models:sound --input 64 -o /dev/null", "cannot write '/dev/null' (it is not a file)"),
    ("check_models:sound --input 64 -o no/a", "cannot write 'no/a' (No such file or directory)."),
    ("check_models:sound --input 64 --write-baseline no/a", "cannot write 'no/a'"),
    ("check_models:sound --input 64 --baseline no", "the baseline 'no' cannot be read (No such"),
    ("check_models:sound --input 64 --recipe nix", "unknown recipe 'nix'"),
    ("check_models:sound --input 64 --train --eval", "not allowed with argument"),
    ("--explain F99", "error: explain: unknown rule 'F99'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_use_is_one_line_and_status_2(
    arguments: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = arguments.replace("-o=", "-o ").split(" ")
    assert cli.main(["check", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if line.startswith("fanin: ")]
    assert line.startswith("fanin: error: ")
    assert message in line
    assert err.endswith(f"{line}\n")
    assert {path.name for path in folder.iterdir()} <= {
        "check_models.py",
        "check_exits.py",
        "__pycache__",
    }


def test_a_run_without_weights_is_no_pass(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.layers = ()
    assert run("sound", "--input", "64") == 2
    assert "nothing checked: the run used no weight of the model." in capsys.readouterr().err


def test_what_stdout_cannot_hold_is_escaped(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake.findings = (Finding("F02", "error", "ü\ud800", "m", "e", "l", "why", "fix"),)
    with open(tmp_path / "out", "w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert run("sound", "--input", "64", "--format", "github") == 1
    assert "\\xfc\\ud800" in (tmp_path / "out").read_text("ascii")


def test_end_to_end_a_sound_network_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sound", "--input", "64", "--batch", "256") == 0
    out, _ = capsys.readouterr()
    assert out.startswith("check_models:sound\nfanin check: Sequential, ")
    assert "Gaussian, mean 0, variance 1, (256, 64)" in " ".join(out.split())


def test_end_to_end_a_vanishing_network_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("vanishing", "--input", "64", "--format", "json") == 1
    found = json.loads(capsys.readouterr().out)
    assert ("F02", "error") in {(one["id"], one["severity"]) for one in found["findings"]}


def test_end_to_end_the_inputs_have_the_type_of_the_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for batch in ((), ("--batch", "8")):
        given = ("--input", "64", *batch, "--format", "json", "--select", "F01", "--draws", "2")
        assert run("half", *given) == 0
        assert json.loads(capsys.readouterr().out)["conditions"]["dtype"] == "bfloat16"


def test_end_to_end_a_recipe_repairs_it() -> None:
    assert run("vanishing", "--input", "64", "--recipe", "auto", "--batch", "256") == 0


def test_end_to_end_data_has_its_loss_judged(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("digits", "--data", "digits", "--format", "json", "--select", "F11") == 0
    assert json.loads(capsys.readouterr().out)["conditions"]["loss"] == "cross-entropy"


def test_end_to_end_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("Words", "--input", "12:tokens=50", "--format", "json", "--select", "F01") == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert [layer["name"] for layer in layers] == ["table.weight", "head.weight"]


@pytest.mark.parametrize("form", FORMATS)
def test_end_to_end_every_format(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("zeros", "--input", "64", "--batch", "8", "--format", form) == 1
    assert "F10" in capsys.readouterr().out


def python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_explain_takes_a_name_and_needs_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--explain", "forward-scale"]) == 0
    assert capsys.readouterr().out == f"{RULES['F02'].explanation}\n"


def test_the_first_steps(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--data", "digits", "--batch", "32", "--select", "F19,F20", "--optimizer", "sgd"
    assert run("digits", *words, "--lr", "0.01") == 0
    assert "8 steps of SGD, lr 0.01" in capsys.readouterr().out.replace("\n", " ")
    assert run("digits", *words, "--lr", "1e6", "--steps", "3") == 1
    assert "F19 error" in capsys.readouterr().out
