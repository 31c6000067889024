"""Every named activation: pinned, and the same as torch's and JAX's own functions."""

import inspect
import math
from itertools import pairwise

import jax
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from fanin import gain
from fanin.errors import FaninError
from fanin.gains import names, table
from fanin.gains._activation import as_activation
from fanin.gains._callables import double_precision
from fanin.gains._table import MIXING, REFUSED, ROWS

# forward, backward: 1/sqrt(E f(z)**2), 1/sqrt(E f'(z)**2). Computed here, then pinned.
PINS = {
    "identity": (1.000000000000, 1.000000000000),
    "relu": (1.414213562373, 1.414213562373),
    "relu6": (1.414213565095, 1.414213563768),
    "leaky_relu": (1.414142856998, 1.414142856998),
    "prelu": (1.371988681140, 1.371988681140),
    "elu": (1.245198300701, 1.223428557553),
    "celu": (1.245198300701, 1.223428557553),
    "selu": (1.000000000000, 0.966025776974),
    "gelu": (1.533530441196, 1.481114412708),
    "gelu_tanh": (1.533580521666, 1.481168058093),
    "silu": (1.676532470331, 1.623320257952),
    "mish": (1.486847581273, 1.444755232547),
    "tanh": (1.592537419723, 1.467413591631),
    "sigmoid": (1.846228545339, 4.722646085938),
    "logsigmoid": (1.041866835535, 1.846228545339),
    "softplus": (1.041866835535, 1.846228545339),
    "squareplus": (0.816496580928, 1.859149162491),
    "softsign": (2.337533363109, 2.095780608943),
    "softshrink": (1.544360528280, 1.273007601031),
    "tanhshrink": (2.338367530102, 1.988138823249),
    "hardtanh": (1.392036140448, 1.210287062433),
    "hardsigmoid": (1.897840424730, 6.008115825197),
    "hardswish": (1.736657212767, 1.670076367441),
    "hardshrink": (1.015796354720, 1.273007601031),
    "threshold(0.3, -1.0)": (0.947275409389, 1.617774451067),
    "sparse_plus": (1.380336862859, 1.624321558789),
    "sparse_sigmoid": (1.624321558789, 2.420574124865),
}
PARAMETERS = {"threshold": (0.3, -1.0)}


def spelled(name: str) -> str:
    """The name with its parameters, where it cannot do without."""
    return f"{name}{PARAMETERS[name]}" if name in PARAMETERS else name


def test_every_row_is_pinned() -> None:
    assert set(PINS) == {spelled(row.name) for row in ROWS.values()}


@pytest.mark.parametrize(("name", "forward", "backward"), [(k, *v) for k, v in PINS.items()])
def test_pins(name: str, forward: float, backward: float) -> None:
    assert gain(name) == pytest.approx(forward, rel=1e-10)
    assert gain(name, "backward") == pytest.approx(backward, rel=1e-10)


# Figures published or computed before this library: forward, backward, and the growth of a
# squared gradient at the forward gain, to the digits that were given.
FIGURES = {
    "relu": (1.41421, 1.41421, 1),
    "leaky_relu(0.2)": (1.38675, 1.38675, 1),
    "tanh": (1.59254, 1.46741, 1.178),
    "gelu": (1.53353, 1.48111, 1.072),
    "silu": (1.67653, 1.62332, 1.067),
    "mish": (1.48685, 1.44476, 1.059),
    "elu": (1.24520, 1.22343, 1.036),
    "softplus": (1.04187, 1.84623, 0.318),
    "sigmoid": (1.84623, 4.72265, 0.153),
    "softsign": (2.33753, 2.09578, 1.244),
    "hardtanh": (1.39204, 1.21029, 1.323),
}


