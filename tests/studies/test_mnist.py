"""The article's CNN: its rows, and the verdicts on accuracies made up for them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fanin.lab.data import sources
from fanin.lab.networks.networks import SmallConvNet
from fanin.studies import _cnn, _contrasts, mnist
from fanin.studies._cnn import ADVICE, BASE, EXCHANGED
from fanin.studies._run import run

SEEDS = 14
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
    assert conclusions(scores()) == ["refuted", "refuted", "refuted", "holds"]


def test_differences_that_are_there_are_confirmed() -> None:
    found = conclusions(scores(normal=0.02, LeCun=0.03, Glorot_He=0.03))
    assert found == ["holds", "holds", "holds", "holds"]


def test_differences_the_other_way_are_refuted() -> None:
    found = conclusions(scores(uniform=0.02, Glorot=0.03, He_Glorot=-0.12))
    assert found == ["refuted", "holds", "refuted", "refuted"]


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


def test_parts_are_joined_by_seed_and_the_base_serves_both() -> None:
    joined = mnist._join(measured("mnist"), "mnist", "article")
    assert {row: seeds["accuracy"] for row, seeds in joined.items()} == scores()


def test_without_fashion_the_study_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sources, "FASHION_FOLDER", tmp_path / "nowhere")
    parts = mnist.STUDY.parts("full")
    assert {part.settings["data"] for part in parts} == {"mnist"}
    findings = mnist.STUDY.conclude(measured("mnist"), "full")
    assert len(findings.claims) == 8
    assert "Without Fashion-MNIST, which is not installed here." in findings.conditions


def test_with_fashion_it_is_measured_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "FASHION_FOLDER", tmp_path)
    assert {part.settings["data"] for part in mnist.STUDY.parts("full")} == {"mnist", "fashion"}
    findings = mnist.STUDY.conclude(measured("mnist") | measured("fashion"), "full")
    assert len(findings.claims) == 16
    assert not any(sentence.startswith("Without") for sentence in findings.conditions)


@pytest.mark.slow  # networks are trained
def test_the_quick_form() -> None:
    result = run(mnist.STUDY, "quick")
    assert len(result.findings.claims) == 8
    assert {claim.verdict for claim in result.findings.claims} == {"undecided"}
    assert all(set(rows) >= {ADVICE, EXCHANGED} for rows in result.measured.values())
    assert result.findings.figures[0].draw().startswith("<svg")
