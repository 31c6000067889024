"""`fanin init` of JAX factories: the weights of the call, under the library's own paths."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, traverse_util
from safetensors import safe_open
from safetensors.numpy import load_file

import fanin
from fanin import cli

MODELS = """
import equinox as eqx, flax.linen as nn, jax, jax.numpy as jnp
from flax import nnx

def array(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)

class Net(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(8, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.again = self.second = nnx.Linear(32, 32, rngs=rngs)
    def __call__(self, x):
        return self.again(self.second(self.drop(jax.nn.relu(self.norm(self.first(x))))))

class Port(nn.Module):
    @nn.compact
    def __call__(self, x, train=True):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(32)(x))
        return nn.Dense(3)(nn.relu(x))

def apply(params, x):
    return jax.nn.relu(x @ params["in"]["w"]) @ params["out"]["w"]

def equinox():
    return eqx.filter_eval_shape(eqx.nn.MLP, 8, 3, 16, 1, key=jax.random.key(0))

def abstract_nnx():
    return nnx.eval_shape(lambda: Net(nnx.Rngs(0)))

def linen():
    return Port(), jax.eval_shape(Port().init, jax.random.key(0), array(1, 8))

def params_alone():
    model = nn.Sequential([nn.Dense(16), nn.relu, nn.Dense(3)])
    return model, jax.eval_shape(model.init, jax.random.key(0), array(1, 8))["params"]

def incomplete():
    model, variables = linen()
    return model, variables["params"]

def module_alone():
    return Port()

def function():
    return apply, {"in": {"w": array(8, 16)}, "out": {"w": array(16, 3)}}

def function_alone():
    return apply

def trained():
    return apply, {"in": {"w": jnp.full((8, 16), 0.5)}, "out": {"w": jnp.ones((16, 3))}}

def with_state():
    return nnx.eval_shape(lambda: nnx.Linear(8, 3, rngs=nnx.Rngs(0))), 3

class Cached(nnx.Module):
    def __init__(self):
        self.line = nnx.Linear(8, 3, rngs=nnx.Rngs(0))
        self.cache = nnx.Variable(jnp.zeros(3))
    def __call__(self, x):
        return self.line(x) + self.cache[...]

def lost():
    return nnx.eval_shape(Cached)
"""
X = jnp.zeros((256, 8))  # the command's batch: 2**20 numbers at most, 256 at most


@pytest.fixture(autouse=True)
def models(write_module: Callable[[str, str], Path]) -> Any:
    folder = write_module("stored_models", MODELS)  # which is not on the path of modules
    sys.path.insert(0, str(folder))
    import stored_models  # type: ignore[import-not-found]

    return stored_models


def by_paths(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def of_equinox(models: Any) -> dict[str, Any]:
    model, _ = fanin.initialize_params(models.equinox(), seed=3, inputs=X)
    return by_paths(eqx.filter(model, eqx.is_array))


def of_nnx(models: Any) -> dict[str, Any]:
    fanin.initialize(model := models.abstract_nnx(), 3, X)
    state = nnx.state(model, nnx.Not(nnx.RngState))
    return {".".join(path): held[...] for path, held in nnx.to_flat_state(state)}


def of_linen(models: Any) -> dict[str, Any]:
    variables, _ = fanin.initialize_params(*models.linen(), seed=3, inputs=X)
    return dict(traverse_util.flatten_dict(variables, sep="."))


def of_params(models: Any) -> dict[str, Any]:
    params, _ = fanin.initialize_params(*models.params_alone(), seed=3, inputs=X)
    return dict(traverse_util.flatten_dict(params, sep="."))


def of_function(models: Any) -> dict[str, Any]:
    params, _ = fanin.initialize_params(*models.function(), seed=3, inputs=X)
    return by_paths(params)


FACTORIES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "equinox": of_equinox,
    "abstract_nnx": of_nnx,
    "linen": of_linen,
    "params_alone": of_params,
    "module_alone": of_linen,
    "function": of_function,
}


@pytest.mark.parametrize("name", FACTORIES)
def test_the_file_holds_what_the_call_makes(
    name: str, models: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["init", f"stored_models:{name}", "--input", "8", "--seed", "3"]
    words += ["--out", "a.safetensors"]
    assert cli.main([*words, "--save-plan", "plan.toml"]) == 0
    digest = capsys.readouterr().out.splitlines()[-1]
    found, wanted = load_file("a.safetensors"), FACTORIES[name](models)
    assert found.keys() == wanted.keys()
    for path, values in wanted.items():
        assert found[path].dtype == values.dtype
        assert np.array_equal(found[path], values), path
    assert cli.main(["verify", "plan.toml", "a.safetensors"]) == 0
    assert digest in capsys.readouterr().out
    if name != "module_alone":
        again = ["init", f"stored_models:{name}", "--plan", "plan.toml", "--out", "b.safetensors"]
        again += ["--input", "8"] if name == "linen" else []  # for its statistics
        assert cli.main(again) == 0
        assert digest in capsys.readouterr().out


def test_what_a_file_says_of_itself(models: Any, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", "stored_models:abstract_nnx", "--input", "8", "--out", "."]
    assert cli.main([*words, "--save-plan", "plan.toml"]) == 0
    assert cli.main([*words, "--plan", "plan.toml"]) == 2
    assert "--plan and --input are both given" in capsys.readouterr().err
    with safe_open("model.safetensors", "np") as file:
        metadata = file.metadata()
    assert metadata["format"] == "flax"
    assert metadata["second.kernel"] == "again.kernel"  # shared
    assert json.loads(metadata["fanin.names"])["norm.scale"] == "norm.weight"


def test_a_plan_of_torch_draws_the_port(models: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    layers = {"Dense_0": torch.nn.Linear(8, 32), "Dense_1": torch.nn.Linear(32, 3)}
    layers["BatchNorm_0"] = torch.nn.BatchNorm1d(32)
    planned = fanin.plan(torch.nn.ModuleDict(layers))
    planned.save("torch.toml")
    words = ["init", "stored_models:linen", "--plan", "torch.toml", "--out", "a.safetensors"]
    assert cli.main([*words, "--input", "8", "--save-plan", "port.toml"]) == 0
    found = load_file("a.safetensors")
    planned.apply(torch.nn.ModuleDict(layers))
    drawn = layers["Dense_0"].weight.detach().numpy()
    assert np.array_equal(found["params.Dense_0.kernel"].T, drawn)
    assert cli.main(["verify", "port.toml", "a.safetensors"]) == 0


def test_a_part_is_drawn_beside_what_the_factory_gives(models: Any) -> None:
    words = ["init", "stored_models:trained", "--input", "8", "--only", "out.*"]
    assert cli.main([*words, "--out", "a.safetensors", "--save-plan", "plan.toml"]) == 0
    found = load_file("a.safetensors")
    assert (found["in.w"] == 0.5).all()
    assert not (found["out.w"] == 1).any()
    assert cli.main(["verify", "plan.toml", "a.safetensors"]) == 0


def test_a_plan_and_a_check(models: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "stored_models:function", "--input", "8"]) == 0
    assert "he_normal()" in capsys.readouterr().out
    for words in ("function --recipe auto", "module_alone --recipe auto", "trained --select F08"):
        factory, *more = words.split()
        code = cli.main(["check", f"stored_models:{factory}", "--input", "8", *more])
        assert code == (factory == "trained"), capsys.readouterr()
        assert ("different of 16 units" in capsys.readouterr().out) == (factory == "trained")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("init module_alone --out a.safetensors", "Port holds no parameters; pass its variables"),
        ("init function_alone --out a.safetensors", "the factory returned function; it must"),
        ("init with_state --out a.safetensors", "Linear is written in place"),
        ("init incomplete --input 8 --out a.safetensors", "batch statistics too"),
        ("init lost --out a.safetensors", "cache of shape (3,) is abstract and no parameter"),
        ("init linen --dtype float16 --out a.safetensors", "param_dtype= in Flax"),
        ("plan function_alone --input 8", "the factory returned function; it must"),
        ("check module_alone --input 8", "Return it with its variables: (model, model.init("),
        ("check function --input 8", "in.w of shape (8, 16) has no values to check"),
    ],
)
def test_wrong_factories(
    words: str, message: str, models: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command, factory, *more = words.split()
    assert cli.main([command, f"stored_models:{factory}", *more]) == 2
    assert message in capsys.readouterr().err
    assert not Path("a.safetensors").exists()
