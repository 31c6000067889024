"""like=: a layer that was duplicated gets the values of the one that it duplicates."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin import FaninError, Plan
from fanin.cli import main


class Deep(nn.Module):
    def __init__(self, depth: int, width: int = 8) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
            for _ in range(depth)
        )
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Any:
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


LIKE = {"blocks.2.*": "blocks.1.*"}
COPIED = ["blocks.2.0.weight", "blocks.2.0.bias", "blocks.2.1.weight", "blocks.2.1.bias"]


def bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def trained() -> Deep:
    torch.manual_seed(1)
    model = Deep(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    return model


def test_a_copy_has_the_values_that_stay() -> None:
    model = trained()
    before = bits(model)
    plan = fanin.initialize(model, 0, torch.randn(4, 8), like=LIKE)
    after = bits(model)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == COPIED
    for name in COPIED:
        assert torch.equal(after[name], before[name.replace("blocks.2", "blocks.1")])
        assert str(plan[name]).endswith(f": as {name.replace('blocks.2', 'blocks.1')}")
    assert "start equal to blocks.1.0.weight" in plan.notes[-1]
    assert "F09" in plan.notes[-1]
    plan.verify(model)
    assert plan.audit(model).ok
    with torch.no_grad():
        model.blocks[2][1].weight[3, 4] += 1
    with pytest.raises(FaninError, match=r"blocks\.2\.1\.weight holds other values"):
        plan.verify(model)


def test_a_copy_has_the_values_that_are_drawn() -> None:
    with fanin.empty_weights():
        model = Deep(3)
    plan = fanin.initialize(model, 5, only="*", like=LIKE)
    alone = Deep(3)
    fanin.initialize(alone, 5)
    assert torch.equal(model.blocks[2][1].weight, alone.blocks[1][1].weight)
    assert not torch.equal(model.blocks[2][1].weight, alone.blocks[2][1].weight)
    assert torch.equal(model.blocks[0][1].weight, alone.blocks[0][1].weight)
    plan.verify(model)


def test_copies_of_copies_are_followed() -> None:
    model = trained()
    fanin.initialize(model, 0, like={"blocks.2.*": "blocks.1.*", "blocks.1.*": "blocks.0.*"})
    for block in model.blocks[1:]:
        assert torch.equal(block[1].weight, model.blocks[0][1].weight)
    with pytest.raises(FaninError, match="like goes in a circle"):
        fanin.plan(model, like={"blocks.2.*": "blocks.1.*", "blocks.1.*": "blocks.2.*"})


def test_a_plan_with_copies_is_saved_and_applied(tmp_path: Any) -> None:
    model = trained()
    plan = fanin.plan(model, like=LIKE)
    loaded = Plan.load(plan.save(tmp_path / "plan.toml"))
    assert loaded == plan
    loaded.apply(model).verify(model)
    assert torch.equal(model.blocks[2][1].weight, model.blocks[1][1].weight)
    assert any(line.endswith(": as blocks.1.1.weight") for line in fanin.plan(model).diff(loaded))
    text = (tmp_path / "plan.toml").read_text()
    (tmp_path / "plan.toml").write_text(text.replace('like = "blocks.1.1', 'like = "blocks.7.1'))
    with pytest.raises(FaninError, match=r"is like blocks\.7\.1\.weight; it must be kept"):
        Plan.load(tmp_path / "plan.toml")


def test_a_part_without_the_source_is_refused() -> None:
    plan = fanin.plan(trained(), like=LIKE)
    stage = Deep(3)
    stage.blocks[1] = nn.Identity()
    before = bits(stage)
    with pytest.raises(FaninError, match=r"is a copy of blocks\.1\.0\.weight, which this part"):
        plan.apply(stage)
    assert all(torch.equal(value, before[name]) for name, value in bits(stage).items())


def test_check_finds_equal_layers() -> None:
    model = trained()
    fanin.initialize(model, 0, torch.randn(64, 8), only="*", like=LIKE)
    found = fanin.check(model, torch.randn(64, 8)).findings
    assert [one.id for one in found if one.id == "F09"]


@pytest.mark.parametrize(
    ("like", "told"),
    [
        (3, r"like is 3; give the copies"),
        ({}, "like is {}; give the copies"),
        ({"blocks.2.*": 3}, r"like has 'blocks\.2\.\*': 3; both are names"),
        ({"blocks.2.*": "blocks.1"}, r"each \* of the one stands for a \* of the other"),
        ({"bloks.2.*": "blocks.1.*"}, r"like has 'bloks\.2\.\*', which no parameter matches"),
        ({"blocks.2.*": "blocks.7.*"}, r"a copy of 'blocks\.7\.0\.weight', which is no parameter"),
        ({"blocks.2.*": "blocks.2.*"}, "which are the same parameters"),
        ({"head.weight": "blocks.1.1.weight"}, r"head\.weight is float32 of shape \(3, 8\), and"),
    ],
)
def test_bad_copies_leave_the_model_as_it_was(like: Any, told: str) -> None:
    model = trained()
    before = bits(model)
    with pytest.raises(FaninError, match=told):
        fanin.initialize(model, 0, like=like)
    assert all(torch.equal(value, before[name]) for name, value in bits(model).items())


def test_what_is_a_copy_is_said_once() -> None:
    model = trained()
    name = "blocks.2.1.weight"
    with pytest.raises(FaninError, match=f"overrides has '{name}', which is a copy of"):
        fanin.plan(model, like=LIKE, overrides={name: "zeros"})
    with pytest.raises(FaninError, match=f"rows and like both name {name}"):
        fanin.plan(model, like=LIKE, rows={name: slice(0, 1)})


def test_arrays_of_jax_are_copied() -> None:
    equinox = pytest.importorskip("equinox")
    import jax

    keys = jax.random.split(jax.random.key(0))
    model = [equinox.nn.Linear(4, 4, key=key) for key in keys]
    made, plan = fanin.initialize_params(
        equinox.nn.Sequential(model), like={"layers.1.*": "layers.0.*"}
    )
    assert (made.layers[1].weight == model[0].weight).all()
    assert made.layers[1].weight is not made.layers[0].weight
    plan.verify(made)


def test_files_are_verified_copy_by_copy(tmp_path: Any, capsys: Any) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    model = trained()
    plan = fanin.initialize(model, 0, like=LIKE)
    path, file = plan.save(tmp_path / "plan.toml"), tmp_path / "model.safetensors"
    safetensors.save_file(model.state_dict(), file)
    assert main(["verify", str(path), str(file)]) == 0
    changed = bits(model)
    changed["blocks.2.1.weight"][0, 0] += 1
    safetensors.save_file(changed, file)
    assert main(["verify", str(path), str(file)]) == 1
    assert "blocks.2.1.weight: is no copy of blocks.1.1.weight" in capsys.readouterr().out
