"""What initialize refuses, how it says so, and that the model is as it was."""

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError, initialize


def overlapping() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(torch.ones(1, 4).expand(4, 4))
    return model


def sparse() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(torch.eye(4).to_sparse())
    return model


def of_dtype(dtype: torch.dtype) -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(model[1].weight.detach().to(dtype))
    return model


class Bare(nn.Module):
    """A parameter that nothing tells the role of."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.randn(2, 3, 5))


def with_last(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), module)


NO_RULE = "for which there is no rule"
REFUSED: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], str]] = {
    "bare": (
        lambda: with_last(Bare()),
        {},
        rf"1\.gate has shape \(2, 3, 5\) in a Bare, {NO_RULE}\. Pass overrides=\{{'1\.gate': ",
    ),
    "complex": (
        lambda: of_dtype(torch.complex64),
        {"initializer": "laplace"},
        r"1\.weight \(laplace.*has no complex form",
    ),
    "8 bit": (lambda: of_dtype(torch.float8_e4m3fn), {}, r"1\.weight .*dtype is 'float8_e4m3fn'"),
    "overlap": (overlapping, {}, r"1\.weight.*overlap"),
    "sparse": (sparse, {}, r"^1\.weight has layout torch\.sparse_coo; make it dense first\.$"),
    "fans": (
        lambda: with_last(nn.Linear(4, 4)),
        {"overrides": {"1.bias": "he_normal"}},
        r"1\.bias \(he_normal\(\)\): shape \(4,\) has no fan-in",
    ),
    "range": (
        lambda: with_last(nn.Linear(4, 4).half()),
        {"overrides": {"1.bias": "constant(1e5)"}},
        r"1\.bias .*beyond the range of float16",
    ),
    "unused": (
        lambda: with_last(nn.Linear(4, 4)),
        {"overrides": {"2.weight": "ones"}},
        r"overrides names 2\.weight: the model has no such parameter",
    ),
    "unknown": (
        lambda: with_last(nn.Linear(4, 4)),
        {"initializer": "he_norml"},
        "unknown initializer 'he_norml': did you mean 'he_normal'",
    ),
    "seed": (lambda: with_last(nn.Linear(4, 4)), {"seed": -1}, r"seed is -1; a seed is an integer"),
}


def contents(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.is_sparse:
        return torch.equal(first.to_dense(), second.to_dense())
    raw = first.contiguous().flatten().view(torch.uint8)
    return torch.equal(raw, second.contiguous().flatten().view(torch.uint8))


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_placed_is_named_and_the_model_untouched(case: str) -> None:
    make, arguments, message = REFUSED[case]
    model = make()
    before = contents(model)
    with pytest.raises(FaninError, match=message):
        initialize(model, **({"initializer": "he_normal"} | arguments))
    after = model.state_dict()
    assert all(same(before[name], after[name]) for name in before)


@pytest.mark.parametrize("layer", [lambda: nn.LazyLinear(3), lambda: nn.LazyBatchNorm1d()])
def test_lazy_modules_have_no_shape_yet(layer: Callable[[], nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(3, 4), layer())
    before = model[0].weight.detach().clone()
    with pytest.raises(FaninError, match=r"1\.weight has no shape yet; run the model once"):
        initialize(model, initializer="he_normal")
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("model", [None, 3, nn.Linear, {"weight": torch.zeros(2)}, torch.zeros(2)])
def test_a_model_is_a_torch_module(model: Any) -> None:
    with pytest.raises(FaninError, match=r"model has type \w+; it must be a torch\.nn\.Module"):
        initialize(model, initializer="he_normal")


def test_without_torch_there_is_no_model() -> None:
    """Refusing a model must not be what imports torch."""
    code = """
import sys, fanin
try:
    fanin.initialize(object(), initializer="he_normal")
except fanin.FaninError as error:
    print(error)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("model has type object; it must be a torch.nn.Module, ")


@pytest.mark.parametrize("submodules", [False, True])
def test_offloaded_parameters_are_refused(submodules: bool) -> None:
    """As accelerate holds them: on meta, and a hook brings the values at every call."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 4)))
    plan = fanin.plan(model)
    hook = SimpleNamespace(weights_map={"weight": torch.zeros(4, 4)}, place_submodules=submodules)
    (model[1] if submodules else model[1][0])._hf_hook = SimpleNamespace(hooks=(hook,))
    model[1].to("meta")
    before = model[0].weight.detach().clone()
    for call in (lambda: initialize(model), lambda: plan.apply(model)):
        with pytest.raises(FaninError, match=r"the values of 1\.0\.weight are offloaded.*before"):
            call()
    assert torch.equal(model[0].weight, before)
    assert model[1][0].weight.is_meta
    x = torch.zeros(2, 3)
    for read in (
        lambda: fanin.plan(model, x),
        lambda: initialize(model, inputs=x),
        lambda: fanin.check(model, x),
        lambda: plan.verify(model, seed=0),
        lambda: plan.audit(model),
        lambda: fanin.plan(model, x, recipe="lsuv"),
    ):
        with pytest.raises(FaninError, match=r"the values of 1\.0\.weight are offloaded.*before"):
            read()
    assert fanin.plan(model)["1.0.weight"].shape == (4, 4)  # its modules still tell
