"""The article's CNN: its rows, and the verdicts on accuracies made up for them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fanin.lab.data import sources
from fanin.lab.networks.networks import SmallConvNet
from fanin.studies import _cnn, _cnn_once, _cnn_own, _cnn_slip, _contrasts, mnist
from fanin.studies._cnn import ADVICE, BASE, EXCHANGED
from fanin.studies._run import run

SEEDS = 14
FROM_CONTRASTS = 5  # claims of each table of contrasts
WHERE = ("torch", "article")


@pytest.mark.parametrize(
    ("weight", "shape", "fans"),
    [
        ("conv1.weight", (16, 1, 8, 8), {"torch": (64, 1024), "article": (1024, 7056)}),
        ("conv2.weight", (8, 16, 4, 4), {"torch": (256, 128), "article": (2048, 648)}),
        ("head.weight", (10, 648), {"torch": (648, 10), "article": (648, 10)}),
    ],
)
def test_deviations_of_the_rules(
    weight: str, shape: tuple[int, ...], fans: dict[str, tuple[int, int]]
) -> None:
    for convention in mnist.FANS:
        fan_in, fan_out = fans[convention]
        for rule, variance in (
            ("Glorot", 2 / (fan_in + fan_out)),
            ("He", 2 / fan_in),
            ("LeCun", 1 / fan_in),
        ):
            found = _cnn.deviation(weight, shape, rule, convention)
            assert found == pytest.approx(math.sqrt(variance))


def test_plans_draw_what_the_row_says() -> None:
    rows = _cnn.rows()
    assert len(rows) == 8
    model = SmallConvNet()
    _cnn.plan(rows[EXCHANGED], "torch").apply(model, 0)
    assert model.conv1.weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.1)
    assert model.conv2.weight.std().item() == pytest.approx(math.sqrt(2 / 384), rel=0.1)
    assert model.conv1.bias is not None
    assert not model.conv1.bias.any()
    _cnn.plan(rows["LeCun, uniform"], "article").apply(model, 0)
    bound = math.sqrt(3 / 1024)
    assert 0.99 * bound < model.conv1.weight.abs().max().item() <= bound


def scores(**shifts: float) -> dict[str, list[float]]:
    """Accuracies of 0.90 with a noise of 0.004, and shifts by a part of the row's name."""
    generator = np.random.default_rng(0)
    made = {}
    for row in [BASE, *_cnn.rows()]:
        shift = sum(value for part, value in shifts.items() if part in row.replace(", then ", "_"))
        level = 0.80 if row == BASE else 0.90
        made[row] = (level + shift + 0.004 * generator.normal(size=SEEDS)).tolist()
    return made


def conclusions(accuracies: dict[str, list[float]]) -> list[str]:
    found = _contrasts.contrasts(accuracies)
    return [claim.verdict for claim in _contrasts.claims("here", found)]


def test_equal_rows_refute_what_says_that_one_is_better() -> None:
    assert conclusions(scores()) == ["refuted", "refuted", "refuted", "refuted", "holds"]


def test_differences_that_are_there_are_confirmed() -> None:
    found = conclusions(scores(normal=0.02, LeCun=0.05, He_Glorot=0.03))
    assert found == ["holds"] * 5


def test_differences_the_other_way_are_refuted() -> None:
    found = conclusions(scores(uniform=0.02, Glorot=0.03, He_Glorot=-0.12))
    assert found == ["refuted"] * 5


def test_noise_leaves_claims_undecided() -> None:
    noisy = np.random.default_rng(1)
    values = {
        row: [value + 0.05 * noisy.normal() for value in seeds]
        for row, seeds in scores(normal=0.01, He_Glorot=0.01).items()
    }
    assert conclusions(values)[:2] == ["undecided", "undecided"]


