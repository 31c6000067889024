"""The verdicts of the classics on measurements made up for them, and the quick form."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin.lab.statistics.statistics import Interval
from fanin.studies._page import write_page
from fanin.studies._rows import Check, ClaimFamily, ClaimRow, near, within
from fanin.studies._run import run
from fanin.studies._study import StudyResult
from fanin.studies.classics import STUDY, _border, _deep, _map, _zero
from fanin.studies.classics._gains import GAINS_FAMILY
from fanin.studies.classics._logits import EXCESS, LOGITS
from fanin.studies.classics._meanfield import MEANFIELD

CLAIMS = 26
numbers = st.floats(-100, 100)


@given(numbers, numbers, st.floats(0, 50), st.floats(0.01, 50))
def test_a_check_has_three_answers(
    published: float, mean: float, margin: float, allowed: float
) -> None:
    interval = Interval(mean, mean - margin, mean + margin)
    check = Check("x", published, interval, allowed)
    gap = abs(mean - published)
    slack = 1e-9
    if gap + margin < allowed - slack:
        assert check.agrees is True
    elif gap - margin > allowed + slack:
        assert check.agrees is False
    elif gap + margin > allowed + slack and gap - margin < allowed - slack:
        assert check.agrees is None


def test_near_allows_five_percent_and_within_what_it_says() -> None:
    assert near("x", 2.0, 2.09).agrees
    assert near("x", 2.0, 2.11).agrees is False
    assert within("x", 2.0, [1.9, 2.1], 0.1).agrees is None  # t interval of two values: +-1.27
    assert within("x", 0.0, 0.004, 0.005).agrees


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [([1.0, 1.0], "holds"), ([1.0, 1.2], "refuted"), ([1.2, 1.2], "refuted")],
)
def test_one_figure_that_differs_refutes_a_claim(measured: list[float], verdict: str) -> None:
    row = ClaimRow("statement", "source", "how", [near("x", 1.0, value) for value in measured])
    assert row.claim(1).verdict == verdict


def test_an_open_figure_leaves_a_claim_undecided_and_says_so() -> None:
    row = ClaimRow("s", "source", "how", [near("a", 1.0, 1.0), near("b", 1.0, [0.9, 1.1])])
    claim = row.claim(1)
    assert claim.verdict == "undecided"
    assert claim.why == "1 of 2 figures within what is allowed, 1 on the edge."
    assert claim.measured.startswith("b: 1 (")


def measured(family: ClaimFamily) -> dict[str, Any]:
    return {part.name: part.measure(lambda steps: None) for part in family.parts(True)}


def verdicts(family: ClaimFamily, found: Mapping[str, Any]) -> list[str]:
    return [row.claim(1).verdict for row in family.rows(found)]


def test_integrals_agree_and_one_that_is_off_is_refuted() -> None:
    """Known: E f'^2 of SELU is 1.07157 and the backward gain of hardtanh 1.210287."""
    found = measured(GAINS_FAMILY)
    assert found["gains"]["selu"]["slope"] == pytest.approx(1.07157, abs=5e-6)
    assert found["gains"]["gains"]["hardtanh"][1] == pytest.approx(1.210287, abs=5e-7)
    assert verdicts(GAINS_FAMILY, found) == ["holds"] * 3
    found["gains"]["selu"]["slope"] = 1.0718
    assert verdicts(GAINS_FAMILY, found) == ["holds", "refuted", "holds"]
    found["gains"]["gains"]["hardtanh"][1] = 1.21039
    found["gains"]["selu"]["variance"] = 1.00001
    assert verdicts(GAINS_FAMILY, found) == ["refuted"] * 3


def test_a_critical_line_that_is_off_is_refuted() -> None:
    """Known: chi1 is 1.02845 at weight variance 1.9 and 1.34240 at 4."""
    found = measured(MEANFIELD)
    assert found["lines"]["chi"]["1.9"] == pytest.approx(1.02845, abs=5e-6)
    assert found["lines"]["chi"]["4.0"] == pytest.approx(1.34240, abs=5e-6)
    line, scales, slopes, point = verdicts(MEANFIELD, found)
    assert (scales, slopes, point) == ("holds", "holds", "holds")
    found["lines"]["critical"]["2.01e-05"] = 1.06
    line, scales, slopes, point = verdicts(MEANFIELD, found)
    assert (line, scales, slopes, point) == ("refuted", "holds", "holds", "refuted")


def logits(**changes: list[float]) -> dict[str, Any]:
    """First losses above ln C, as the claims have them."""
    half = {str(variance): [variance / 2] * 2 for variance in EXCESS}
    ten = {str(variance): [excess] * 2 for variance, (excess, _) in EXCESS.items()}
    return {"logits": {"10": ten | changes, "100": half | {"10.0": [4.2, 4.2]}, "1000": half}}


def test_first_losses() -> None:
    """Known: 0.807 and 1.468 above ln 10 at logit variances 2 and 4."""
    assert verdicts(LOGITS, logits()) == ["holds"] * 3
    assert verdicts(LOGITS, logits(**{"2.0": [0.8068] * 2, "4.0": [1.468] * 2}))[0] == "holds"
    assert verdicts(LOGITS, logits(**{"4.0": [1.46] * 2}))[0] == "refuted"
    hundred = LOGITS.rows(logits())[1]
    assert [check.figure for check in hundred.checks] == [
        f"C = 100, variance {variance}" for variance in ("0.5", "1", "2")
    ]
    assert hundred.how.endswith("Beyond, it lies 2 at 4, 4.2 at 10.")


