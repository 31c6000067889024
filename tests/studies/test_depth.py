from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from fanin import initializers
from fanin.gains import gain
from fanin.streams import Stream
from fanin.studies._run import run
from fanin.studies.depth import STUDY, _dead, _gradients, _propagation
from fanin.studies.depth._setup import ACTIVATIONS, RULES, spell

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
        ("N(0, 1) weights: the signals", _finite),
        ("Too small weights", _finite),
        ("Normal weights of variance 2/n", _set_factor("relu", "he_normal", 0.9)),
        ("Under Xavier 1/n a ReLU", _set_factor("relu", "lecun_normal", 1.0)),
        ("Mean-field theory", _set_factor("tanh", "he_normal", 2.0)),
    ],
)
def test_a_doctored_measurement_refutes(
    found: Mapping[str, Any], verdict: Verdict, beginning: str, doctor: Callable[..., None]
) -> None:
    assert verdict(STUDY, found, beginning, doctor) == "refuted"


def test_gradients_of_a_chain_are_autograds_of_torchs_modules() -> None:
    """Two layers by hand: the bias has the gradient of the layer's sum, added over the inputs."""
    one = _gradients._one("lecun_normal", 0.0, torch.tanh, 3)
    assert {kind: len(values) for kind, values in one.items()} == dict.fromkeys(
        _gradients.KINDS, _gradients.DEPTH
    )
    layers = [torch.nn.Linear(_gradients.WIDTH, _gradients.WIDTH).double() for _ in one["bias"]]
    head = torch.nn.Linear(_gradients.WIDTH, _gradients.CLASSES, bias=False).double()
    made = initializers.get("lecun_normal")
    signal = torch.from_numpy(Stream(3, "inputs").normal((64, 64), dtype="float64"))
    labels = torch.from_numpy(Stream(3, "labels").words(64).astype("int64") % 10)
    with torch.no_grad():
        for name, layer in [
            *((f"layers.{n}", one) for n, one in enumerate(layers)),
            ("head", head),
        ]:
            shape = tuple(layer.weight.shape)
            drawn = made(shape, seed=3, name=f"{name}.weight", dtype="float64")
            layer.weight.copy_(torch.from_numpy(drawn))
            if layer.bias is not None:
                layer.bias.zero_()
    for layer in layers:
        signal = torch.tanh(layer(signal))
    torch.nn.functional.cross_entropy(head(signal), labels).backward()  # type: ignore[no-untyped-call]
    for kind in ("weight", "bias"):
        wanted = [_propagation.rms(getattr(layer, kind).grad) for layer in layers]
        np.testing.assert_allclose(one[kind], wanted, rtol=1e-9)


