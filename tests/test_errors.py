"""What errors share: values are quoted briefly, names suggested, articles right."""

import numpy as np
import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError, initializers
from fanin.errors import an, one_line, quote, suggestion

TENSOR = torch.arange(1e4).reshape(100, 100)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (TENSOR, "<Tensor of shape (100, 100), float32>"),
        (nn.Parameter(TENSOR.bfloat16()), "<Parameter of shape (100, 100), bfloat16>"),
        (torch.zeros(3, device="meta"), "<Tensor of shape (3,), float32>"),
        (np.zeros((2, 3)), "<ndarray of shape (2, 3), float64>"),
        ([TENSOR], "[<Tensor of shape (100, 100), float32>]"),
        ({"a": TENSOR}, "{'a': <Tensor of shape (100, 100), float32>}"),
        (2**64, "18446744073709551616"),
        (3.7, "3.7"),
        (None, "None"),
        ("he_norml", "'he_norml'"),
        ((3, 224, 224), "(3, 224, 224)"),
        (torch.Tensor, "<class 'torch.Tensor'>"),
    ],
)
def test_values_are_quoted_briefly(value: object, text: str) -> None:
    assert quote(value) == text


@pytest.mark.parametrize("value", ["x" * 10**6, [TENSOR] * 1000, nn.Sequential(nn.ReLU()), 9**999])
def test_no_value_takes_more_than_a_line(value: object) -> None:
    assert len(quote(value)) < 200
    assert "\n" not in quote(value)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(100, 4), nn.ReLU())


@pytest.mark.parametrize(
    "call",
    [
        lambda: fanin.initialize(model(), TENSOR),
        lambda: fanin.plan(model(), recipe=TENSOR),  # type: ignore[arg-type]
        lambda: fanin.plan(model(), initializer=TENSOR),  # type: ignore[arg-type]
        lambda: fanin.plan(model(), overrides=TENSOR),  # type: ignore[arg-type]
        lambda: fanin.plan(model(), overrides={"0.weight": TENSOR}),  # type: ignore[dict-item]
        lambda: fanin.plan(model(), rename=TENSOR),  # type: ignore[arg-type]
        lambda: fanin.plan(model(), rename={"0.weight": TENSOR}),  # type: ignore[dict-item]
        lambda: fanin.plan(model(), prefix=TENSOR),  # type: ignore[arg-type]
        lambda: fanin.plan(model(), unplaced=TENSOR),  # type: ignore[arg-type]
        lambda: fanin.plan(model())[TENSOR],  # type: ignore[index]
        lambda: fanin.plan(model()).apply(model(), TENSOR),  # type: ignore[arg-type]
        lambda: fanin.fans(TENSOR),  # type: ignore[arg-type]
        lambda: fanin.gain(TENSOR),  # type: ignore[arg-type]
        lambda: fanin.gain("relu", variance=TENSOR),  # type: ignore[arg-type]
        lambda: fanin.Stream(TENSOR, "w"),  # type: ignore[arg-type]
        lambda: fanin.Stream(0, TENSOR),  # type: ignore[arg-type]
        lambda: initializers.normal(std=TENSOR),  # type: ignore[arg-type]
        lambda: initializers.orthogonal(TENSOR),  # type: ignore[arg-type]
        lambda: initializers.get("he_normal")((3, 4), seed=0, name="w", axes=TENSOR),  # type: ignore[arg-type]
    ],
)
def test_no_error_prints_a_tensor(call: object) -> None:
    with pytest.raises(FaninError) as raised:
        call()  # type: ignore[operator]
    assert len(str(raised.value)) < 400
    assert "\n" not in str(raised.value)


def test_inputs_in_the_place_of_the_seed_are_told_so() -> None:
    x = torch.zeros(2, 100)
    for wrong in (x, (x, x), {"x": x}, [x]):
        with pytest.raises(
            FaninError, match=r"The inputs come third: fanin\.initialize\(model, 0, "
        ):
            fanin.initialize(model(), wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seed", "hint"),
    [
        (None, "Say which, such as seed=0"),
        (torch.Generator(), r"pass generator\.initial_seed\(\)"),
        (np.random.default_rng(0), r"pass int\(generator\.integers"),
    ],
)
def test_what_others_take_for_a_seed_is_refused_with_a_hint(seed: object, hint: str) -> None:
    with pytest.raises(FaninError, match=hint):
        fanin.initialize(model(), seed)  # type: ignore[arg-type]


def test_a_batch_of_a_data_loader_is_told_what_to_pass() -> None:
    batch = [torch.zeros(2, 100), torch.zeros(2)]
    with pytest.raises(FaninError, match=r"inputs is a list; .*pass what .*: inputs=batch\[0\]"):
        fanin.plan(model(), batch)
    with pytest.raises(FaninError, match=r"A model that takes a list gets it as a tuple of one"):
        fanin.plan(model(), [3])


def test_at_most_eight_names_are_suggested_the_nearest_first() -> None:
    known = [f"layer.{number}.weight" for number in range(100)]
    assert suggestion("layer.7.wieght", known) == ": did you mean 'layer.7.weight'?"
    text = suggestion("zzzz.7", known)
    assert text.startswith(". Of 100 known, nearest: ")
    assert text.count("layer.") == 8
    assert suggestion("qqq", ["a", "b"]).startswith(". Known are ")


@pytest.mark.parametrize(
    ("noun", "text"),
    [
        ("AC", "an AC"),
        ("MLP", "an MLP"),
        ("UNet", "a UNet"),
        ("ResNet", "a ResNet"),
        ("Odd", "an Odd"),
        ("Linear", "a Linear"),
        ("ndarray", "an ndarray"),
        ("VAE", "a VAE"),
        ("int", "an int"),
    ],
)
def test_articles(noun: str, text: str) -> None:
    assert an(noun) == text


@pytest.mark.parametrize(
    ("error", "line", "named"),
    [
        (RuntimeError("\n mat1  and mat2\tdiffer.\nTraceback"), "mat1 and mat2 differ", None),
        (FileNotFoundError(2, "No such file", "a.txt"), "No such file", None),
        (OSError("it is not a file"), "it is not a file", None),
        (ValueError(), "ValueError", "ValueError"),
        (KeyError(" "), "' '", None),
        (TypeError("word " * 99), " ".join(["word"] * 48) + " ...", None),
    ],
)
def test_another_error_is_quoted_in_one_line(
    error: Exception, line: str, named: str | None
) -> None:
    assert one_line(error) == line
    assert one_line(error, named=True) == (named or f"{type(error).__name__}: {line}")