@pytest.mark.parametrize("name", FIGURES)
def test_known_figures(name: str) -> None:
    forward, backward, growth = FIGURES[name]
    assert gain(name) == pytest.approx(forward, abs=6e-6)
    assert gain(name, "backward") == pytest.approx(backward, abs=6e-6)
    assert (gain(name) / gain(name, "backward")) ** 2 == pytest.approx(growth, abs=6e-4)


def test_the_tanh_form_of_gelu() -> None:
    assert gain("gelu_tanh") == pytest.approx(1.53358, abs=6e-6)


def test_selu_keeps_mean_0_and_variance_1_but_not_gradients() -> None:
    """Klambauer et al. 2017; E f'(z)**2 = scale**2 (1/2 + alpha**2 exp(2) Phi(-2)) = 1.0716."""
    alpha, scale = 1.6732632423543773, 1.0507009873554805
    selu = as_activation("selu")
    halves = ((-12, 0), (0, 12))
    mean = sum(
        integrate.quad(lambda x: selu(np.array(x)) * density(x), *half)[0] for half in halves
    )
    assert mean == pytest.approx(0, abs=1e-6)
    assert gain("selu") == pytest.approx(1, abs=1e-6)
    slopes = scale**2 * (0.5 + alpha**2 * math.exp(2) * math.erfc(math.sqrt(2)) / 2)
    assert slopes == pytest.approx(1.0716, abs=5e-5)
    assert gain("selu", "backward") == pytest.approx(1 / math.sqrt(slopes), rel=1e-12)


def density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("name", list(PINS))
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (-0.7, 2.3)])
def test_against_quadpack(name: str, mean: float, variance: float) -> None:
    f, std = as_activation(name), math.sqrt(variance)

    def moment(function: object) -> float:
        edges = sorted({-14.0, *((kink - mean) / std for kink in f.kinks), 0.0, 14.0})
        return sum(
            integrate.quad(
                lambda z: function(np.array(mean + std * z)) ** 2 * density(z),
                low,
                high,
                epsabs=0,
                epsrel=1e-12,
                limit=200,
            )[0]
            for low, high in pairwise(edges)
        )

    law = {"variance": variance, "mean": mean}
    assert gain(name, **law) == pytest.approx(std / math.sqrt(moment(f)), rel=1e-9)
    backward = 1 / math.sqrt(moment(f.slope))
    assert gain(name, "backward", **law) == pytest.approx(backward, rel=1e-9)


@given(st.floats(-2, 2), st.floats(1e-6, 1e6))
def test_the_gain_of_a_leaky_rectifier_is_its_formula_at_every_variance(
    slope: float, variance: float
) -> None:
    exact = math.sqrt(2 / (1 + slope * slope))
    for direction in ("forward", "backward"):
        found = gain(f"leaky_relu({slope!r})", direction, variance=variance)  # type: ignore[arg-type]
        assert found == pytest.approx(exact, rel=1e-10)


@given(st.floats(0.05, 4), st.floats(0.05, 4))
def test_hardtanh_against_its_formula(limit: float, std: float) -> None:
    """E clip(x, -a, a)**2 with x = std z, t = a / std, in closed form."""
    t = limit / std
    inside = math.erf(t / math.sqrt(2))
    moment = std**2 * (inside - 2 * t * density(t)) + limit**2 * (1 - inside)
    name = f"hardtanh({-limit!r}, {limit!r})"
    assert gain(name, variance=std**2) == pytest.approx(std / math.sqrt(moment), rel=1e-9)
    backward = gain(name, "backward", variance=std**2)
    assert backward == pytest.approx(1 / math.sqrt(inside), rel=1e-9)


X = np.concatenate([np.linspace(-30, 30, 4001), [-1e-8, 1e-8, -1e-3, 1e-3]])
BY_LETTERS = {name.replace("_", ""): name for name in names()}
ACTIVATIONS = torch.nn.modules.activation.__all__
REASONS = {name.replace("_", "") for name in REFUSED}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_every_activation_of_torch_has_a_row_or_a_reason(kind: str) -> None:
    assert (kind.lower() in BY_LETTERS) != (kind.lower() in REASONS)


