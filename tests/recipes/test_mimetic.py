"""The recipe `mimetic`: the weights of self-attention, in any form that models have them."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

import fanin
from fanin import Plan, cli
from fanin.initializers import mimetic

WIDTH, HEADS, SIZE = 24, 3, 8
X = torch.zeros(2, 5, WIDTH)


class Attention(nn.Module):
    """Attention of three heads, its weights packed or apart, fused or not."""

    def __init__(self, form: str, keys: int = HEADS) -> None:
        super().__init__()
        self.form, self.keys = form, keys
        if form in ("packed", "interleaved", "unfused"):
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        else:
            self.q = nn.Linear(WIDTH, WIDTH)
            self.k, self.v = (nn.Linear(WIDTH, keys * SIZE) for _ in range(2))
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor, read: torch.Tensor | None = None) -> Any:
        y = nn.functional.layer_norm(x, (WIDTH,))
        if self.form == "interleaved":
            q, k, v = self.qkv(y).unflatten(-1, (HEADS, -1)).transpose(1, 2).chunk(3, -1)
        elif hasattr(self, "qkv"):
            q, k, v = self.qkv(y).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        else:
            of = y if read is None else read
            parts = self.q(y), self.k(of), self.v(of)
            q, k, v = (part.unflatten(-1, (-1, SIZE)).transpose(1, 2) for part in parts)
            k, v = (part.repeat_interleave(HEADS // self.keys, 1) for part in (k, v))
        if self.form == "unfused":
            o = (SIZE**-0.5 * q @ k.transpose(-2, -1)).softmax(-1) @ v
        else:
            o = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.proj(o.transpose(1, 2).flatten(2))


def products(query: Any, key: Any, value: Any, output: Any) -> tuple[Any, Any]:
    """W_q W_k^T of every head, and W_v W_o, of weights (out, in)."""
    heads = [
        query[rows].T @ key[rows] for rows in (slice(h, h + SIZE) for h in range(0, WIDTH, SIZE))
    ]
    return np.stack(heads), value.T @ output.T


def read(model: Attention) -> tuple[Any, Any]:
    values = {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}
    if model.form == "interleaved":
        packed = values["qkv.weight"].reshape(HEADS, 3, SIZE, WIDTH).swapaxes(0, 1)
        parts = packed.reshape(3, WIDTH, WIDTH)
    elif "qkv.weight" in values:
        parts = values["qkv.weight"].reshape(3, WIDTH, WIDTH)
    else:
        parts = [values[f"{name}.weight"] for name in "qkv"]
    return products(*parts, values["proj.weight"])


@pytest.mark.parametrize("form", ["packed", "unfused", "interleaved", "apart"])
def test_products_are_near_the_identity(form: str, tmp_path: Path) -> None:
    """Also from a plan that was saved, in parts, and with a prefix."""
    model = Attention(form)
    plan = fanin.initialize(model, 3, X, "mimetic")
    heads, mixed = read(model)
    assert np.trace(mixed) / WIDTH == pytest.approx(-0.4, abs=0.1)
    for head in heads:  # a third of the singular values, the largest
        assert np.trace(head) > 0.7 * SIZE
        assert np.linalg.matrix_rank(head, tol=1e-4) == SIZE
    assert abs(heads[0] - heads[1]).max() > 0.1
    plan.verify(model)
    assert plan.audit(model).ok

    loaded, again = Plan.load(plan.save(tmp_path / "plan.toml")), Attention(form)
    assert loaded == plan
    loaded.apply(again)
    assert all(map(torch.equal, again.parameters(), model.parameters()))
    other = Attention(form)
    loaded.apply(other, prefix="critic").verify(other)
    assert np.trace(read(other)[1]) / WIDTH == pytest.approx(-0.4, abs=0.1)
    assert not torch.equal(other.proj.weight, model.proj.weight)

    part, rows = Attention(form), slice(7, 19)
    part.proj.weight = nn.Parameter(torch.zeros(12, WIDTH))
    shards = {"proj.weight": ((WIDTH, WIDTH), (rows,))}
    loaded.apply(part, shards=shards).verify(part, shards=shards)
    assert torch.equal(part.proj.weight, model.proj.weight[rows])


def test_the_query_tells_the_others_where_to_draw(zoo: Any) -> None:
    made = zoo.choices(Attention("apart"), "mimetic", X)
    assert made["q.weight"].initializer == mimetic("query", HEADS)
    for name, part in (("k", "key"), ("v", "value"), ("proj", "output")):
        assert made[f"{name}.weight"].initializer == mimetic(part, HEADS, at="q.weight")
    packed = zoo.choices(nn.MultiheadAttention(WIDTH, HEADS), "mimetic", (X, X, X))
    assert packed["in_proj_weight"].initializer == mimetic("query key value", HEADS)
    assert packed["out_proj.weight"].initializer == mimetic("output", HEADS, at="in_proj_weight")


def test_files_are_proved_with_a_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_module: Any
) -> None:
    code = "from torch import nn\ndef net(): return nn.TransformerEncoderLayer(24, 3, 48, 0.0)"
    write_module("mimetic_models", code)
    monkeypatch.chdir(tmp_path)
    plan = fanin.plan(nn.TransformerEncoderLayer(24, 3, 48, 0.0), X, "mimetic", prefix="critic")
    plan.save("p.toml")
    given = ["--plan", "p.toml", "--seed", "4", "--quiet", "--out", "m.safetensors"]
    assert cli.main(["init", "mimetic_models:net", *given]) == 0
    assert cli.main(["verify", "p.toml", "m.safetensors", "--seed", "4"]) == 0


def test_flax_has_torch_s_values() -> None:
    """(in, heads, size) and (heads, size, out) of one name have those of torch's weights."""

    class Block(nnx.Module):
        def __init__(self) -> None:
            self.q, self.k, self.v = (
                nnx.LinearGeneral(WIDTH, (HEADS, SIZE), rngs=nnx.Rngs(0)) for _ in range(3)
            )
            self.proj = nnx.LinearGeneral((HEADS, SIZE), WIDTH, axis=(-2, -1), rngs=nnx.Rngs(0))

        def __call__(self, x: Any) -> Any:
            o = nnx.dot_product_attention(self.q(x), self.k(x), self.v(x))
            return x + self.proj(o)

    model, torchs = Block(), Attention("apart")
    plan = fanin.initialize(model, 3, jnp.zeros((2, 5, WIDTH)), "mimetic")
    plan.verify(model)
    fanin.initialize(torchs, 3, X, "mimetic")
    for name in ("q", "k", "v", "proj"):
        kernel = np.asarray(getattr(model, name).kernel[...]).reshape(WIDTH, WIDTH)
        assert np.array_equal(kernel.T, getattr(torchs, name).weight.detach())


def left(model: nn.Module, inputs: Any) -> str:
    plan = fanin.plan(model, inputs, "mimetic")
    assert not any("mimetic" in str(row.initializer) for row in plan.values())
    (note,) = (note for note in plan.notes if "recipe mimetic" in note)
    return note


def test_what_it_leaves_to_auto() -> None:
    assert "as it has fewer keys than queries" in left(Attention("apart", keys=1), X)
    assert "query, key and value do not read the same" in left(Attention("apart"), (X, X + 1))
    assert "the run shows no attention" in left(nn.Linear(3, 2), torch.zeros(1, 3))
    model = Attention("apart")
    plan = fanin.plan(model, X, "mimetic", overrides={"k.weight": "he_normal"})
    assert not any("mimetic" in str(row.initializer) for row in plan.values())
    plan = fanin.plan(model, X, "mimetic", keep="v.weight")
    assert not any("mimetic" in str(row.initializer) for row in plan.values())
