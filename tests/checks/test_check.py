"""The call itself: its arguments and errors, what a checkup says of itself, text and JSON."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin
from fanin.checks import RULES, SEVERITIES, Rule, _check
from fanin.checks._measurement import Measurement
from fanin.errors import FaninError

Batch = tuple[Tensor, Tensor]
Build = Callable[..., nn.Sequential]


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"neither is given\. Pass inputs="),
        ({"inputs": torch.zeros(2, 8), "shape": (8,)}, "both are given"),
        ({"shape": (8, 0)}, r"shape is \(8, 0\); it is a tuple of positive integers"),
        ({"shape": (8,), "draws": 0}, "draws is 0; it is an integer >= 1"),
        ({"shape": (8,), "draws": 4}, "Pass a function that makes it"),
        ({"shape": (8,), "select": "F77"}, "select: unknown rule 'F77'"),
        ({"shape": (8,), "ignore": ["forward-scales"]}, "did you mean 'forward-scale'"),
        ({"inputs": [1.0]}, "inputs is a list"),
        ({"shape": (8,), "targets": [1, 2]}, "without loss= it is a tensor"),
        ({"shape": (8,), "loss": "mse"}, "loss is 'mse'; it is a function"),
        ({"inputs": torch.zeros(0, 8)}, "inputs hold no values"),
        ({"inputs": torch.zeros(2, 9)}, "does not run on these inputs"),
        ({"inputs": torch.zeros(2, 8), "targets": torch.tensor([1, 2, 0])}, "one integer for each"),
        (
            {"inputs": torch.zeros(2, 8), "loss": lambda output: output},
            r"loss gave shape \(2, 3\); it gives one number",
        ),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        fanin.check(small(), **arguments)


def test_wrong_models() -> None:
    with pytest.raises(FaninError, match="model has type int; it must be a torch"):
        fanin.check(3, shape=(8,))
    with pytest.raises(FaninError, match="model is a function of p, x; one that makes the model"):
        fanin.check(lambda p, x: x @ p, torch.zeros(2, 8))
    with pytest.raises(FaninError, match="the factory returned int"):
        fanin.check(lambda: 3, shape=(8,))
    with pytest.raises(FaninError, match=r"0.weight of shape \(3, 8\) has no values to check"):
        fanin.check(nn.Sequential(nn.Linear(8, 3, device="meta")), shape=(8,))
    with pytest.raises(FaninError, match="has no shape yet"):
        fanin.check(nn.Sequential(nn.LazyLinear(3)), shape=(8,))
    sizes = iter((8, 16))
    with pytest.raises(FaninError, match="different models in different draws"):
        fanin.check(lambda: nn.Linear(8, next(sizes)), shape=(8,), draws=2)
    with pytest.raises(FaninError, match="no output depends on a parameter"):
        fanin.check(nn.ReLU(), shape=(8,))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated:DeprecationWarning")
def test_a_scripted_model_is_refused() -> None:
    """Its first run would do; in later ones torch.jit gives hooks no gradients."""
    model = nn.Sequential(nn.ReLU(), torch.jit.script(nn.Linear(8, 3)))
    with pytest.raises(FaninError, match=r"^1 is scripted .* Pass the module that it was scripted"):
        fanin.check(model, shape=(8,))


def test_every_loss_that_there_is() -> None:
    torch.manual_seed(0)
    x = torch.randn(32, 8)
    classes = torch.arange(32) % 3
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "random projection"),
        ({"targets": classes}, "cross-entropy"),
        ({"targets": torch.zeros(32, 3)}, "mean squared error"),
        ({"targets": classes, "loss": F.cross_entropy}, "cross-entropy"),
        ({"targets": classes, "loss": nn.CrossEntropyLoss()}, "cross-entropy"),
        ({"loss": lambda output: output.square().mean()}, "given"),
    ]
    for arguments, name in cases:
        checkup = fanin.check(small(), x, **arguments)
        assert checkup.conditions.loss == name
        assert checkup.layers[0].gradient


@dataclass
class Output:
    logits: Tensor
    states: tuple[Tensor, ...]


def test_outputs_and_inputs_of_any_kind() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, 16), nn.Linear(16, 50)

        def forward(self, ids: Tensor, mask: Tensor, scale: float = 1.0) -> Output:
            states = self.table(ids) * mask[..., None] * scale
            return Output(self.head(states), (states,))

    torch.manual_seed(0)
    ids = torch.randint(0, 50, (8, 12))
    inputs = {"ids": ids, "mask": torch.ones(8, 12), "scale": 0.5}
    checkup = fanin.check(Model(), inputs, ids)
    assert checkup.conditions.loss == "cross-entropy"
    assert checkup.conditions.batch == 8
    assert checkup.ok("warning"), checkup  # the mask is constant, and no input of a weight


def test_the_initial_loss(batch: Batch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    for std, severity in ((3.0, "warning"), (3000.0, "error")):
        nn.init.normal_(model[2].weight, std=std)
        large = fanin.check(model, *batch, select="initial-loss").findings
        assert [(one.id, one.severity, one.layer) for one in large] == [("F11", severity, "2")]
        assert "normal(std=0.01)" in large[0].fix
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    assert fanin.check(model, *batch, select="F11").findings == ()
    with torch.no_grad():  # a readout that knows the labels
        model[2].bias[0] = 5.0
    leak = fanin.check(model, batch[0], torch.zeros(128, dtype=torch.int64), select="F11")
    assert "labels leak" in leak.findings[0].why
    assert fanin.check(model, batch[0]).ok()  # without targets it is not judged


@pytest.mark.parametrize(
    ("bias", "count", "leaks"), [(2.0, 4, False), (2.0, 16, True), (5.0, 2, False), (5.0, 4, True)]
)
def test_a_low_loss_of_few_labels_is_chance(bias: float, count: int, leaks: bool) -> None:
    """1.5 and 2.2 below ln 10; labels by chance are so low in 1 of 1000 batches at most."""
    model = nn.Linear(64, 10)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    with torch.no_grad():
        model.bias[0] = bias
    inputs = torch.randn(count, 64, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(count, dtype=torch.int64)
    found = fanin.check(model, inputs, labels, select="F11").findings
    assert [one.severity for one in found] == ["error"] * leaks


def test_selection(network: Build, batch: Batch) -> None:
    model = network(30, 64, nn.ReLU, nn.init.xavier_normal_)
    every = {one.id for one in fanin.check(model, *batch).findings}
    assert every >= {"F02", "F03", "F12"}
    assert {one.id for one in fanin.check(model, *batch, select=["F02", "gain"]).findings} == {
        "F02",
        "F12",
    }
    assert "F02" not in {one.id for one in fanin.check(model, *batch, ignore="F02").findings}


class Reader(nn.Module):
    """An LSTM, and a layer that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.head = nn.LSTM(8, 8, batch_first=True), small()
        self.other = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.layers(x)[0][:, -1]
        return self.head(hidden)


