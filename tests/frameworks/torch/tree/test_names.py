"""Canonical names of torch parameters: wrappers stripped by class, ties, rename."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from fanin.errors import FaninError
from fanin.frameworks.torch.tree._names import buffer_names, canonical_names, module_paths


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


NAMES = ["0.weight", "0.bias", "1.weight", "1.bias"]


def checkpointed(model: nn.Module) -> nn.Module:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    model[0] = checkpoint_wrapper(model[0])
    return model


WRAPPERS = {
    "data parallel": nn.DataParallel,
    "averaged": AveragedModel,
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "checkpointed": checkpointed,
    "compiled inside": lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_are_stripped(wrapper: str) -> None:
    assert list(canonical_names(WRAPPERS[wrapper](net()))) == NAMES


def test_a_module_that_is_called_module_is_none() -> None:
    model = nn.ModuleDict({"module": nn.Linear(2, 2), "_orig_mod": nn.Linear(2, 2, bias=False)})
    expected = ["module.weight", "module.bias", "_orig_mod.weight"]
    assert list(canonical_names(model)) == expected
    assert list(canonical_names(nn.DataParallel(model))) == expected


def test_parametrized_weights_keep_their_names() -> None:
    model = nn.ModuleDict({"a": nn.Linear(3, 4)})
    nn.utils.parametrizations.orthogonal(model["a"])
    assert set(canonical_names(model)) == {"a.weight", "a.bias"}
    alone = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4))
    assert set(canonical_names(alone)) == {"weight", "bias"}
    split = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    expected = {"weight.original0", "weight.original1", "bias"}
    assert set(canonical_names(split)) == expected


def test_a_tie_goes_under_its_tables_name() -> None:
    model = nn.ModuleDict({"head": nn.Linear(4, 9, bias=False), "table": nn.Embedding(9, 4)})
    model["head"].weight = model["table"].weight
    assert list(canonical_names(model)) == ["table.weight"]
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    second.weight = first.weight
    assert list(canonical_names(nn.ModuleDict({"a": first, "b": second}))) == ["a.weight"]


def test_a_reused_module_has_its_first_path() -> None:
    shared = nn.Linear(3, 3)
    model = nn.ModuleDict({"a": shared, "b": shared})
    assert module_paths(model) == {model: "", shared: "a"}
    assert list(canonical_names(model)) == ["a.weight", "a.bias"]


def test_one_name_for_two_parameters_is_an_error() -> None:
    model = nn.DataParallel(net())
    model.module = net()
    model.register_module("0", nn.Linear(5, 6))  # beside the wrapped model
    with pytest.raises(FaninError, match=r"0.weight is the name of two parameters, of shapes"):
        canonical_names(model)


def test_rename_maps_names() -> None:
    renamed = canonical_names(net(), {"0.weight": "stem.weight"})
    assert list(renamed) == ["stem.weight", *NAMES[1:]]
    with pytest.raises(FaninError, match=r"rename has '0.wieght': did you mean '0.weight'\?"):
        canonical_names(net(), {"0.wieght": "a"})
    with pytest.raises(FaninError, match=r"0.bias is the name of two .* its own in rename="):
        canonical_names(net(), {"0.weight": "0.bias"})
    with pytest.raises(FaninError, match=r"rename is 'a'; it maps names"):
        canonical_names(net(), "a")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [3, "", "a\0b", "\ud800", None])
def test_rename_gives_names_that_streams_take(name: object) -> None:
    with pytest.raises(
        FaninError, match=r"^rename\['0.weight'\]: name is .*; a name is a non-empty"
    ):
        canonical_names(net(), {"0.weight": name})  # type: ignore[dict-item]


def test_buffers_have_names_too() -> None:
    names = list(buffer_names(nn.DataParallel(net())))
    assert names == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
