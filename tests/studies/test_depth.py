from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from fanin.gains import gain
from fanin.studies._run import run
from fanin.studies.depth import STUDY, _propagation
from fanin.studies.depth._setup import RULES, spell

Verdict = Callable[..., str]


@pytest.fixture(scope="module")
def found() -> Mapping[str, Any]:
    return run(STUDY, "quick").measured


def test_a_linear_orthogonal_network_keeps_every_norm() -> None:
    one = _propagation.measure("orthogonal", lambda signal: signal, 24, 12, 1)
    np.testing.assert_allclose(one["forward"], one["forward"][0], rtol=1e-5)
    np.testing.assert_allclose(one["backward"], one["backward"][-1], rtol=1e-5)
    assert one["overflow"] == one["underflow"] == [None]


def test_backward_starts_with_a_gradient_of_rms_1() -> None:
    one = _propagation.measure("lecun_normal", torch.tanh, 6, 1, 1)
    assert one["backward"][0] == pytest.approx(1.0, abs=0.1)  # n = 384 normals, std of rms 0.04


def test_overflow_and_underflow_are_counted_from_where_the_signal_starts() -> None:
    large = _propagation.measure("normal(0, 1000)", torch.relu, 16, 20, 1)
    small = _propagation.measure("normal(0, 0.0001)", torch.tanh, 16, 20, 1)
    # 1000 sqrt(16 / 2) = 2828 a layer, and 3.4e38 is 2828**11.2; 4e-4 a layer, and 1.4e-45 at 13.2
    assert large["overflow"] == [pytest.approx(12, abs=1)]
    assert large["forward"][-1] is None
    assert small["underflow"] == [pytest.approx(14, abs=1)]
    assert small["forward"][-1] == 0.0
    assert small["gradient_underflow"][0] is not None


def test_theory_is_the_variance_map_and_the_slopes() -> None:
    forward, backward = _propagation.theory("relu", 2.0, 5)
    np.testing.assert_allclose(forward, np.sqrt(2.0), rtol=1e-9)
    np.testing.assert_allclose(backward, 1.0, rtol=1e-9)
    forward, backward = _propagation.theory("relu", 1.0, 4)
    np.testing.assert_allclose(np.square(forward), [1, 0.5, 0.25, 0.125], rtol=1e-9)
    np.testing.assert_allclose(np.square(backward), [0.125, 0.25, 0.5, 1], rtol=1e-9)


def test_factor_stops_where_the_signal_is_lost() -> None:
    assert _propagation.factor([1.0, 2.0, 4.0, None, None]) == pytest.approx(2.0)
    assert _propagation.factor([1.0, 0.0]) is None
    assert _propagation.factor([1.0, 0.5, 1e-40]) == pytest.approx(0.5)


def test_orthogonal_has_the_gain_of_a_rectifier() -> None:
    assert spell("orthogonal", "relu") == f"orthogonal({gain('relu'):.6f})"
    assert spell("orthogonal", "tanh") == "orthogonal"
    assert spell("he_normal", "relu") == "he_normal"


def _set_factor(activation: str, rule: str, ratio: float) -> Callable[[dict[str, Any]], None]:
    def doctor(found: dict[str, Any]) -> None:
        found[f"signals {activation}"][rule]["forward"] = [ratio**layer for layer in range(9)]

    return doctor


def _finite(found: dict[str, Any]) -> None:
    for name in ("overflow", "underflow"):
        for activation in ("tanh", "relu"):
            for rule in RULES:
                found[f"signals {activation}"][rule][name] = [None, None]


@pytest.mark.parametrize(
    ("beginning", "doctor"),
    [
        ("N(0, 1) weights", _finite),
        ("0.01 N(0, 1) weights", _finite),
        ("He's rule keeps", _set_factor("relu", "he_normal", 0.9)),
        ("Under Xavier 1/n a ReLU", _set_factor("relu", "lecun_normal", 1.0)),
        ("Mean-field theory", _set_factor("tanh", "he_normal", 2.0)),
    ],
)
def test_a_doctored_measurement_refutes(
    found: Mapping[str, Any], verdict: Verdict, beginning: str, doctor: Callable[..., None]
) -> None:
    assert verdict(STUDY, found, beginning, doctor) == "refuted"


@pytest.mark.parametrize(
    ("he", "xavier", "expected"), [(20, 5, "holds"), (5, 20, "refuted"), (None, None, "undecided")]
)
def test_the_border_decides(
    found: Mapping[str, Any], verdict: Verdict, he: int | None, xavier: int | None, expected: str
) -> None:
    def doctor(found: dict[str, Any]) -> None:
        found["training relu"]["he_normal"]["starts_to"] = he
        found["training relu"]["lecun_normal"]["starts_to"] = xavier

    assert verdict(STUDY, found, "He's rule trains deeper", doctor) == expected


@pytest.mark.parametrize(
    ("free", "clipped", "expected"), [(3, 0, "holds"), (3, 1, "refuted"), (0, 0, "undecided")]
)
def test_clipping_is_judged_by_the_runs_that_meet_nan(
    found: Mapping[str, Any], verdict: Verdict, free: int, clipped: int, expected: str
) -> None:
    def doctor(found: dict[str, Any]) -> None:
        for name, count in (("", free), (", clipped", clipped)):
            for activation in ("tanh", "relu"):
                for row in found[f"training {activation}{name}"].values():
                    row["verdicts"] = [{"learned": 2}]
            found[f"training tanh{name}"]["he_normal"]["verdicts"] = [{"nan": count}]

    assert verdict(STUDY, found, "Clipping the gradients", doctor) == expected


def test_clipping_that_moves_nothing_is_no_help(found: Mapping[str, Any], verdict: Verdict) -> None:
    def level(found: dict[str, Any]) -> None:
        for activation in ("tanh", "relu"):
            found[f"training {activation}, clipped"] = found[f"training {activation}"]

    def deeper(found: dict[str, Any]) -> None:
        level(found)
        found["training relu, clipped"] = {
            rule: row | {"starts_to": 100} for rule, row in found["training relu"].items()
        }

    assert verdict(STUDY, found, "Clipping lets", level) == "refuted"
    assert verdict(STUDY, found, "Clipping lets", deeper) == "holds"