def measured(data: str) -> dict[str, Any]:
    """What the parts of one data set would return, all accuracies made up."""
    found = {}
    every = scores()
    for convention in WHERE:
        first = 0
        for count in mnist.BLOCKS["full"]:
            found[mnist._name(data, convention, first)] = {
                row: {
                    "accuracy": values[first : first + count],
                    "steps": [None] * count,
                    "failed": [False] * count,
                }
                for row, values in every.items()
                if row != BASE or convention == "torch"
            }
            first += count
    return found


def own(
    shift: float = 0.0, weight: float = 0.0, ratio: float = 100.0, plain: float = 0.92
) -> dict[str, Any]:
    """What the parts of the article's protocol would return: by torch's fans, and 2 % noise."""

    def row(accuracies: list[float], norm: float) -> dict[str, Any]:
        noise = np.random.default_rng(2).normal(size=len(accuracies))
        norms = (norm * np.exp(0.02 * noise)).tolist()
        return {"accuracy": accuracies, "first_norm": norms, "largest_norm": [None, *norms[1:]]}

    once = {BASE: row(scores()[BASE], ratio), _cnn_once.SLIP: row(scores()["He, uniform"], 1.0)}
    for convention, more in (("torch", 0.0), ("article", shift), ("weight", weight)):
        for name, values in scores().items():
            if name != BASE:
                shifted = [value + more for value in values]
                once[f"{convention}: {name}"] = row(shifted, 1.0)
    networks = {
        "plain": row([plain + value - 0.9 for value in scores()["He, normal"]], 1.0),
        "CNN": row(scores()[BASE], 1.0),
    }
    slip: dict[str, Any] = {name: [] for name in ("the CNN, slip", "dense layers, right")}
    told = {"id": "F12", "severity": "note", "layer": "3", "measured": "factor 0.577"}
    return {
        "once: from seed 0": once,
        "plain: once": networks,
        "plain: more": networks,
        "slip": slip | {"dense layers, slip": [told], "variance": 2 / 3},
    }


@pytest.mark.parametrize(
    ("beginning", "made", "expected"),
    [
        ("With uniform", own(plain=0.92), "holds"),
        ("With uniform", own(plain=0.90), "undecided"),
        ("With uniform", own(plain=0.88), "refuted"),
        ("Gradients explode", own(ratio=100.0), "holds"),
        ("Gradients explode", own(ratio=10.0), "undecided"),
        ("Gradients explode", own(ratio=3.0), "refuted"),
        ("Once through: the article's fans", own(shift=0.02), "holds"),
        ("Once through: the article's fans", own(shift=0.0), "refuted"),
        ("Once through: fans of a dense", own(weight=-0.02), "holds"),
        ("Once through: fans of a dense", own(weight=0.02), "refuted"),
    ],
)
def test_claims_of_the_articles_protocol(
    beginning: str, made: dict[str, Any], expected: str
) -> None:
    plain = {how: made[f"plain: {how}"] for how in ("once", "more")}
    claims = _cnn_own.own_claims(made["once: from seed 0"], plain)
    (claim,) = [claim for claim in claims if claim.statement.startswith(beginning)]
    assert claim.verdict == expected


def test_the_slip_has_a_third_of_the_variance() -> None:
    slip = own()["slip"]
    assert _cnn_slip.bound(slip).verdict == "refuted"
    assert _cnn_slip.bound(slip | {"variance": 2.03}).verdict == "holds"
    assert _cnn_slip.name_slip(slip).verdict == "holds"
    assert _cnn_slip.name_slip(slip | {"dense layers, slip": []}).verdict == "refuted"
    everywhere = slip | {"dense layers, right": slip["dense layers, slip"]}
    assert _cnn_slip.name_slip(everywhere).verdict == "refuted"


def test_check_names_the_slip_in_dense_layers() -> None:
    found = _cnn_slip.measure("digits")
    assert found["variance"] == pytest.approx(2 / 3, rel=0.05)
    assert any(one["id"] == "F12" for one in found["dense layers, slip"])
    assert not any(one["id"] == "F12" for one in found["dense layers, right"])


