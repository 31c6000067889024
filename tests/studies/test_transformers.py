"""The verdicts on recent claims, on measurements made up for them, and the quick form."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from fanin.studies._page import write_page
from fanin.studies._rows import ClaimFamily
from fanin.studies._run import run
from fanin.studies._study import StudyResult
from fanin.studies.transformers import FAMILIES, STUDY, _characters
from fanin.studies.transformers._depth import DEPTH_TRANSFER, GROWTH
from fanin.studies.transformers._embedding import EMBEDDING, RATES
from fanin.studies.transformers._gpt import SmallGPT, loss_of, make_plan
from fanin.studies.transformers._position import POSITION
from fanin.studies.transformers._small import SMALL
from fanin.studies.transformers._transfer import find_best
from fanin.studies.transformers._width import WIDTH_TRANSFER


def verdicts(family: ClaimFamily, found: Mapping[str, Any]) -> list[str]:
    return [row.claim(1).verdict for row in family.rows(found)]


def runs(*losses: float | None) -> list[dict[str, float | None]]:
    return [{"first": 4.0, "last": loss, "held_out": loss} for loss in losses]


def test_held_out_text_is_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_characters, "read_text", lambda: torch.arange(1000))
    batches, held_out = _characters.draw_batches(0, 100, 8, 16), _characters.cut_held_out(8, 16)
    assert (batches.shape, held_out.shape) == ((100, 8, 17), (8, 17))
    assert batches.max() < 900 <= held_out.min()
    assert held_out.max() == 999


def test_the_text_is_characters_of_the_vocabulary() -> None:
    text = _characters.read_text()
    assert len(text) > 100_000
    assert sorted(set(text.tolist())) == list(range(_characters.VOCABULARY))


def test_no_character_sees_those_behind_it_and_the_head_is_tied() -> None:
    model = SmallGPT(16, 2, 8)
    plan = make_plan(model, "gpt2")
    plan.apply(model, 0)
    assert "head.weight" not in [row.name for row in plan.rows]
    tokens = torch.arange(8)[None]
    other = tokens.clone()
    other[0, 5:] = 40
    with torch.no_grad():
        before, after = model(tokens), model(other)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])
    loss = loss_of(model, torch.arange(9)[None]).item()
    assert loss == pytest.approx(math.log(_characters.VOCABULARY), abs=0.2)


def places(*gaps: float) -> dict[str, Any]:
    return {
        "places 0.01": runs(*(2.0 + gap for gap in gaps)),
        "places 0.02": runs(*[2.0] * len(gaps)),
    }


def test_a_table_of_places_that_is_better_worse_and_the_same() -> None:
    assert verdicts(POSITION, places(*[-0.01] * 10)) == ["holds"]
    assert verdicts(POSITION, places(*[0.01] * 10)) == ["refuted"]
    assert verdicts(POSITION, places(*[-0.001, 0.001] * 5)) == ["refuted"]
    assert verdicts(POSITION, places(*[-0.1, 0.1] * 5)) == ["undecided"]


def gammas(**gaps: float) -> dict[str, Any]:
    usual = {"0.5": 0.0, "0.65": -0.1, "0.8": -0.1, "1": -0.1}
    return {f"gamma {name}": runs(*[2.0 + gap] * 8) for name, gap in (usual | gaps).items()}


def test_one_gamma_that_gains_nothing_refutes_the_claim() -> None:
    assert verdicts(SMALL, gammas()) == ["holds"]
    assert verdicts(SMALL, gammas(**{"1": 0.1})) == ["refuted"]
    assert verdicts(SMALL, gammas(**{"0.65": 0.0})) == ["refuted"]


def test_a_run_that_diverged_counts_as_a_guess() -> None:
    found = gammas() | {"gamma 0.8": runs(*[None] * 8)}
    assert verdicts(SMALL, found) == ["refuted"]
    assert f"0.8: {math.log(64):.4f}" in SMALL.rows(found)[0].measured


def embeddings(one: float = 2.5, first: float = 700.0, t5: float = 112.0) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{tied} table of {std}": runs(*[one if std == "1" else 2.0] * 8)
        for tied in ("tied", "untied")
        for std in RATES[True]
    }
    found["first loss, tied"] = [first - 1, first, first + 1]
    found["first loss, T5"] = {"1": [t5 - 1, t5, t5 + 1], "1/sqrt d": [10.9, 10.9]}
    return found


def test_tables_and_heads_of_one() -> None:
    assert verdicts(EMBEDDING, embeddings()) == ["holds"] * 4
    assert verdicts(EMBEDDING, embeddings(one=1.9)) == ["holds"] * 2 + ["refuted"] * 2
    assert verdicts(EMBEDDING, embeddings(first=501.0))[0] == "refuted"
    assert verdicts(EMBEDDING, embeddings(t5=130.0))[1] == "refuted"


def curve(best: float, *bad: float) -> dict[str, list[float | None]]:
    """Losses over rates that are a parabola of the logarithm, lowest at `best`."""
    rates = [0.001 * 2**power for power in range(5)]
    return {
        f"{rate:g}": [None if rate in bad else 1 + math.log2(rate / best) ** 2] for rate in rates
    }


def test_the_best_rate_lies_between_those_of_the_grid() -> None:
    assert find_best(curve(0.0045)) == pytest.approx(0.0045)
    assert find_best(curve(0.004, 0.008)) == pytest.approx(0.004)
    assert find_best(curve(0.0011)) is None
    assert find_best(curve(0.03)) is None


def depths(moving: float, staying: float) -> dict[str, Any]:
    best = {GROWTH.moving: moving, GROWTH.staying: staying}
    small = {GROWTH.key(name, 2): curve(0.008) for name in best}
    return small | {GROWTH.key(name, 16): curve(rate) for name, rate in best.items()}


@pytest.mark.parametrize(
    ("moving", "staying", "expected"),
    [
        (0.003, 0.007, ["holds", "holds"]),
        (0.003, 0.0035, ["holds", "refuted"]),
        (0.007, 0.007, ["refuted", "holds"]),
        (0.003, 0.001, ["holds", "undecided"]),
    ],
)
def test_rates_that_stay_and_move(moving: float, staying: float, expected: list[str]) -> None:
    assert verdicts(DEPTH_TRANSFER, depths(moving, staying)) == expected


def test_the_coordinate_check_must_tell_the_two_apart() -> None:
    def verdict(standard: bool, mup: bool) -> str:
        curves = {
            f"{name}, width {width}": curve(0.004)
            for name in ("auto", "mup")
            for width in (64, 128)
        }
        checks = {
            name: {"ok": ok, "powers": {"0": 0.1}}
            for name, ok in (("auto", standard), ("mup", mup))
        }
        return verdicts(WIDTH_TRANSFER, curves | {"coordinates": checks})[2]

    assert verdict(False, True) == "holds"
    assert verdict(True, True) == verdict(False, False) == "refuted"


@pytest.fixture(scope="module")
def quick() -> StudyResult:
    return run(STUDY, "quick")


@pytest.mark.slow
def test_the_quick_form_has_all_rows(quick: StudyResult) -> None:
    claims = quick.findings.claims
    assert len({claim.source for claim in claims}) >= len(FAMILIES)
    assert all(claim.measured and claim.source for claim in claims)
    short = [claim for claim in claims if "trains too little" in claim.why]
    assert short
    assert all(claim.verdict == "undecided" for claim in short)


@pytest.mark.slow
def test_the_page_has_its_pictures(quick: StudyResult, tmp_path: Path) -> None:
    page, *pictures = write_page(quick, tmp_path)
    assert pictures
    for picture in pictures:
        assert f"]({picture.name})" in page.read_text("utf-8")
        assert picture.stat().st_size < 100_000


@pytest.mark.slow
def test_the_same_numbers_every_time(quick: StudyResult) -> None:
    again = {part.name: part for part in STUDY.parts("quick")}
    for name in ("places 0.01", "mup, width 128", "first loss, T5"):
        assert again[name].measure(lambda steps: None) == quick.measured[name]