@pytest.mark.parametrize("rule", RULES)
def test_notes_are_those_of_the_selected_rules(rule: str) -> None:
    """A rule that a note names was selected, and the notes of all rules are those of each."""
    checkup = fanin.check(Reader(), shape=(5, 8), select=rule)
    named = {id for note in checkup.notes for id in re.findall(r"F\d\d", note)}
    assert named <= {rule}
    every = fanin.check(Reader(), shape=(5, 8))
    told = {id for note in every.notes for id in re.findall(r"F\d\d", note)}
    assert told == {"F03", "F05", "F07", "F08", "F09", "F11", "F12", "F17"}
    assert named == told & {rule}


def test_a_selection_runs_its_judges_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def spied(rule: Rule) -> Rule:
        def judge(judge: Any, m: Measurement) -> Any:
            ran.append(judge.__name__)
            return judge(m)

        return replace(rule, judges=tuple(partial(judge, one) for one in rule.judges))

    monkeypatch.setattr(_check, "RULES", {id: spied(rule) for id, rule in RULES.items()})
    fanin.check(small(), shape=(8,), select="F13")
    assert ran == ["judge_input_scale", "judge_target_scale"]


def test_a_measurement_holds_nothing_that_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Measurement] = []

    def layers(m: Measurement) -> tuple[Any, ...]:
        kept.append(m)
        return ()

    monkeypatch.setattr(_check, "layers", layers)
    fanin.check(Reader(), shape=(5, 8))
    fanin.check(Reader, shape=(5, 8), draws=2)
    for measurement in kept:
        for field in fields(measurement):
            value = getattr(measurement, field.name)
            assert not isinstance(value, list | dict | set), field.name


def test_gaussian_inputs() -> None:
    checkup = fanin.check(small(), shape=(8,))
    assert checkup.conditions.inputs == "Gaussian, mean 0, variance 1, (256, 8)"
    assert any("inputs are Gaussian, not data" in one for one in checkup.notes)


def test_draws_start_from_the_seed() -> None:
    one = fanin.check(small, shape=(8,), seed=np.uint64(3))
    assert one.layers[0].rms == fanin.check(small, shape=(8,), seed=3).layers[0].rms
    assert one.layers[0].rms != fanin.check(small, shape=(8,), seed=4).layers[0].rms
    several = fanin.check(small, shape=(8,), draws=3)
    assert several.conditions.draws == 3
    assert any("geometric means over 3 draws" in note for note in several.notes)


def test_findings_are_sorted_and_complete(network: Build, batch: Batch) -> None:
    model = network(12, 256, nn.Tanh, nn.init.normal_)
    checkup = fanin.check(model, *batch)
    order = [(-SEVERITIES.index(one.severity), one.id) for one in checkup.findings]
    assert order == sorted(order)
    for one in checkup.findings:
        assert one.id in RULES
        assert all((one.measured, one.expected, one.limit, one.why, one.fix)), one
    assert not checkup.ok()
    assert not checkup.ok("note")
    with pytest.raises(FaninError, match="level is 'fatal'; allowed are note, warning, error"):
        checkup.ok("fatal")  # type: ignore[arg-type]
    worst = checkup.findings[0]
    assert checkup.verdict == (
        f"This network will probably not train as it is: {RULES[worst.id].summary}, at "
        f"{worst.place} ({worst.id})."
    )