def test_the_folded_adam_is_the_articles_formula() -> None:
    """Three steps by hand; with so large an eps torch's own steps are others."""
    value = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    made = _cnn_once.FoldedAdam([{"params": [value], "lr": 0.1}])
    first = second = 0.0
    expected = 1.0
    for step, gradient in enumerate((2e-7, -1e-7, 3e-7), 1):
        value.grad = torch.tensor([gradient], dtype=torch.float64)
        made.step()
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        rate = 0.1 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected -= rate * first / (math.sqrt(second) + 1e-7)
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_rows_trained_together_are_rows_trained_alone() -> None:
    row = {"a": (SmallConvNet, _cnn.plan(_cnn.rows()[ADVICE], "torch"))}
    other = {"b": (SmallConvNet, _cnn.plan(_cnn.rows()[EXCHANGED], "article"))}
    data = sources.load("digits")
    both = _cnn_once._train(other | row, data, (6, 20, 1), range(2))
    alone = _cnn_once._train(row, data, (6, 20, 1), range(2))
    assert both["a"]["first_norm"] == pytest.approx(alone["a"]["first_norm"], rel=1e-4)
    assert both["a"]["accuracy"] == alone["a"]["accuracy"]


def test_rows_of_the_articles_protocol() -> None:
    plans = _cnn_once._plans()
    assert len(plans) == _cnn_once.ROWS
    for name in (BASE, _cnn_once.SLIP):
        model = SmallConvNet()
        plans[name].apply(model, 0)
        assert all(not value.any() for value in model.parameters() if value.ndim == 1)
    assert model.head.weight.std().item() == pytest.approx(math.sqrt(2 / 648 / 3), rel=0.05)


def test_the_dense_layer_by_its_weights_size() -> None:
    assert _cnn.deviation("head.weight", (10, 648), "He", "weight") == pytest.approx(
        math.sqrt(2 / 6480)
    )
    assert _cnn.deviation("conv2.weight", (8, 16, 4, 4), "He", "weight") == _cnn.deviation(
        "conv2.weight", (8, 16, 4, 4), "He", "article"
    )


def test_parts_are_joined_by_seed_and_the_base_serves_both() -> None:
    joined = mnist._join(measured("mnist"), "mnist", "article")
    assert {row: seeds["accuracy"] for row, seeds in joined.items()} == scores()


def test_without_fashion_the_study_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sources, "FASHION_FOLDER", tmp_path / "nowhere")
    parts = mnist.STUDY.parts("full")
    assert {part.settings["data"] for part in parts} == {"mnist"}
    findings = mnist.STUDY.conclude(measured("mnist") | own(), "full")
    assert len(findings.claims) == 4 + 2 * FROM_CONTRASTS + 2 + 2 * FROM_CONTRASTS
    assert "Without Fashion-MNIST, which is not installed here." in findings.conditions


def test_with_fashion_it_is_measured_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "FASHION_FOLDER", tmp_path)
    assert {part.settings["data"] for part in mnist.STUDY.parts("full")} == {"mnist", "fashion"}
    findings = mnist.STUDY.conclude(measured("mnist") | measured("fashion") | own(), "full")
    assert len(findings.claims) == 4 + 2 * FROM_CONTRASTS + 2 + 4 * FROM_CONTRASTS
    assert not any(sentence.startswith("Without") for sentence in findings.conditions)


@pytest.mark.slow  # networks are trained
def test_the_quick_form() -> None:
    result = run(mnist.STUDY, "quick")
    assert len(result.findings.claims) == 4 + 2 * FROM_CONTRASTS + 2 + 2 * FROM_CONTRASTS
    *trained, bound, named = [claim.verdict for claim in result.findings.claims]
    assert set(trained) == {"undecided"}
    assert (bound, named) == ("refuted", "holds")
    longer = [rows for name, rows in result.measured.items() if name.startswith("digits")]
    assert all(set(rows) >= {ADVICE, EXCHANGED} for rows in longer)
    assert result.findings.figures[0].draw().startswith("<svg")
