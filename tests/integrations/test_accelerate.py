"""Accelerate: what a checkpoint lacks of a model that was built without memory."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import fanin

accelerate = pytest.importorskip("accelerate")
save_file = pytest.importorskip("safetensors.torch").save_file


class Net(nn.Module):
    """A backbone, a head that no checkpoint has, and a buffer that no checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.head = nn.Linear(16, 3)
        self.register_buffer("scale", torch.arange(3.0), persistent=False)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.backbone(x)) * self.scale


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    torch.manual_seed(0)
    weights = {name: 3 * value for name, value in Net().state_dict().items() if "head" not in name}
    path = str(tmp_path / "model.safetensors")
    save_file(weights, path, metadata={"format": "pt"})
    return path


def missing(model: nn.Module) -> list[str]:
    return [name for name, parameter in model.named_parameters() if parameter.is_meta]


@pytest.mark.parametrize("empty", [accelerate.init_empty_weights, fanin.empty_weights])
def test_what_the_checkpoint_lacks_is_drawn_before_dispatch(empty: Any, checkpoint: str) -> None:
    with empty():
        model = Net()
    accelerate.load_checkpoint_in_model(model, checkpoint, device_map={"": "cpu"})
    names = missing(model)
    assert names == ["head.weight", "head.bias"]
    plan = fanin.initialize(model, 0, torch.zeros(1, 8), only=names)
    model = accelerate.dispatch_model(model, device_map={"": "cpu"})
    plan.verify(model)
    assert missing(model) == []
    whole = Net()
    fanin.plan(whole, torch.zeros(1, 8)).apply(whole, 0)
    ratio = model.head.weight / whole.head.weight  # the stream's values, sized for what is kept
    assert ratio.std() < 1e-5
    assert torch.isfinite(model(torch.randn(4, 8))).all()


def test_memory_for_the_head_lets_the_backbone_be_measured(checkpoint: str) -> None:
    with accelerate.init_empty_weights():
        model = Net()
    accelerate.load_checkpoint_in_model(model, checkpoint, device_map={"": "cpu"})
    names = missing(model)
    model.head.to_empty(device="cpu")
    x = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    plan = fanin.initialize(model, 0, x, only=names)
    size = model.backbone(x).square().mean().item()
    assert plan["head.weight"].std == pytest.approx((16 * size) ** -0.5, rel=1e-5)


def test_buffers_without_memory_are_named(checkpoint: str) -> None:
    """Those that are not in the checkpoint, as `include_buffers=True` makes them."""
    with accelerate.init_empty_weights(include_buffers=True):
        model = Net()
    accelerate.load_checkpoint_in_model(model, checkpoint, device_map={"": "cpu"})
    with pytest.raises(fanin.FaninError, match=r"meta device are the buffers scale \(3,\)"):
        fanin.initialize(model, 0, torch.zeros(1, 8), only=missing(model))
    fanin.initialize(
        model, 0, torch.zeros(1, 8), only=missing(model), buffers={"scale": torch.arange(3.0)}
    )
    assert torch.equal(model.scale, torch.arange(3.0))


def test_dispatch_alone_cannot_place_what_is_missing(checkpoint: str) -> None:
    """If this passes one day, docs/trainers.md may say so."""
    with accelerate.init_empty_weights():
        model = Net()
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        accelerate.load_checkpoint_and_dispatch(model, checkpoint, device_map={"": "cpu"})
