"""The weights of an attention: what two of them multiply to, however they are stored."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fanin import FaninError, Stream, initializers
from fanin.initializers import get, mimetic, to_dict

WIDTH, HEADS, SIZE = 48, 3, 16


def draw(parts: str, **keywords: Any) -> Any:
    packed = len(parts.split())
    shape = (WIDTH, WIDTH) if parts == "output" else (packed * WIDTH, WIDTH)
    made = mimetic(parts, HEADS, at="q", **keywords)
    return made(shape, seed=5, name="w", dtype="float64")


def product(block: int, alpha: float, beta: float) -> Any:
    """alpha Z + beta I, by its definition."""
    z = Stream(5, "q").normal((HEADS + 1, WIDTH, WIDTH), dtype="float64")[block]
    return alpha / math.sqrt(WIDTH) * z + beta * np.eye(WIDTH)


def test_two_weights_are_the_factors_of_one_matrix() -> None:
    """Of each head the nearest of its rank; of values and outputs all of it."""
    query, key = draw("query"), draw("key")
    for head in range(HEADS):
        rows = slice(head * SIZE, (head + 1) * SIZE)
        left, values, right = np.linalg.svd(product(head + 1, 0.7, 0.7))
        nearest = (left[:, :SIZE] * values[:SIZE]) @ right[:SIZE]
        assert np.allclose(query[rows].T @ key[rows], nearest, atol=1e-12)
        gram = query[rows] @ query[rows].T  # each has half of the singular values
        assert np.allclose(gram, np.diag(values[:SIZE]), atol=1e-12)
    both = draw("value").T @ draw("output").T
    assert np.allclose(both, product(0, 0.4, -0.4), atol=1e-12)
    assert both.diagonal().mean() == pytest.approx(-0.4, abs=0.05)


def test_packed_weights_hold_the_same_matrices() -> None:
    parts = [draw(name) for name in ("query", "key", "value")]
    assert np.array_equal(draw("query key value"), np.concatenate(parts))
    assert np.array_equal(draw("key value"), np.concatenate(parts[1:]))
    by_head = np.stack([part.reshape(HEADS, SIZE, WIDTH) for part in parts], 1)
    assert np.array_equal(draw("query key value", interleaved=True), by_head.reshape(-1, WIDTH))


def test_other_layouts_have_the_same_values() -> None:
    made = mimetic("query", HEADS)
    plain = made((WIDTH, WIDTH), seed=0, name="w")
    kernel = made((WIDTH, HEADS, SIZE), seed=0, name="w", axes="in out out")
    assert np.array_equal(kernel.reshape(WIDTH, WIDTH).T, plain)
    back = mimetic("output", HEADS)((HEADS, SIZE, WIDTH), seed=0, name="w", axes="in in out")
    out = mimetic("output", HEADS)((WIDTH, WIDTH), seed=0, name="w")
    assert np.array_equal(back.reshape(WIDTH, WIDTH).T, out)


def test_fewer_features_than_the_width() -> None:
    shapes = {"value": (12, WIDTH), "output": (WIDTH, 12)}
    value, output = (
        mimetic(part, 2, at="q")(shape, seed=5, name="w", dtype="float64")
        for part, shape in shapes.items()
    )
    left, values, right = np.linalg.svd(product(0, 0.4, -0.4))
    assert np.allclose(value.T @ output.T, (left[:, :12] * values[:12]) @ right[:12], atol=1e-12)


def test_where_it_is_drawn() -> None:
    own = mimetic("query", 2)((32, 32), seed=0, name="attn.q")
    other = mimetic("query", 2, at="attn.q")((32, 32), seed=0, name="attn.k")
    assert np.array_equal(own, other)
    assert mimetic("key", 2, at="q").under("critic") == mimetic("key", 2, at="critic.q")
    assert mimetic("query", 2).under("critic") == mimetic("query", 2)
    assert initializers.zeros().under("critic") == initializers.zeros()


def test_alpha_and_beta() -> None:
    made = mimetic("query", query_key=(0.0, 0.5))
    values = made((8, 8), seed=0, name="w", dtype="float64")
    assert np.allclose(values, math.sqrt(0.5) * np.eye(8))
    assert to_dict(made)["arguments"] == {"parts": "query", "query_key": [0.0, 0.5]}
    assert get("mimetic('value', value_output=(1, 0))") == mimetic("value", value_output=(1.0, 0.0))


@pytest.mark.parametrize("width", [64, 640])
def test_std_is_that_of_any_draw(width: int) -> None:
    """Told by a draw of at most 256 numbers, the sizes of others are the same to 2 percent."""
    for parts, heads in (("query", 4), ("value", 4)):
        made = mimetic(parts, heads)
        values = made((width, width), seed=1, name="w")
        assert made.std((width, width)) == pytest.approx(values.std(), rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mimetic("queries"), "parts of mimetic is 'queries'; allowed are query key value"),
        (lambda: mimetic(np.zeros((2, 3))), "parts of mimetic is <ndarray"),  # type: ignore[arg-type]
        (lambda: mimetic("key", 0), "heads of mimetic is 0; give an integer >= 1"),
        (lambda: mimetic("key", at="a\0"), "name is"),
        (lambda: mimetic("key", interleaved=1), "it is True or False"),  # type: ignore[arg-type]
        (lambda: mimetic("key", query_key=(0, 0)), r"query_key of mimetic is \(0, 0\); it is \(al"),
        (lambda: mimetic("key", query_key=0.7), "two numbers >= 0"),  # type: ignore[arg-type]
        (lambda: mimetic("key", value_output=(1, -1)), r"value_output of mimetic is \(1, -1\)"),
        (lambda: mimetic("key", 5).std((16, 16)), r"shape \(16, 16\) has 16 features, which 5 hea"),
        (lambda: mimetic("key value").std((15, 16)), "does not hold 2 matrices of one size"),
        (lambda: mimetic("value").std((32, 16)), "would have 32 singular vectors of 16 numbers"),
        (lambda: mimetic("query").std((16, 8, 3)), "is no matrix, as query of mimetic. Use orth"),
        (lambda: mimetic("query").std((16,)), "no `in` axis"),
    ],
)
def test_wrong_ones(call: Callable[[], object], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        call()
