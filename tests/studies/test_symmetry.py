from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from fanin.studies._run import run
from fanin.studies.symmetry import STUDY, _tied

Verdict = Callable[..., str]


@pytest.fixture(scope="module")
def found() -> Mapping[str, Any]:
    return run(STUDY, "quick").measured


@pytest.mark.parametrize("width", [1, 3, 7])
@pytest.mark.parametrize("activation", [torch.tanh, torch.relu, torch.sigmoid])
def test_equal_units_are_one_unit_with_other_rates(
    width: int, activation: _tied.TensorFunction
) -> None:
    inputs = torch.linspace(-1, 2, 40, dtype=torch.float64).reshape(8, 5)
    labels = torch.arange(8) % 3
    network, model = (make(5, width, 3, 0.3) for make in (_tied.constant, _tied.one_unit))
    *_, at = _tied.descend(network, [0.2] * 6, inputs, labels, activation, 20)
    rates = _tied.one_unit_rates(0.2, width)
    *_, one = _tied.descend(model, rates, inputs, labels, activation, 20)
    outputs, wanted = (_tied.run(p, inputs, activation)[1] for p in (at, one))
    torch.testing.assert_close(outputs, wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(at[0][:1], one[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(width * at[4][:, :1], one[4], rtol=0, atol=1e-12)


def test_with_the_networks_own_rates_one_unit_is_another_model() -> None:
    inputs = torch.linspace(-1, 2, 40, dtype=torch.float64).reshape(8, 5)
    labels = torch.arange(8) % 3
    network, model = (make(5, 4, 3, 0.3) for make in (_tied.constant, _tied.one_unit))
    *_, at = _tied.descend(network, [0.2] * 6, inputs, labels, torch.tanh, 20)
    *_, one = _tied.descend(model, [0.2] * 6, inputs, labels, torch.tanh, 20)
    outputs, wanted = (_tied.run(p, inputs, torch.tanh)[1] for p in (at, one))
    assert float((outputs - wanted).detach().abs().max()) > 0.01


def test_rank_counts_what_is_there() -> None:
    matrix = torch.diag(torch.tensor([1.0, 1e-6, 1e-12, 0.0], dtype=torch.float64))
    assert _tied.rank(matrix) == 2
    assert _tied.rank(torch.zeros(3, 3)) == 0


@pytest.mark.parametrize(
    "beginning",
    [
        "From zero weights all units",
        "One value for all weights",
        "From zero weights with tanh",
        "Units that begin alike",
        "Such a network is one",
        "Random weights break",
    ],
)
def test_what_the_chain_rule_says_holds_at_any_scale(
    found: Mapping[str, Any], verdict: Verdict, beginning: str
) -> None:
    assert verdict(STUDY, found, beginning) == "holds"


def _linear_worse(found: dict[str, Any]) -> None:
    found["linear"]["accuracy"] = 0.0


def _units_part(found: dict[str, Any]) -> None:
    found["zero sigmoid"]["spread"][-1] = 1e-9
    found["all 0.001 relu"]["spread"][-1] = 1e-9


def _weights_move(found: dict[str, Any]) -> None:
    found["zero relu"]["largest_weight"] = 1e-30


def _ranks_two(found: dict[str, Any]) -> None:
    found["constant tanh"]["hidden"][-1][0] = 2


def _differs(found: dict[str, Any]) -> None:
    found["constant sigmoid"]["difference"][2] = 1e-6


def _rank_falls(found: dict[str, Any]) -> None:
    found["random"]["hidden"][-1] -= 1


def _zeros_lose(found: dict[str, Any]) -> None:
    found["biases zeros"] = [score - 0.05 for score in found["biases torch's uniform"]]


@pytest.mark.parametrize(
    ("beginning", "doctor"),
    [
        ("From zero weights all units", _linear_worse),
        ("From zero weights all units", _units_part),
        ("One value for all weights", _units_part),
        ("From zero weights with tanh", _weights_move),
        ("Units that begin alike", _ranks_two),
        ("Such a network is one", _differs),
        ("Random weights break", _rank_falls),
        ("Zero biases do no harm where weights are random, beside torch", _zeros_lose),
    ],
)
def test_a_doctored_measurement_refutes(
    found: Mapping[str, Any], verdict: Verdict, beginning: str, doctor: Callable[..., None]
) -> None:
    assert verdict(STUDY, found, beginning, doctor) == "refuted"


def test_harmless_needs_the_whole_interval(found: Mapping[str, Any], verdict: Verdict) -> None:
    def shifted(gaps: list[float]) -> Callable[[dict[str, Any]], None]:
        def doctor(found: dict[str, Any]) -> None:
            found["biases zeros"] = [0.5 + gap for gap in gaps]
            found["biases normal(0, 1)"] = [0.5] * len(gaps)

        return doctor

    beginning = "Zero biases do no harm where weights are random, beside normal"
    assert verdict(STUDY, found, beginning, shifted([0.0] * 6)) == "holds"
    assert verdict(STUDY, found, beginning, shifted([-0.05, 0.05] * 3)) == "undecided"
