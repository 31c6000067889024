"""Norms: as libraries write them, each one node with its scale and shift behind it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from fanin.graph import Graph

Arrays = Mapping[str, Any]
Traced = Callable[..., Graph]
Lines = Callable[..., list[str]]
SHAPES: dict[str, tuple[int, ...]] = {"w": (8, 16), "g": (16,), "b": (16,)}


def _of_flax(x: Any, g: Any, b: Any, axes: Any = -1) -> Any:
    mean, square = x.mean(axes, keepdims=True), lax.square(x).mean(axes, keepdims=True)
    variance = jnp.maximum(0.0, square - lax.square(mean))
    return (x - mean) * (lax.rsqrt(variance + 1e-6) * g) + b


def _of_equinox(x: Any, g: Any, b: Any, axes: Any = -1) -> Any:
    mean = x.mean(axes, keepdims=True)
    variance = jnp.maximum(0.0, jnp.var(x, axes, keepdims=True))
    return g * ((x - mean) * lax.rsqrt(variance + 1e-6)) + b


def _of_keras(x: Any, g: Any, b: Any, axes: Any = -1) -> Any:
    mean, variance = jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
    inverse = lax.rsqrt(variance + 1e-3) * g
    return x * inverse + (-mean * inverse + b)


def _of_haiku(x: Any, g: Any, b: Any, axes: Any = -1) -> Any:
    mean, variance = jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
    return g * lax.rsqrt(variance + 1e-5) * (x - mean) + b


def _by_hand(x: Any, g: Any, b: Any, axes: Any = -1) -> Any:
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / jnp.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + 1e-5) * g + b


FORMS = (_of_flax, _of_equinox, _of_keras, _of_haiku, _by_hand)


@pytest.mark.parametrize("form", FORMS)
def test_layer_norms(form: Callable[..., Any], lines: Lines) -> None:
    assert lines(lambda p, x: form(x @ p["w"], p["g"], p["b"]), SHAPES, (5, 8)) == [
        "linear w [in out] dot_general",
        "normalize layer_norm",
        "scale g [stack]",
        "shift b [stack]",
    ]


@pytest.mark.parametrize("form", FORMS)
def test_norms_over_a_batch(form: Callable[..., Any], traced: Traced) -> None:
    graph = traced(lambda p, x: form(x @ p["w"], p["g"], p["b"], 0), SHAPES, (5, 8))
    assert [node.op for node in graph.nodes[2:]] == ["normalize", "scale", "shift"]
    assert (graph.nodes[2].label, graph.nodes[2].over) == ("batch_norm", "batch")


@pytest.mark.parametrize("form", FORMS)
def test_norms_of_groups_and_of_every_map(form: Callable[..., Any], traced: Traced) -> None:
    def grouped(p: Arrays, x: Any) -> Any:
        h = (x @ p["w"]).reshape(2, 5, 4, 4)
        g, b = p["g"].reshape(4, 4), p["b"].reshape(4, 4)
        return form(h, g, b, (1, 3)).reshape(2, 5, 16)

    def instance(p: Arrays, x: Any) -> Any:
        return form(x @ p["w"], p["g"], p["b"], 1)

    for model, label in ((grouped, "group_norm"), (instance, "instance_norm")):
        found = [node for node in traced(model, SHAPES, (2, 5, 8)).nodes if node.op == "normalize"]
        assert [(node.label, node.over) for node in found] == [(label, "features")]


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("form", ["flax", "equinox", "keras"])
def test_running_statistics(form: str, held: bool, lines: Lines) -> None:
    def model(p: Arrays, x: Any) -> Any:
        x, mean, variance = x @ p["w"], p["mean"], p["var"]
        if form == "flax":
            return (x - mean) * (lax.rsqrt(variance + 1e-5) * p["g"]) + p["b"]
        if form == "equinox":
            return (x - mean) / jnp.sqrt(variance + 1e-5) * p["g"] + p["b"]
        inverse = lax.rsqrt(variance + 1e-3) * p["g"]
        return x * inverse + (-mean * inverse + p["b"])

    made: Any = jax.ShapeDtypeStruct
    values = (jnp.zeros(16), jnp.ones(16)) if held else [made((16,), jnp.float32)] * 2
    states = dict(zip(("mean", "var"), values, strict=True))
    assert lines(model, SHAPES, (5, 8), held=states) == [
        "linear w [in out] dot_general",
        "normalize batch_norm",
        "scale g [stack]",
        "shift b [stack]",
    ]


def test_the_mean_square_alone(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        x = x @ p["w"]
        x = x * lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6) * p["g"]
        return x / jnp.linalg.norm(x, axis=-1, keepdims=True)

    graph = traced(model, SHAPES, (5, 8))
    labels = [node.label for node in graph.nodes if node.op == "normalize"]
    assert labels == ["rms_norm", "rms_norm"]
    assert graph.nodes[-1].label == "mul 0.25"  # of 16 elements
    assert graph.unused == ("b",)


def test_a_norm_of_means_over_positions(lines: Lines) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return _of_keras((x @ p["w"]).mean(1), p["g"], p["b"])

    assert lines(model, SHAPES, (2, 5, 8)) == [
        "linear w [in out] dot_general",
        "mean",
        "normalize layer_norm",
        "scale g [stack]",
        "shift b [stack]",
    ]


def test_means_over_samples_of_means_over_positions(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        x = x @ p["w"]
        mean = x.mean(1).mean(0)
        variance = jnp.square(x).mean(1).mean(0) - mean**2
        return (x - mean) * lax.rsqrt(variance + 1e-5) * p["g"] + p["b"]

    graph = traced(model, SHAPES, (2, 5, 8))
    assert [node.label for node in graph.nodes if node.op == "normalize"] == ["batch_norm"]


def test_norms_over_what_a_program_is_mapped_over(lines: Lines) -> None:
    def example(p: Arrays, x: Any) -> Any:
        x = x @ p["w"]
        mean = lax.pmean(x.mean(0), "batch")
        variance = lax.pmean(((x - mean) * (x - mean)).mean(0), "batch")
        return (x - mean) / jnp.sqrt(variance + 1e-5) * p["g"] + p["b"]

    def model(p: Arrays, x: Any) -> Any:
        return jax.vmap(example, (None, 0), axis_name="batch")(p, x)

    assert lines(model, SHAPES, (4, 5, 8)) == [
        "linear w [in out] dot_general",
        "normalize batch_norm",
        "scale g [stack]",
        "shift b [stack]",
    ]


def test_averages_that_begin_at_zero_are_running_statistics(lines: Lines) -> None:
    def model(p: Arrays, x: Any) -> Any:
        seen = 1 - 0.9 ** p["count"]
        mean, variance = p["mean"] / seen, jnp.maximum(0, p["var"] / seen)
        return (x @ p["w"] - mean) / jnp.sqrt(variance + 1e-5) * p["g"] + p["b"]

    held = {"mean": jnp.zeros(16), "var": jnp.ones(16), "count": jnp.ones(())}
    assert lines(model, SHAPES, (5, 8), held=held)[1] == "normalize batch_norm"


def test_a_root_mean_square_by_a_contraction(lines: Lines) -> None:
    def norm(p: Arrays, x: Any) -> Any:
        x = x @ p["w"]
        return x * lax.rsqrt(jnp.einsum("ij,ij->i", x, x)[:, None] / 16 + 1e-6) * p["g"]

    assert lines(norm, SHAPES, (5, 8))[-2:] == ["normalize rms_norm", "scale g [stack]"]
