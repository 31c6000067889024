"""Functions of a tree of arrays: Haiku's, and people's own."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from torch import nn

import fanin
from fanin import FaninError


def apply(params: Any, x: Any) -> Any:
    return jax.nn.relu(x @ params["layers"][0]["kernel"]) @ params["layers"][1]["kernel"]


def tree(*sizes: int) -> Any:
    pairs = pairwise(sizes)
    return {"layers": [{"kernel": jax.ShapeDtypeStruct(pair, jnp.float32)} for pair in pairs]}


def test_a_tree_comes_back_with_values_and_its_plan() -> None:
    params, plan = fanin.initialize_params(
        apply, tree(8, 16, 4), seed=3, overrides={"*": "normal(std=0.1)"}
    )
    assert [*plan] == ["layers.0.weight", "layers.1.weight"]
    drawn = fanin.initializers.normal(std=0.1)((8, 16), seed=3, name="layers.0.weight")
    np.testing.assert_array_equal(params["layers"][0]["kernel"], drawn)
    plan.verify(apply, params=params)
    again, _ = plan.apply_params(apply, tree(8, 16, 4))
    jax.tree.map(np.testing.assert_array_equal, again, params)
    assert plan.audit(apply, params=params).ok
    assert plan.diff(apply, tree(8, 16, 4)) == ()


def test_a_torch_plan_draws_a_function_that_a_run_explains() -> None:
    source = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(8, 8, bias=False) for _ in "12"])})
    planned, x = fanin.initialize(source, seed=4), jnp.ones((2, 8))
    with pytest.raises(FaninError, match="only a run tells how an array of the user's own is used"):
        planned.apply_params(apply, tree(8, 8, 8))
    params, _ = planned.apply_params(apply, tree(8, 8, 8), inputs=x)
    for number, layer in enumerate(source["layers"]):
        weight = layer.weight.detach().numpy()
        np.testing.assert_array_equal(params["layers"][number]["kernel"], weight.T)
    planned.verify(apply, params=params, inputs=x)
    made, plan = fanin.initialize_params(apply, tree(8, 8, 8), seed=4, inputs=x)
    assert str(plan["layers.1.weight"].initializer) == "he_normal()"
    np.testing.assert_array_equal(made["layers"][0]["kernel"], params["layers"][0]["kernel"])
    plan.apply(source)


def test_haiku_trees_have_their_module_paths() -> None:
    net = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([8, 4])(x)))
    abstract = jax.eval_shape(net.init, jax.random.key(0), jnp.ones((1, 3)))
    plan = fanin.plan(
        net.apply, params=abstract, overrides={"*.w": "normal(std=1)", "*.b": "zeros"}
    )
    assert [*plan][:2] == ["mlp/~/linear_0.b", "mlp/~/linear_0.w"]
    params, _ = plan.apply_params(net.apply, abstract)
    assert net.apply(params, jnp.ones((1, 3))).shape == (1, 4)
    with pytest.raises(FaninError, match=r"is no function; pass its \.apply"):
        fanin.initialize_params(net, abstract)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"w": "text"}, "params has 'text' at w; its leaves are arrays"),
        ({}, "a tree without arrays; give the parameters"),
        ({"w": 3.0}, "params has 3.0 at w"),
    ],
)
def test_leaves_are_arrays(params: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        fanin.initialize_params(apply, params)


def test_a_tree_that_holds_itself() -> None:
    params: list[Any] = []
    params.append(params)
    with pytest.raises(FaninError, match="a tree without an end"):
        fanin.initialize_params(apply, params)


def test_what_is_no_model_is_told_what_is() -> None:
    with pytest.raises(FaninError, match="a function holds no parameters; pass its tree"):
        fanin.initialize_params(apply)
    with pytest.raises(FaninError, match=r"a function is never written in place.* call it, and"):
        fanin.initialize(apply)
    with pytest.raises(FaninError, match="a function is never written in place"):
        fanin.initialize_params(apply, tree(4, 4, 4), overrides={"*": "ones"})[1].apply(apply)
    with pytest.raises(
        FaninError, match="must be a module of Equinox or Flax Linen, or a function"
    ):
        fanin.initialize_params(3, {"w": jnp.ones(3)})


def test_orbax_restores_into_the_abstract_tree_that_was_drawn(tmp_path: Path) -> None:
    mesh = jax.make_mesh((1,), ("data",))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    abstract = {"w": jax.ShapeDtypeStruct((4, 3), jnp.float32, sharding=whole)}

    def product(params: Any, x: Any) -> Any:
        return x @ params["w"]

    params, plan = fanin.initialize_params(product, abstract, seed=8, inputs=jnp.ones((1, 4)))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "step", params)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "step", abstract)
    plan.verify(product, params=restored)


def test_a_key_is_no_seed() -> None:
    params = {"w": jax.ShapeDtypeStruct((3, 2), jnp.float32)}
    with pytest.raises(FaninError, match="Keys are not split here"):
        fanin.initialize_params(
            lambda p, x: x @ p["w"], params, seed=jax.random.key(0), inputs=jnp.zeros((1, 3))
        )