def case(learned: float, steps: int | None) -> dict[str, Any]:
    count = round(4 * learned)
    return {"0.01": {"learned": [k < count for k in range(4)], "steps": [steps] * 4}}


def border(**changes: Any) -> dict[str, Any]:
    found = {
        "22": {"He": case(1, 100), "Xavier": case(1, 300)},
        "30": {"He": case(1, 200), "Xavier": case(0.25, None)},
    }
    for place, value in changes.items():
        depth, name = place[-2:], place[:-2]
        found[depth][name] = value
    return {"border": found}


def test_the_border_of_xavier() -> None:
    assert verdicts(_border.BORDER, border()) == ["holds"]
    for change in (
        {"Xavier30": case(1, 900)},
        {"Xavier22": case(0.25, None)},
        {"Xavier22": case(1, 50)},
        {"He30": case(0.25, None)},
    ):
        assert verdicts(_border.BORDER, border(**change)) == ["refuted"]


def test_the_best_rate_counts() -> None:
    rates = {**case(0.25, None), "0.02": {"learned": [True] * 4, "steps": [7, 9, None, None]}}
    assert _border.share(rates) == 1
    assert _border.soonest(rates) == math.inf
    rates["0.02"]["steps"][3] = 8
    assert _border.soonest(rates) == 9


def accuracies(edge_at: Callable[[float, float], float]) -> dict[str, Any]:
    """A map whose accuracy falls from 0.9 to 0.1 at a depth; 1.76 is a little better."""
    scales = _map.scales()
    return {
        "map": {
            str(depth): [
                (0.9 if depth <= edge_at(variance, scale) else 0.1)
                + (0.01 if variance == _map.CRITICAL else 0)
                for variance, scale in scales.items()
            ]
            for depth in _map.DEPTHS
        }
    }


def test_the_map_of_depths() -> None:
    def six_scales(variance: float, scale: float) -> float:
        return 6 * scale

    assert verdicts(_map.MAP, accuracies(six_scales)) == ["holds", "holds"]
    assert verdicts(_map.MAP, accuracies(lambda variance, scale: 20 * scale))[1] == "refuted"
    assert verdicts(_map.MAP, accuracies(lambda variance, scale: 2 * scale))[1] == "refuted"
    elsewhere = accuracies(lambda variance, scale: 100 if variance == 2.5 else 20)
    assert verdicts(_map.MAP, elsewhere)[0] == "refuted"


def test_the_edge_of_a_curve() -> None:
    assert _map.edge([5, 10, 20], [0.9, 0.9, 0.1], 0.5) == pytest.approx(10 * 2**0.5)
    assert _map.edge([5, 10, 20], [0.9, 0.9, 0.9], 0.5) is None


def test_learning_times_and_fixup() -> None:
    def rows(orthogonal: list[float | None], gaussian: list[float | None], he: float) -> list[str]:
        depths = ["4", "64"]
        times = {
            "orthogonal": dict(zip(depths, orthogonal, strict=True)),
            "Gaussian": dict(zip(depths, gaussian, strict=True)),
        }
        fixup = {
            "Fixup": {"50": {"share": 1.0, "accuracy": 0.9}},
            "He": {"50": {"share": he, "accuracy": 0.1}},
        }
        return verdicts(_deep.DEEP, {"learning-time": times, "fixup": fixup})

    assert rows([40.0, 44.0], [80.0, None], 0.0) == ["holds", "holds"]
    assert rows([40.0, 80.0], [80.0, None], 0.0)[0] == "refuted"
    assert rows([40.0, None], [80.0, None], 0.0)[0] == "refuted"
    assert rows([40.0, 40.0], [80.0, 100.0], 0.0)[0] == "refuted"
    assert rows([40.0, 40.0], [80.0, None], 1.0)[1] == "refuted"


def test_ranks_of_zero() -> None:
    def verdict(**changes: Any) -> str:
        found = {
            "same": True,
            "ZerO": {"change": 60, "hidden": 70},
            "identities": {"change": 40, "hidden": 49},
        }
        (found_out,) = verdicts(_zero.ZERO, {"zero": found | changes})
        return found_out

    assert verdict() == "holds"
    assert verdict(same=False) == "refuted"
    assert verdict(identities={"change": 40, "hidden": 50}) == "refuted"
    assert verdict(ZerO={"change": 49, "hidden": 70}) == "refuted"


@pytest.fixture(scope="module")
def quick() -> StudyResult:
    return run(STUDY, "quick")


@pytest.mark.slow
def test_the_quick_form_has_all_rows(quick: StudyResult) -> None:
    claims = quick.findings.claims
    numbers = [int(claim.statement.split(".")[0]) for claim in claims]
    assert numbers == list(range(1, CLAIMS + 1))
    assert not any("list of claims" in claim.source for claim in claims)
    assert all(claim.measured and claim.source for claim in claims)
    short = [claim for claim in claims if "trains too little" in claim.why]
    assert len(short) == 5
    assert all(claim.verdict == "undecided" for claim in short)


@pytest.mark.slow
def test_the_page_has_its_pictures(quick: StudyResult, tmp_path: Path) -> None:
    page, *pictures = write_page(quick, tmp_path)
    text = page.read_text("utf-8")
    assert len(pictures) == 3
    for picture in pictures:
        assert f"]({picture.name})" in text
        assert picture.stat().st_size < 100_000


@pytest.mark.slow
def test_the_same_numbers_every_time(quick: StudyResult) -> None:
    again = {part.name: part for part in STUDY.parts("quick")}
    for name in ("lengths", "fixup"):
        assert again[name].measure(lambda steps: None) == quick.measured[name]