@pytest.mark.parametrize("kind", [kind for kind in ACTIVATIONS if kind.lower() in BY_LETTERS])
def test_rows_are_the_functions_of_torch(kind: str) -> None:
    name = BY_LETTERS[kind.lower()]
    module = getattr(torch.nn, kind)(*PARAMETERS.get(name, ())).double()
    f = as_activation(spelled(name))
    x = torch.tensor(X, requires_grad=True)
    y = module(x)
    # torch.nn.Softplus is the identity from 20 on: 2e-9 off.
    assert f(X) == pytest.approx(y.detach().numpy(), abs=3e-9 if kind == "Softplus" else 1e-12)
    smooth = (np.abs(X[:, None] - np.array([*f.kinks, np.inf])) > 1e-9).all(axis=1)
    slopes = torch.autograd.grad(y.sum(), x)[0].numpy()
    assert f.slope(X)[smooth] == pytest.approx(slopes[smooth], abs=1e-8)


def one_input_functions_of_jax() -> list[str]:
    found = []
    for name, f in vars(jax.nn).items():
        if name.startswith("_") or not callable(f) or name == "get_scaled_dot_general_config":
            continue
        parameters = inspect.signature(f).parameters.values()
        if sum(one.default is one.empty and one.kind != one.KEYWORD_ONLY for one in parameters) < 2:
            found.append(name)
    return found


JAX_NN = one_input_functions_of_jax()


def test_the_functions_of_jax_are_found() -> None:
    assert {"relu", "gelu", "squareplus", "softmax"} < set(JAX_NN)


@pytest.mark.parametrize("name", JAX_NN)
def test_every_one_input_function_of_jax_has_a_row_or_a_reason(name: str) -> None:
    assert (name in ROWS) != (name in REFUSED)


@pytest.mark.parametrize("name", [name for name in JAX_NN if name in ROWS])
def test_rows_are_the_functions_of_jax(name: str) -> None:
    # jax.nn.gelu is the tanh form unless told otherwise.
    f = as_activation("gelu_tanh" if name == "gelu" else name)
    jax_f = getattr(jax.nn, name)
    smooth = (np.abs(X[:, None] - np.array([*f.kinks, np.inf])) > 1e-9).all(axis=1)
    with double_precision(jax):
        assert f(X) == pytest.approx(np.asarray(jax_f(X)), abs=1e-12)
        slopes = np.asarray(jax.vmap(jax.grad(jax_f))(X))
    assert f.slope(X)[smooth] == pytest.approx(slopes[smooth], abs=1e-8)


def test_small_inputs_lose_no_digits() -> None:
    """x - tanh(x) = x**3 / 3 - ..., where the plain difference has no digits left."""
    x = np.array([1e-6, -1e-3, 0.19, 0.21])
    exact = x**3 / 3 - 2 * x**5 / 15 + 17 * x**7 / 315 - 62 * x**9 / 2835 + 1382 * x**11 / 155925
    assert as_activation("tanhshrink")(x) == pytest.approx(exact, rel=1e-8)
    assert gain("tanhshrink", variance=1e-8) == pytest.approx(3e8 / math.sqrt(15), rel=1e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_names_say_why(name: str) -> None:
    with pytest.raises(FaninError, match=f"^{name} has no gain: it|one output"):
        gain(name)
    assert name in MIXING or name in ("rrelu", "dropout")


def test_the_table_lists_every_name_once() -> None:
    listed = [name for row in table() for name in (row.name, *row.aliases)]
    assert sorted(listed) == sorted(names())
    rows = {row.name: row for row in table()}
    assert rows["tanh"].torch == 5 / 3
    assert rows["identity"].torch == 1
    assert rows["gelu"].torch is None
    assert rows["threshold"][2:] == ("threshold, value", None, None, None)
    assert rows["leaky_relu"].parameters == "negative_slope=0.01"