def test_a_dead_unit_has_no_gradient_on_any_input() -> None:
    first, last = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)
    inputs = torch.rand(9, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first.weight.fill_(1.0)
        first.bias.copy_(torch.tensor([0.0, -9.0, 0.0, -9.0]))
        last.weight.fill_(1.0)
    for activation, count in ((torch.nn.ReLU(), 2), (torch.nn.LeakyReLU(0.2), 0)):
        assert _dead._dead(torch.nn.Sequential(first, activation, last), inputs) == count


def _set_gradients(kind: str, ratio: float, *activations: str) -> Callable[[dict[str, Any]], None]:
    """So large a factor a layer, from the last to the first, of all starts."""

    def doctor(found: dict[str, Any]) -> None:
        for activation in activations or ACTIVATIONS:
            for signals in found[f"gradients {activation}"].values():
                signals[kind] = [ratio**-layer for layer in range(9)]

    return doctor


def _tanh(wide: float, narrow: float, ratio: float) -> Callable[[dict[str, Any]], None]:
    """Factors of the gradient in layers of two widths, and of the weight's gradient."""

    def doctor(found: dict[str, Any]) -> None:
        found["signals tanh"]["normal(0, 1)"]["backward"] = [wide**-layer for layer in range(9)]
        _set_gradients("delta", narrow, "tanh")(found)
        _set_gradients("weight", ratio, "tanh")(found)

    return doctor


def _one_sign(factor: float, verdict: str) -> Callable[[dict[str, Any]], None]:
    def doctor(found: dict[str, Any]) -> None:
        for signals in found["non-negative weights"].values():
            signals["delta"] = [factor**-layer for layer in range(9)]
        for name, part in found.items():
            for row in part.values() if name.startswith("training non-negative") else ():
                row["verdicts"] = [{verdict: 2}]

    return doctor


def _dead_units(relu: int, leaky: int, not_finite: int = 0) -> Callable[[dict[str, Any]], None]:
    def doctor(found: dict[str, Any]) -> None:
        for name, count in (("relu", relu), ("leaky_relu(0.2)", leaky)):
            for rate in found[f"dead units {name}"].values():
                rate |= {"dead": count, "not_finite": not_finite}

    return doctor


def _underflow(layer: int | None) -> Callable[[dict[str, Any]], None]:
    def doctor(found: dict[str, Any]) -> None:
        signals = found["signals leaky_relu(0.2)"]["normal(0, 0.01)"]
        signals["gradient_underflow"] = [None, layer]

    return doctor


def _heuristics(factor: float, start: int | None) -> Callable[[dict[str, Any]], None]:
    """Of He and Xavier; the deepest of the quick form is 6."""

    def doctor(found: dict[str, Any]) -> None:
        for activation, rule in (("relu", "he_normal"), ("tanh", "lecun_normal")):
            for other, value in (("normal(0, 1)", 4.0), ("normal(0, 0.01)", 0.1), (rule, factor)):
                values = [value**-layer for layer in range(9)]
                found[f"gradients {activation}"][other]["delta"] = values
            found[f"training {activation}"][rule]["starts_to"] = start

    return doctor


def _fans(forward: float, backward: float) -> Callable[[dict[str, Any]], None]:
    """What Xavier's gives, between 1 and 6 forward and between 0.2 and 1 backward."""

    def doctor(found: dict[str, Any]) -> None:
        for shaped in ("normal", "uniform"):
            for mode, gains in (
                ("fan_in", (1.0, 0.2)),
                ("fan_avg", (forward, backward)),
                ("fan_out", (6.0, 1.0)),
            ):
                both = dict(zip(("forward", "backward"), gains, strict=True))
                found["taper"][f"{mode}, {shaped}"] = both

    return doctor


@pytest.mark.parametrize(
    ("beginning", "doctor", "expected"),
    [
        ("N(0, 1) weights in a deep tanh", _tanh(0.5, 0.5, 0.5), "holds"),
        ("N(0, 1) weights in a deep tanh", _tanh(1.2, 0.5, 0.5), "undecided"),
        ("N(0, 1) weights in a deep tanh", _tanh(1.2, 1.2, 0.5), "refuted"),
        ("N(0, 1) weights in a deep tanh", _tanh(0.5, 0.5, 1.5), "refuted"),
        ("With ReLU vanishing", _set_gradients("delta", 1.0, "relu"), "holds"),
        ("With ReLU vanishing", _set_gradients("delta", 0.7, "relu"), "refuted"),
        ("Large weights that are not", _one_sign(1.5, "nan"), "holds"),
        ("Large weights that are not", _one_sign(0.2, "stuck"), "refuted"),
        ("Large weights that are not", _one_sign(0.2, "diverged"), "undecided"),
        ("Large weights that are not", _one_sign(1.5, "learned"), "undecided"),
        ("A leaky ReLU never has", _underflow(None), "holds"),
        ("A leaky ReLU never has", _underflow(29), "refuted"),
        ("A leaky ReLU never dies", _dead_units(5, 0), "holds"),
        ("A leaky ReLU never dies", _dead_units(5, 1), "refuted"),
        ("A leaky ReLU never dies", _dead_units(0, 0), "undecided"),
        ("A leaky ReLU never dies", _dead_units(5, 0, not_finite=1), "undecided"),
        ("The gradients of biases", _set_gradients("bias", 1.0), "holds"),
        ("The gradients of biases", _set_gradients("bias", 0.9), "refuted"),
        ("These heuristics", _heuristics(1.01, 2), "holds"),
        ("These heuristics", _heuristics(1.01, 6), "refuted"),
        ("These heuristics", _heuristics(0.05, 2), "refuted"),
        ("Variance by n_in", _fans(2.0, 0.4), "holds"),
        ("Variance by n_in", _fans(7.0, 0.4), "refuted"),
        ("Variance by n_in", _fans(2.0, 0.1), "refuted"),
    ],
)
def test_what_the_articles_say_follows_the_measurements(
    found: Mapping[str, Any],
    verdict: Verdict,
    beginning: str,
    doctor: Callable[[dict[str, Any]], None],
    expected: str,
) -> None:
    assert verdict(STUDY, found, beginning, doctor) == expected


def test_no_weight_of_these_heuristics_is_near_one(
    found: Mapping[str, Any], verdict: Verdict
) -> None:
    assert verdict(STUDY, found, "By these heuristics weights come out") == "refuted"


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

    assert verdict(STUDY, found, "Clipping, the gradient", doctor) == expected


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
