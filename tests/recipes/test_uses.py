"""What a run adds to the module tree: kinds, axes and activations of parameters."""

from typing import Any

import torch
from torch import nn

from fanin.frameworks import torch as adapter
from fanin.initializers import normal, zeros
from fanin.param import Param
from fanin.recipes._tree import after_activation
from fanin.recipes._uses import refine


class Bare(nn.Module):
    """Parameters of which the module tree does not tell what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(7, 6))
        self.places = nn.Parameter(torch.randn(5, 6))
        self.up = nn.Parameter(torch.randn(6, 4))  # stored (in, out)
        self.gain = nn.Parameter(torch.randn(4))
        self.offset = nn.Parameter(torch.randn(4))
        self.decay = nn.Parameter(torch.randn(4))
        self.idle = nn.Parameter(torch.randn(2, 3))

    def forward(self, words: torch.Tensor) -> Any:
        x = nn.functional.silu(nn.functional.embedding(words, self.rows) + self.places)
        x = (x @ self.up) * self.gain + self.offset
        return x * torch.exp(-torch.exp(self.decay))


def quote(zoo: Any) -> dict[str, Param]:
    words = torch.zeros(2, 5, dtype=torch.long)
    return refine(zoo.params(Bare()), adapter.trace(Bare(), words))


def test_the_module_tree_alone_does_not_tell(zoo: Any) -> None:
    assert {param.kind for param in zoo.params(Bare()).values()} == {"other"}


def test_operations_tell_kinds_and_axes(zoo: Any) -> None:
    found = quote(zoo)
    assert {name: param.kind for name, param in found.items() if name != "decay"} == {
        "rows": "table",
        "places": "table",
        "up": "weight",
        "gain": "scale",
        "offset": "bias",
        "idle": "other",
    }
    assert str(found["up"].axes) == "in out"
    assert str(found["rows"].axes) == "stack out"
    assert str(found["places"].axes) == "stack stack"
    assert "silu" in after_activation(found["up"])


def test_without_a_graph_nothing_changes(zoo: Any) -> None:
    params = zoo.params(Bare())
    assert refine(params, None) == params


def test_recipes_act_on_what_was_shown(zoo: Any) -> None:
    made = zoo.choices(Bare(), "llama", torch.zeros(2, 5, dtype=torch.long))
    assert made["up"].initializer == made["rows"].initializer == normal(std=0.02)
    assert str(made["up"].axes) == "in out"
    assert made["offset"].initializer == zeros()
    assert made["decay"].initializer is None
    assert made["decay"].why == "acts through exp, neg, exp; kept as made"
    assert made["idle"].why == "a guess: small values; the run did not use it"


def test_packed_attention_keeps_its_blocks(zoo: Any) -> None:
    model = zoo.models["encoder"]()
    found = refine(zoo.params(model), adapter.trace(model, zoo.inputs["encoder"]))
    assert found["layers.0.self_attn.in_proj_weight"].axes.blocks == (8, 8, 8)


def test_a_normalization_of_two_axes_is_no_table(zoo: Any) -> None:
    model = nn.LayerNorm((4, 3))
    found = refine(zoo.params(model), adapter.trace(model, torch.zeros(2, 4, 3)))
    assert [param.kind for param in found.values()] == ["scale", "shift"]


def test_slopes_and_gates_keep_what_the_module_tree_says(zoo: Any) -> None:
    model = nn.PReLU(3)
    assert refine(zoo.params(model), adapter.trace(model, torch.zeros(2, 3)))["weight"].kind == (
        "scale"
    )
    lstm = zoo.models["lstm"]()
    found = refine(zoo.params(lstm), adapter.trace(lstm, zoo.inputs["lstm"]))
    assert found["lstm.weight_hh_l0"].kind == "recurrent"
    assert len(found["lstm.bias_ih_l0"].axes.blocks) == 4
