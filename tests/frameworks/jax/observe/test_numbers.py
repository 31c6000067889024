"""The numbers of a run: those that torch gives for the same weights."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import fanin
from fanin.checks._limits import LIMITS
from fanin.frameworks import Observation, RunAsked, adapter_for, open_model

Twin = Callable[[nn.Sequential], tuple[Any, dict[str, Any]]]

NUMBERS = np.random.default_rng(0).standard_normal((128, 64)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 10, 128)
REAL = np.random.default_rng(2).standard_normal((128, 10)).astype(np.float32)


def observe(
    model: Any, inputs: Any, targets: Any = None, loss: Any = None, params: Any = None
) -> Observation:
    held = open_model(model, params)
    subject = adapter_for(held).subject(held)
    return subject.observe(RunAsked(inputs, targets, loss, 0, LIMITS.flat, LIMITS.same))


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    norm = nn.LayerNorm(32)
    head = nn.Linear(32, 10)
    layers = [nn.Linear(64, 32), nn.ReLU(), norm, nn.Linear(32, 32), nn.Tanh(), head]
    for layer in layers[::3]:
        assert isinstance(layer, nn.Linear)
        nn.init.normal_(layer.weight, std=0.3)
        nn.init.normal_(layer.bias)
    nn.init.constant_(head.weight[1], 0.25)
    nn.init.constant_(head.weight[4], 0.25)
    return nn.Sequential(*layers)


def seen_at(found: Observation) -> dict[tuple[str, int], Any]:
    """What was seen of each node, by its operation, which of these it is, counted from the end."""
    counts: dict[str, int] = {}
    made = {}
    for at in range(len(found.nodes))[::-1]:
        op = found.nodes[at].op
        counts[op] = counts.get(op, 0) + 1
        looks = found.looks.get(at)
        made[op, counts[op]] = (
            found.rms[at],
            found.gradients[at],
            looks and looks.mean,
            looks and looks.cosine,
            found.silent.get(at),
            found.flat.get(at),
            found.nodes[at].shape,
        )
    return made


@pytest.mark.parametrize("targets", [LABELS, REAL], ids=["labels", "numbers"])
def test_sizes_and_gradients_are_those_of_torch(twin: Twin, targets: Any) -> None:
    model, more = twin(chain())
    theirs = observe(chain(), torch.from_numpy(NUMBERS), torch.from_numpy(targets))
    ours = observe(model, NUMBERS, targets, **more)
    assert (ours.loss_name, ours.classes) == (theirs.loss_name, theirs.classes)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    assert bool(ours.asked) == bool(theirs.asked)
    if theirs.targets is not None:
        assert ours.targets == theirs.targets
    mine = seen_at(ours)
    compared = 0
    for key, wanted in seen_at(theirs).items():
        for own, other in zip(mine[key], wanted, strict=True):
            # A node that torch computes within another one has no size of its own.
            if other is not None:
                assert own == (
                    other if isinstance(other, tuple) else pytest.approx(other, 1e-4, 1e-7)
                ), key
                compared += 1
    assert compared > 30


def test_weights_and_their_gradients_are_those_of_torch(twin: Twin) -> None:
    model, more = twin(chain())
    theirs = observe(chain(), torch.from_numpy(NUMBERS), torch.from_numpy(LABELS))
    ours = observe(model, NUMBERS, LABELS, **more)
    names = {name.removeprefix("layers."): name for name in ours.values}
    for name, wanted in theirs.values.items():
        own = ours.values[names[name]]
        for what in ("rms", "mean", "low", "high", "kurtosis"):
            assert getattr(own, what) == pytest.approx(getattr(wanted, what), 1e-4, 1e-7)
        assert (own.rows, own.alike, own.orthogonal) == (
            wanted.rows,
            wanted.alike,
            wanted.orthogonal,
        )
        gradient, other = ours.weight_gradients[names[name]], theirs.weight_gradients[name]
        assert gradient.norm == pytest.approx(other.norm, rel=1e-4)
        assert (gradient.rows, gradient.pairs) == (other.rows, other.pairs)


def test_a_loss_of_the_user_and_what_it_asks_for() -> None:
    weights = {"w": jnp.asarray(np.random.default_rng(3).standard_normal((64, 10)) / 8)}

    def apply(params: Any, x: Any) -> Any:
        return {"logits": x @ params["w"], "name": "a string"}

    def loss(output: Any, labels: Any) -> Any:
        logs = jax.nn.log_softmax(output["logits"])
        assert output["name"] is None
        return -jnp.take_along_axis(logs, labels[:, None], 1).mean()

    given = observe(apply, NUMBERS, LABELS, loss, weights)
    usual = observe(apply, NUMBERS, LABELS, params=weights)
    assert given.loss == pytest.approx(usual.loss, rel=1e-5)
    assert (given.loss_name, usual.loss_name) == ("given", "cross-entropy")
    assert given.gradients[1] == pytest.approx(usual.gradients[1] or 0, rel=1e-5)
    assert given.asked == usual.asked == {"_log_softmax": 1}


def test_a_loop_is_seen_step_by_step() -> None:
    """Over stacked layers, and over more steps than are followed one by one."""
    held = {"w": jnp.asarray(np.random.default_rng(3).standard_normal((12, 64, 64)) / 8)}

    def layers(params: Any, x: Any) -> Any:
        return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, params["w"])[0]

    def written_out(params: Any, x: Any) -> Any:
        for weight in params["w"]:
            x = jnp.tanh(x @ weight)
        return x

    ours, theirs = (observe(model, NUMBERS, params=held) for model in (layers, written_out))
    sizes = [
        [
            (size, gradient)
            for node, size, gradient in zip(seen.nodes, seen.rms, seen.gradients, strict=True)
            if node.op == "pointwise"
        ]
        for seen in (ours, theirs)
    ]
    assert len(sizes[0]) == 12
    assert np.array(sizes[0]) == pytest.approx(np.array(sizes[1]), rel=1e-5)

    def steps(params: Any, xs: Any) -> Any:
        def step(total: Any, x: Any) -> Any:
            total = total + x @ params["w"][0]
            return total, total

        return jax.lax.scan(step, jnp.zeros((4, 64)), xs, reverse=True)

    def summed(params: Any, xs: Any) -> Any:
        every = jnp.cumsum((xs @ params["w"][0])[::-1], 0)[::-1]
        return every[0], every

    xs = NUMBERS[:80].reshape(20, 4, 64)
    ours, theirs = (observe(model, xs, params=held) for model in (steps, summed))
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
    assert ours.weight_gradients["w"].norm == pytest.approx(
        theirs.weight_gradients["w"].norm, rel=1e-4
    )


def test_a_derivative_of_its_own_is_kept() -> None:
    """Inside of a function with one, sizes are seen, and gradients are not."""

    @jax.custom_vjp
    def rounded(x: Any) -> Any:
        return jnp.round(jnp.sin(x) @ jnp.eye(64))

    rounded.defvjp(lambda x: (rounded(x), None), lambda _, gradient: (3 * gradient,))
    held = {"a": jnp.eye(64) / 2, "b": jnp.eye(64)}

    def apply(params: Mapping[str, Any], x: Any) -> Any:
        return rounded(x @ params["a"]) @ params["b"]

    found = observe(apply, NUMBERS, params=held)
    first, last = (at for at, node in enumerate(found.nodes) if node.param is not None)
    own, behind = found.gradients[first], found.gradients[last]
    assert own is not None
    assert behind is not None
    assert own == pytest.approx(3 * behind, rel=1e-5)


def test_what_is_cut_off_has_no_gradient() -> None:
    held = {"a": jnp.eye(64), "b": jnp.eye(64)}

    def apply(params: Mapping[str, Any], x: Any) -> Any:
        return jax.lax.stop_gradient(jnp.tanh(x @ params["a"])) @ params["b"]

    found = observe(apply, NUMBERS, params=held)
    assert set(found.weight_gradients) == {"b"}
    assert [gradient is None for gradient in found.gradients[-3:]] == [True, True, False]
    assert "F17" in {finding.id for finding in fanin.check(apply, NUMBERS, params=held).findings}


def test_numbers_that_overflow_and_vanish() -> None:
    """Norms of gradients whose squares single precision does not hold."""
    for size in (1e-25, 1e25):
        held = {"a": jnp.eye(64), "b": jnp.eye(64) * size}
        found = observe(lambda p, x: (x @ p["a"]) @ p["b"], NUMBERS, params=held)
        first, last = found.gradients[1:3]
        assert last is not None
        assert first == pytest.approx(size * last, rel=1e-5)
        assert found.rms[2] == pytest.approx(size * (found.rms[1] or 0), rel=1e-5)
