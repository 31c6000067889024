import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fanin
from fanin import FaninError, gain, gains


def test_the_public_name() -> None:
    assert fanin.gain is gains.gain


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus", "hardshrink"])
@given(st.floats(0.01, 100), st.floats(-3, 3))
def test_variance_and_mean_are_the_inputs(name: str, variance: float, mean: float) -> None:
    """gain(f, q, m) is sqrt(q) times the gain of z -> f(m + sqrt(q) z)."""
    f, std = gains._activation.as_activation(name), math.sqrt(variance)
    shifted = gain(lambda z: f(mean + std * z))
    assert gain(name, variance=variance, mean=mean) == pytest.approx(std * shifted, rel=1e-9)


@given(st.floats(1e-3, 1e3))
def test_a_factor_divides_the_gain(factor: float) -> None:
    for direction in ("forward", "backward"):
        found = gain(lambda z: factor * np.tanh(z), direction)  # type: ignore[arg-type]
        assert found == pytest.approx(gain("tanh", direction) / factor, rel=1e-6)  # type: ignore[arg-type]


def test_the_gain_keeps_the_variance_of_a_wide_layer() -> None:
    """One layer of 2000 units, 500 outputs: the variance is a mean of about chi-square / 500
    over 4 inputs, standard error 3.2% or less; 5 of them, false alarm 6e-7, fixed seed."""
    rng = np.random.default_rng(0)
    for name, variance in (("gelu", 1.0), ("tanh", 4.0), ("softplus", 0.25)):
        f = gains._activation.as_activation(name)
        x = math.sqrt(variance) * rng.normal(size=(2000, 4))
        weights = rng.normal(size=(500, 2000)) * gain(name, variance=variance) / math.sqrt(2000)
        assert np.var(weights @ f(x)) == pytest.approx(variance, rel=0.16)


@pytest.mark.parametrize("depth", [22, 30])
def test_xavier_falls_behind_he_by_the_gain_of_relu(depth: int) -> None:
    """He et al. 2015: 1 / sqrt(2)**depth, 4.9e-4 at 22 layers and 3.1e-5 at 30."""
    told = {22: 4.9e-4, 30: 3.1e-5}[depth]
    assert gain("relu") ** -depth == pytest.approx(told, rel=0.02)


TORCH = ("linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu")


@pytest.mark.parametrize("name", TORCH)
def test_the_convention_of_torch_is_its_table(name: str) -> None:
    for direction in ("forward", "backward"):
        found = gain(name, direction, convention="torch")  # type: ignore[arg-type]
        assert found == torch.nn.init.calculate_gain(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["leaky_relu(0.2)", "leaky_relu(negative_slope=0.2)"])
def test_the_convention_of_torch_reads_parameters(text: str) -> None:
    assert gain(text, convention="torch") == torch.nn.init.calculate_gain("leaky_relu", 0.2)


def test_gelu_and_others_are_not_in_the_table_of_torch() -> None:
    with pytest.raises(FaninError, match="torch has no gain of 'gelu'"):
        gain("gelu", convention="torch")
    with pytest.raises(FaninError, match="torch has no gain of 'tahn': did you mean 'tanh'"):
        gain("tahn", convention="torch")
    with pytest.raises(FaninError, match=r"no gain of 'tanh\(2\)': its parameters are not"):
        gain("tanh(2)", convention="torch")
    with pytest.raises(FaninError, match="torch's gains are for names; the activation is <"):
        gain(np.tanh, convention="torch")
    with pytest.raises(FaninError, match="torch's gains are constants: leave variance and mean"):
        gain("tanh", variance=2.0, convention="torch")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"f": "gelo"}, "unknown activation 'gelo': did you mean 'gelu'?"),
        ({"f": "zzzz"}, r"unknown activation 'zzzz'. Of 35 known, nearest: \w+, "),
        ({"f": "gelu("}, r"activation 'gelu\(' is neither a name nor a call with literal argum"),
        ({"f": "leaky_relu(1, 2)"}, "cannot be made: too many positional arguments"),
        ({"f": "threshold"}, "'threshold' cannot be made: missing a required argument: 'thre"),
        ({"f": "elu(alpha='a')"}, "cannot be made: parameters are finite numbers"),
        ({"f": "elu(inf)"}, "cannot be made: parameters are finite numbers"),
        ({"f": "celu(0)"}, r"celu\(0.0\) is .* a gain needs a function that is finite"),
        ({"f": 3}, "activation is 3; give a name, such as 'gelu' or 'leaky_relu"),
        ({"f": None}, "activation is None; give a name"),
        ({"f": "relu", "direction": "up"}, "direction is 'up'; allowed are forward, backward"),
        ({"f": "relu", "convention": "keras"}, "convention is 'keras'; allowed are fanin, torch"),
        ({"f": "relu", "variance": 0}, "variance is 0; it must be a finite number > 0"),
        ({"f": "relu", "variance": "1"}, "variance is '1'; it must be"),
        ({"f": "relu", "variance": math.nan}, "variance is nan; it must be"),
        ({"f": "relu", "mean": math.inf}, "mean is inf; it must be a finite number"),
        ({"f": "threshold(50, 0)"}, r"threshold\(50.0, 0.0\) is zero for these inputs, so no forw"),
        ({"f": "relu", "mean": -30}, "relu is zero for these inputs, so no forward gain"),
        (
            {"f": "relu", "mean": -30, "direction": "backward"},
            "the derivative of relu is zero for these inputs, so no backward gain keeps a signal",
        ),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        gain(**arguments)  # type: ignore[arg-type]


def test_a_name_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = gain("gelu", variance=1.25)
    monkeypatch.setattr("fanin.gains._gain.compute_gain", None)
    assert gain("gelu", variance=1.25) == first


def test_importing_fanin_computes_nothing() -> None:
    code = "import fanin.gains._quadrature as q; print(q.rule.cache_info().currsize)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0\n"


def test_an_activation_of_ones_own_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fanin.gains._activation._REGISTERED", {})

    def wave(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.arctan(2 * x))

    gains.register("wave", wave)
    gains.register("wave", wave)  # again
    assert gain("wave") == gain(wave)
    assert gain("wave", direction="backward") == gain(wave, direction="backward")
    assert gains.depth_theory("wave", 1.0).chi1 == gains.depth_theory(wave, 1.0).chi1
    assert "wave" not in gains.names()  # the table's
    for taken in ("wave", "relu", "swish", "softmax"):
        with pytest.raises(FaninError, match=f"name '{taken}' is taken, as an activation"):
            gains.register(taken, np.tanh)
    with pytest.raises(FaninError, match=r"name is 'a b'; register takes an identifier"):
        gains.register("a b", np.tanh)
    with pytest.raises(FaninError, match=r"f is 'relu'; give a function of one array\."):
        gains.register("other", "relu")  # type: ignore[arg-type]
    with pytest.raises(FaninError, match="activation wave was registered without parameters"):
        gain("wave(2)")
    with pytest.raises(FaninError, match="unknown activation 'wavy': did you mean 'wave'"):
        gain("wavy")
