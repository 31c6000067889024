"""Checkups of JAX models: what is asked, what is refused, and what stays as it was."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fanin
from fanin import cli
from fanin.errors import FaninError
from fanin.frameworks import adapter_for, open_model

X = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 64)


class Net(nnx.Module):
    """Whatever a run may change: statistics, and a key of dropout."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(8, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Linear(32, 3, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.second(self.drop(jax.nn.relu(self.norm(self.first(x)))))


class Port(linen.Module):
    @linen.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(32)(x))
        return linen.Dense(3)(jax.nn.relu(x))


def arrays(model: Any) -> list[Any]:
    held = nnx.state(model) if isinstance(model, nnx.Module) else model
    plain = jax.tree_util.tree_map(
        lambda leaf: (
            jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        ),
        held,
    )
    return [np.asarray(leaf).copy() for leaf in jax.tree_util.tree_leaves(plain)]


def test_state_is_as_it_was() -> None:
    model = Net(nnx.Rngs(0))
    before = arrays(model)
    first, second = (fanin.check(model, X, LABELS) for _ in range(2))
    assert str(first) == str(second)  # dropout's key, too
    for ours, theirs in zip(arrays(model), before, strict=True):
        assert np.array_equal(ours, theirs)
    with pytest.raises(FaninError, match="does not run on these inputs"):
        fanin.check(model, X[:, :3])
    for ours, theirs in zip(arrays(model), before, strict=True):
        assert np.array_equal(ours, theirs)


def mode(model: Any, params: Any = None) -> str:
    held = open_model(model, params, X)
    return adapter_for(held).subject(held).facts.mode


def test_the_mode_is_the_model_s_own() -> None:
    model = Net(nnx.Rngs(0))
    assert mode(model) == "train"
    model.eval()
    assert mode(model) == "eval"
    model.drop.deterministic = False
    assert mode(model) == "mixed"
    drop = eqx.nn.Sequential([eqx.nn.Linear(8, 3, key=jax.random.key(0)), eqx.nn.Dropout(0.5)])
    assert mode(drop) == "train"
    assert mode(eqx.nn.inference_mode(drop)) == "eval"


def test_linen_takes_its_variables() -> None:
    variables = Port().init(jax.random.key(0), X)
    found = fanin.check(Port(), X, LABELS, params=variables)
    assert found.ok("warning"), found
    assert [layer.name for layer in found.layers] == ["Dense_0.weight", "Dense_1.weight"]
    evaluated = fanin.check(Port(), {"x": X, "train": False}, params=variables)
    assert evaluated.layers[0].initializer == found.layers[0].initializer
    zeros = jax.tree_util.tree_map(jnp.zeros_like, variables)
    assert "F10" in {item.id for item in fanin.check(Port(), X, params=zeros).findings}


def abstract_nnx() -> tuple[Any, dict[str, Any]]:
    return nnx.eval_shape(lambda: Net(nnx.Rngs(0))), {}


def abstract_equinox() -> tuple[Any, dict[str, Any]]:
    return eqx.filter_eval_shape(eqx.nn.MLP, 8, 3, 16, 1, key=jax.random.key(0)), {}


def abstract_linen() -> tuple[Any, dict[str, Any]]:
    return Port(), {"params": jax.eval_shape(Port().init, jax.random.key(0), X)}


def linen_alone() -> tuple[Any, dict[str, Any]]:
    return Port(), {}


@pytest.mark.parametrize(
    ("make", "road"),
    [
        (abstract_nnx, r"fanin.initialize\(model, seed=0, inputs=x\)\."),
        (abstract_equinox, r"model, plan = fanin.initialize_params\(model, seed=0, inputs=x\)\."),
        (abstract_linen, "and pass params=params"),
        (linen_alone, "and pass params=params"),
    ],
)
def test_models_without_values(make: Callable[[], Any], road: str) -> None:
    model, more = make()
    with pytest.raises(FaninError, match=rf"has no values to check: it is abstract.*{road}"):
        fanin.check(model, X, **more)


