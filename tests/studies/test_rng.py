import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special

from fanin.streams import Stream
from fanin.studies._run import run
from fanin.studies.rng import STUDY, _claims, _network, _transforms
from fanin.studies.rng._interleaved import interleave
from fanin.studies.rng._setup import SIDE, SIZES, values_of

Verdict = Callable[..., str]


@pytest.fixture(scope="module")
def found() -> Mapping[str, Any]:
    return run(STUDY, "quick").measured


def test_inversion_gives_the_streams_own_values() -> None:
    stream = Stream(7, "w")
    values = _transforms.inversion(stream.words(10_000))
    assert np.array_equal(values, stream.normal((10_000,)))


def test_box_muller_is_its_formula() -> None:
    u = np.array([0.1, 0.9, 0.25, 0.5])
    expected = [
        np.sqrt(-2 * np.log(0.1)) * np.cos(np.pi / 2),
        np.sqrt(-2 * np.log(0.9)) * np.cos(np.pi),
        np.sqrt(-2 * np.log(0.1)) * np.sin(np.pi / 2),
        np.sqrt(-2 * np.log(0.9)) * np.sin(np.pi),
    ]
    np.testing.assert_allclose(_transforms.box_muller(u), expected, atol=1e-15)


def test_uniforms_stay_inside_and_keep_their_bits() -> None:
    ends = np.array([0, 2**32 - 1], np.uint32)
    assert _transforms.uniforms(ends, np.float32).tolist() == [1.0, 2.0**-24]
    assert _transforms.uniforms(ends, np.float64).tolist() == [2.0**-33, 1 - 2.0**-33]
    assert _transforms.quantiles(ends)[0] == special.ndtri(2.0**-33)


def test_the_loss_is_that_of_torchs_modules() -> None:
    torch.manual_seed(0)
    widths, images = [12, 8, 6, 3], torch.from_numpy(Stream(0, "inputs").uniform((5, 12)))
    model = torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    at = [value.detach().clone() for value in model.parameters()]
    signal = images
    for layer, activation in zip(model, (torch.tanh, torch.sigmoid, torch.sigmoid), strict=True):
        signal = activation(layer(signal))
    expected = float((signal - _network.TARGET).detach().square().mean() / 2)
    assert float(_network._loss(at, images)) == pytest.approx(expected, rel=1e-6)


def test_turns_are_taken_and_the_first_round_is_not_counted() -> None:
    calls: list[str] = []
    times = interleave({name: lambda n=name: calls.append(n) for name in "ab"}, 2, lambda n: None)
    assert calls == ["a", "b"] * 3
    assert set(times) == {"a", "b"}


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        ("Box-Muller gives", "holds"),
        ("inversion gives", "holds"),
        ("From float32", "holds"),
        ("The stream's inversion", "holds"),
        ("Random numbers on a GPU", "refuted"),
    ],
)
def test_draws_are_what_they_should_be(
    found: Mapping[str, Any], verdict: Verdict, beginning: str, expected: str
) -> None:
    assert verdict(STUDY, found, beginning) == expected


def test_torchs_generator_has_a_state(found: Mapping[str, Any]) -> None:
    assert found["keyed"]["generator"] > 0.9 * found["keyed"]["values"]


def test_a_stream_with_a_state_would_confirm_the_article(
    found: Mapping[str, Any], verdict: Verdict
) -> None:
    def doctor(found: dict[str, Any]) -> None:
        found["keyed"]["stream"] = 1

    assert verdict(STUDY, found, "Random numbers on a GPU", doctor) == "holds"


@pytest.mark.parametrize(
    ("milliseconds", "expected"), [(1.5, "refuted"), (2.0, "holds"), (2.5, "holds"), (3, "refuted")]
)
def test_twice_is_about_twice(
    found: Mapping[str, Any], verdict: Verdict, milliseconds: float, expected: str
) -> None:
    def doctor(found: dict[str, Any]) -> None:
        for times in found["half thrown"].values():
            times |= {"uniform": 1.0, "Box-Muller": milliseconds}

    for claim in STUDY.conclude(found, "quick").claims:
        if claim.statement.startswith("A normal matrix by Box-Muller"):
            assert verdict(STUDY, found, claim.statement, doctor) == expected


def _tails(found: dict[str, Any]) -> None:
    found["transforms"]["Box-Muller"]["beyond"][1] = 60


def _inexact(found: dict[str, Any]) -> None:
    found["transforms"]["inversion"]["relative_error"] = 3e-7


def _unlike(found: dict[str, Any]) -> None:
    found["transforms"]["unlike_the_stream"] = 1


def _no_end(found: dict[str, Any]) -> None:
    found["transforms"]["Box-Muller"]["largest"] = 6.5


def _slow(found: dict[str, Any]) -> None:
    found["network"]["fanin"] = 10 * found["matrix"]["Gaussian"]["Python's random"]


def _dear(found: dict[str, Any]) -> None:
    found["transform times"]["inversion, float64, SciPy"] = 0.0


@pytest.mark.parametrize(
    ("beginning", "doctor"),
    [
        ("Box-Muller gives", _tails),
        ("The stream's inversion", _inexact),
        ("The stream's inversion", _unlike),
        ("From float32", _no_end),
        ("A generator that fills", _slow),
        ("Inversion costs", _dear),
    ],
)
def test_a_doctored_measurement_refutes(
    found: Mapping[str, Any], verdict: Verdict, beginning: str, doctor: Callable[..., None]
) -> None:
    assert verdict(STUDY, found, beginning, doctor) == "refuted"


def test_times_below_a_millisecond_are_not_rounded_away(found: Mapping[str, Any]) -> None:
    times = {"network": {"fanin": 0.0234}, "matrix": {"Gaussian": {"Python's random": 1234.5}}}
    told = _claims.loop({**found, **times}, SIZES["quick"]).measured
    assert "values; fanin takes 0.0234 ms, " in told


def test_the_gpus_time_is_judged_only_on_a_gpu(found: Mapping[str, Any], verdict: Verdict) -> None:
    def on(device: str, milliseconds: float) -> Callable[[dict[str, Any]], None]:
        def doctor(found: dict[str, Any]) -> None:
            found["training"] |= {"device": device, "train_ms": milliseconds}

        return doctor

    def with_times(loop: float, fanin: float) -> Callable[[dict[str, Any]], None]:
        """Milliseconds that the starts take beside a training of 1000 ms."""

        def doctor(found: dict[str, Any]) -> None:
            on("a GPU", 1000.0)(found)
            values = values_of(SIZES["quick"])
            found["matrix"]["Gaussian"]["Python's random"] = loop * SIDE**2 / values
            found["network"]["fanin"] = fanin

        return doctor

    share = "Of the time to initialize"
    assert verdict(STUDY, found, share, on("CPU", 1.0)) == "undecided"
    assert verdict(STUDY, found, share, with_times(5000, 90)) == "holds"
    assert verdict(STUDY, found, share, with_times(5000, 200)) == "refuted"
    assert verdict(STUDY, found, share, with_times(3000, 90)) == "refuted"
    beginning = "10 epochs of SGD"
    assert verdict(STUDY, found, beginning, on("CPU", 1.0)) == "undecided"
    assert verdict(STUDY, found, beginning, on("a GPU", 2000.0)) == "holds"
    assert verdict(STUDY, found, beginning, on("a GPU", 3000.0)) == "refuted"