def test_json_is_plain_and_stable(network: Build, batch: Batch) -> None:
    model = network(60, 64, nn.ReLU, lambda w: nn.init.normal_(w, std=2.0))
    text = fanin.check(model, *batch).to_json()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    whole = json.loads(text, parse_constant=refuse)
    assert set(whole) == {"verdict", "findings", "layers", "notes", "conditions", "limits"}
    assert "inf" in {one["rms"] for one in whole["layers"]}
    assert text == fanin.check(model, *batch).to_json()


def test_nothing_checked_is_no_pass() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.size = nn.Parameter(torch.ones(8))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.size

    checkup = fanin.check(Scale(), shape=(8,))
    assert checkup.verdict == "Nothing was checked: the run used no weight."
    assert checkup.table == ""


def test_printed_in_100_columns(network: Build, batch: Batch) -> None:
    checkup = fanin.check(network(30, 64, nn.ReLU, nn.init.xavier_normal_), *batch)
    text = str(checkup)
    assert max(map(len, text.splitlines())) <= 100
    assert checkup.verdict in " ".join(text.split())
    first, *others = checkup.findings
    assert f"{first.id} {first.severity}: {first.place} ({RULES[first.id].name})" in text
    for one in others:  # with the same remedy
        assert f"so also: {one.id} {one.severity} at {one.place}: " in text
    assert "fix: he_normal()" in text
    forward = next(line for line in text.splitlines() if line.startswith("forward"))
    bars = forward.split()[2]
    assert len(bars) == 30
    assert bars[0] > bars[-1]  # falls
    assert text.count("\n0  ") == 1


def test_300_layers_are_shortened(network: Build, batch: Batch) -> None:
    model = network(300, 16, nn.Tanh, nn.init.orthogonal_)
    checkup = fanin.check(model, *batch)
    lines = str(checkup).splitlines()
    assert len(lines) < 80
    assert any(line.startswith("... ") and "more layers ..." in line for line in lines)
    heads = [at for at, line in enumerate(lines) if line.startswith("layer ")]
    assert len(lines[heads[0] + 1 : lines.index("", heads[0])]) <= 33  # 30 layers, and what folds
    assert len(checkup.table.splitlines()) == 301


def test_the_checks_load_no_framework() -> None:
    code = (
        "import sys, fanin; print('fanin.checks' in sys.modules);"
        "import fanin.checks; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_rules_are_whole_and_named_by_standard_words() -> None:
    assert list(RULES) == [f"F{number:02}" for number in range(1, 23)]
    for rule in RULES.values():
        assert rule.explanation.startswith(f"{rule.id} {rule.name}: ")
        assert rule.warning or rule.error or rule.id == "F04"
    assert "beyond 100, either way" in RULES["F02"].explanation


@pytest.mark.parametrize("seed", ["a", -1, 1.5, True])
def test_a_seed_is_a_number(seed: Any) -> None:
    with pytest.raises(FaninError, match="seed is"):
        fanin.check(nn.Linear(3, 2), torch.randn(4, 3), seed=seed)


def test_at_least_one_rule_judges() -> None:
    with pytest.raises(FaninError, match="leave no rule to judge by"):
        fanin.check(nn.Linear(3, 2), torch.randn(4, 3), select=[])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": lambda output: 1 / 0},
            "the loss fails on this output and these targets: ZeroDiv",
        ),
        ({"loss": lambda output: torch.tensor(1.0)}, "loss gave a number without a gradient"),
        ({"targets": torch.tensor([0, 1, 7, 0])}, "targets holds 7, and there are 2 logits"),
    ],
)
def test_a_loss_that_fails_is_told_as_such(options: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        fanin.check(nn.Linear(3, 2), torch.randn(4, 3), **options)


def test_both_ways_to_the_check_take_the_same() -> None:
    lazy, loaded = (
        inspect.signature(item).parameters for item in (fanin.check, fanin.checks.check)
    )
    assert lazy == loaded


class Complex(nn.Module):
    """Two layers of complex numbers, and what is returned of them."""

    def __init__(self, last: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.last = last
        self.first, self.second = (nn.Linear(16, 16, dtype=torch.complex64) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x.to(torch.complex64))
        return self.last(self.second(torch.exp(1j * z.angle()) * z.abs().relu()))


@pytest.mark.parametrize("last", [torch.abs, torch.clone])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_layers_of_complex_numbers(last: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model, x = Complex(last), torch.randn(64, 16, dtype=dtype)
    fanin.initialize(model, 0, x)
    assert fanin.check(model, x).ok()
    assert 0.3 < float(model(x).detach().abs().square().mean()) < 3