def test_wrong_arguments() -> None:
    model = eqx.nn.MLP(8, 3, 16, 1, key=jax.random.key(0))
    for arguments, message in (
        ({"targets": [0, 1]}, "targets has type list; without loss= it is an array"),
        ({"targets": LABELS + 3}, r"targets holds [345], and there are 3 logits"),
        ({"targets": LABELS[:5]}, r"targets has shape \(5,\), the output \(64, 3\)"),
        ({"targets": X}, r"the output \(64, 3\); the mean squared error wants the same"),
        ({"loss": lambda out: out}, r"loss gave shape \(64, 3\); it gives one real number"),
        ({"loss": lambda out: 1 / 0}, "the loss fails on this output .* ZeroDivisionError"),
        ({"loss": 3}, "loss is 3; it is a function"),
        ({"draws": 2}, "draws is 2, and the model is one MLP"),
    ):
        with pytest.raises(FaninError, match=message):
            fanin.check(model, X, **arguments)
    with pytest.raises(FaninError, match="without values, and a checkup runs the model"):
        fanin.check(model, jax.ShapeDtypeStruct((4, 8), jnp.float32))
    with pytest.raises(FaninError, match="is being traced by jit"):
        jax.jit(lambda model: fanin.check(model, X) and 0)(eqx.filter(model, eqx.is_array))


def test_factories_and_gaussian_inputs() -> None:
    def make() -> nnx.Module:
        return Net(nnx.Rngs(0))

    found = fanin.check(make, shape=(8,), draws=2)
    assert found.conditions.framework == f"jax {jax.__version__}"
    assert found.conditions.draws == 2
    with pytest.raises(FaninError, match=r"the factory returned PjitFunction; it must return a"):
        fanin.check(lambda: jax.jit(jnp.sin), shape=(8,))


def test_a_model_that_returns_its_own_loss() -> None:
    params = {"w": jnp.ones((8, 3)) / 3}

    def apply(params: Any, x: Any, labels: Any) -> Any:
        logits = x @ params["w"]
        loss = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()
        return {"loss": loss, "logits": logits}

    found = fanin.check(apply, (X, LABELS), params=params)
    assert found.conditions.loss == "the model's own"


def test_what_is_judged_inside_of_a_recurrent_layer_is_said() -> None:
    class Recurrent(nnx.Module):
        def __init__(self) -> None:
            self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(8, 16, rngs=nnx.Rngs(0)))
            self.head = nnx.Linear(16, 3, rngs=nnx.Rngs(1))

        def __call__(self, x: Any) -> Any:
            return self.head(self.rnn(x))

    found = fanin.check(Recurrent(), X.reshape(8, 8, 8))
    said = "of its inside, equal units and repeated weights were judged (F08, F09)."
    assert any(said in note for note in found.notes), found.notes


MODELS = """
import equinox as eqx, jax
from flax import nnx

def perceptron():
    return eqx.nn.MLP(8, 3, 16, 1, key=jax.random.key(0))

class Line(nnx.Module):
    def __init__(self):
        self.line = nnx.Linear(8, 3, rngs=nnx.Rngs(0))
    def __call__(self, x):
        return self.line(x)
"""


@pytest.mark.parametrize("words", ["perceptron", "Line", "perceptron --recipe auto", "Line --eval"])
def test_the_command(
    words: str, write_module: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    write_module("jax_models", MODELS)
    code = cli.main(["check", "--input", "8", *f"jax_models:{words}".split()])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "nothing stands against training it" in printed.out


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize(("factor", "found"), [(1.0, None), (0.0, "F10"), (1e6, "F02")])
def test_complex_models_are_measured_by_absolute_values(factor: float, found: str | None) -> None:
    keys = jax.random.split(jax.random.key(0), 4)
    sizes = (16, 32, 32, 4)
    weights = [
        factor * jax.random.normal(key, pair, "complex64") / pair[0] ** 0.5
        for key, pair in zip(keys, pairwise(sizes), strict=False)
    ]
    x = jax.random.normal(keys[3], (64, 16), "complex64")

    def apply(params: Any, x: Any) -> Any:
        for weight in params[:-1]:
            x = x @ weight
            x = jax.lax.complex(jax.nn.relu(x.real), jax.nn.relu(x.imag))
        return jnp.abs(x @ params[-1])

    checkup = fanin.check(apply, x, params=weights)
    assert checkup.ok() is (found is None)
    assert found in {None, *(item.id for item in checkup.findings if item.severity == "error")}
    by_hand = float(jnp.sqrt(jnp.square(jnp.abs(x @ weights[0])).mean()))
    assert checkup.layers[0].rms == pytest.approx(by_hand, rel=1e-5)
