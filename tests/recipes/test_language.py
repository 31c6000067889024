"""The recipes of language models by name: standard deviations by the formulas of their sources."""

import math
from typing import Any

import pytest
import torch

from fanin import FaninError, plan
from fanin.initializers import blocks, normal, truncated_normal
from fanin.recipes import find

D, F = 8, 24  # the width, and of the MLPs
CUT2, CUT3 = (truncated_normal(0.0, 1.0, -cut, cut).std((2, 2)) for cut in (2, 3))
WEIGHTS = {
    "attention.q": (D, D),
    "attention.k": (D, D),
    "attention.v": (D, D),
    "attention.o": (D, D),
    "mlp.gate": (D, F),
    "mlp.up": (D, F),
    "mlp.down": (F, D),
}
ENDS = ("attention.o", "mlp.down")


def check(zoo: Any, recipe: str, formula: Any, table: float, head: float, **options: Any) -> None:
    """The std of every weight of every layer, counted from 1, as formula(name, in, out, layer)."""
    found = zoo.stds(zoo.decoder(**options), recipe, zoo.tokens)
    assert found["words.weight"] == pytest.approx(table)
    assert found["head.weight"] == pytest.approx(head)
    for layer in range(3):
        for name, (inputs, outputs) in WEIGHTS.items():
            std = found[f"layers.{layer}.{name}.weight"]
            assert std == pytest.approx(formula(name, inputs, outputs, layer + 1)), name
        assert found[f"layers.{layer}.norms.0.weight"] == 0  # the constant one


def test_bert_is_cut_at_two(zoo: Any) -> None:
    check(zoo, "bert", lambda *_: 0.02 * CUT2, 0.02 * CUT2, 0.02 * CUT2)
    assert not find("bert").needs_graph


def test_t5_has_small_queries(zoo: Any) -> None:
    def formula(name: str, inputs: int, outputs: int, layer: int) -> float:
        return (D * D / 2) ** -0.5 if name == "attention.q" else float(inputs**-0.5)

    check(zoo, "t5", formula, 1, D**-0.5)
    packed = zoo.choices(zoo.decoder(packed=True), "t5", zoo.tokens)
    found = packed["layers.0.attention.qkv.weight"].initializer
    query, other = normal(std=1 / math.sqrt(D * D / 2)), normal(std=1 / math.sqrt(D))
    assert found == blocks(query, other, other, sizes=(D, D, D))


def test_t5_says_what_the_model_must_have(zoo: Any) -> None:
    notes = plan(zoo.decoder(), zoo.tokens, "t5").notes
    assert any("attention multiplies its logits by 0.5 in the model" in note for note in notes)
    assert not any("t5" in note for note in plan(zoo.decoder(scale=1.0), zoo.tokens, "t5").notes)
    tied = plan(zoo.decoder(scale=1.0, tied=True), zoo.tokens, "t5")
    told = "must multiply what it reads by 1/sqrt(d) = 0.3536, as T5 does; the run shows 1."
    assert any(told in note for note in tied.notes)

    class Scaled(zoo.decoder):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> Any:
            return self.head(self.norm(self.layers(self.words(x))) * D**-0.5)

    assert not any("t5" in n for n in plan(Scaled(scale=1.0, tied=True), zoo.tokens, "t5").notes)


def test_small_init_and_wang(zoo: Any) -> None:
    small = math.sqrt(2 / (5 * D))
    check(zoo, "small_init", lambda *_: small, small, small)

    def wang(name: str, *_: int) -> float:
        return 2 / (3 * math.sqrt(D)) if name in ENDS else small

    check(zoo, "wang", wang, small, small)


@pytest.mark.parametrize("power", [0.5, 0.65, 1])
def test_gamma_is_a_power_of_fan_in(power: float, zoo: Any) -> None:
    def formula(name: str, inputs: int, outputs: int, layer: int) -> float:
        return float(inputs**-power)

    check(zoo, f"gamma({power})", formula, D**-power, D**-power)
    assert find("gamma").name == "gamma(0.65)"


def test_torchtitan_shrinks_by_the_layer(zoo: Any) -> None:
    def formula(name: str, inputs: int, outputs: int, layer: int) -> float:
        return 0.02 / math.sqrt(2 * layer) if name in (*ENDS, "mlp.up") else 0.02

    check(zoo, "torchtitan", formula, 1, CUT3 / math.sqrt(D))


def test_olmo_has_three_methods(zoo: Any) -> None:
    small = 0.02 * CUT3
    check(zoo, "olmo", lambda *_: small, small, small)
    check(zoo, "olmo('fan_in')", lambda name, inputs, *_: inputs**-0.5, D**-0.5, D**-0.5)

    def mitchell(name: str, inputs: int, outputs: int, layer: int) -> float:
        return CUT3 / math.sqrt((2 * layer if name in ENDS else 1) * inputs)

    check(zoo, "olmo(method='mitchell')", mitchell, CUT3 / math.sqrt(D), CUT3 / math.sqrt(D))
    with pytest.raises(FaninError, match=r"method of olmo is 'mitchel'; allowed are normal, mit"):
        find("olmo('mitchel')")


def test_megatron_counts_branches(zoo: Any) -> None:
    def formula(name: str, *_: int) -> float:
        return 0.02 / math.sqrt(6) if name in ENDS else 0.02

    check(zoo, "megatron", formula, 0.02, 0.02)


def test_nanochat_and_spectral(zoo: Any) -> None:
    def nanochat(name: str, inputs: int, outputs: int, layer: int) -> float:
        return 0 if name in ENDS else min(1, math.sqrt(outputs / inputs)) / math.sqrt(inputs)

    check(zoo, "nanochat", nanochat, 1, 0)

    def norm(inputs: int, outputs: int) -> float:
        return math.sqrt(outputs / inputs) / (math.sqrt(inputs) + math.sqrt(outputs))

    check(zoo, "spectral", lambda _, a, b, layer: norm(a, b), 1, norm(D, 11))


def test_arguments_are_checked() -> None:
    for wrong in ("gamma(0)", "gamma(-1)", "gamma('x')", "gamma(5)"):
        with pytest.raises(FaninError, match=r"gamma is .*; give a number above 0, up to 4\."):
            find(wrong)
    with pytest.raises(FaninError, match=r"recipe 'gamma\(1, 2\)' cannot be made: too many pos"):
        find("gamma(1, 2)")
    with pytest.raises(FaninError, match=r"recipe gpt2 takes no arguments: write 'gpt2'\."):
        find("gpt2(3)")
    with pytest.raises(FaninError, match=r"unknown recipe 'gama': did you mean 'gamma'\?"):
        find("gama(0.5)")
    with pytest.raises(FaninError, match=r"recipe 'gamma\(' is neither a name nor a call"):
        find("gamma(")
