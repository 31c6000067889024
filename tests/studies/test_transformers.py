"""The verdicts on recent claims, on measurements made up for them, and the quick form."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from fanin.studies._rows import ClaimFamily
from fanin.studies._run import run
from fanin.studies._study import StudyResult
from fanin.studies.transformers import FAMILIES, STUDY, _characters
from fanin.studies.transformers._gpt import SmallGPT, loss_of, start
from fanin.studies.transformers._position import POSITION


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
    plan = start(model, 0, "gpt2")
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
def test_the_same_numbers_every_time(quick: StudyResult) -> None:
    again = {part.name: part for part in STUDY.parts("quick")}
    for name in ("places 0.01",):
        assert again[name].measure(lambda steps: None) == quick.measured[name]
