"""New buffers: values for buffers without memory; a failed apply leaves all as they were."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin import FaninError
from fanin.frameworks.torch import new_buffers


class Rotary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("angles", torch.arange(3.0))


def test_lost_buffers_are_listed() -> None:
    with torch.device("meta"):
        model = nn.Sequential(Rotary(), Rotary(), nn.BatchNorm1d(4))
    message = r"buffers 0\.angles \(3,\), 1\.angles \(3,\), whose values are lost. Build the model"
    with pytest.raises(FaninError, match=message):
        new_buffers(model).put()
    given = {"0.angles": torch.arange(3.0)}
    with pytest.raises(FaninError, match=r"buffers 1\.angles \(3,\), whose"):
        new_buffers(model, given=given).put()
    given["1.angles"] = torch.zeros(2)
    with pytest.raises(FaninError, match=r"buffers\['1.angles'\] is \(2,\); .* of shape \(3,\)"):
        new_buffers(model, given=given).put()
    assert all(buffer.is_meta for buffer in model.buffers())
    given["1.angles"] = torch.ones(3)
    new_buffers(model, given=given).put()
    assert torch.equal(model[0].angles, torch.arange(3.0))
    assert torch.equal(model[2].running_var, torch.ones(4))
    assert not any(buffer.is_meta for buffer in model.buffers())


def test_unknown_buffers_are_refused() -> None:
    with torch.device("meta"):
        model = nn.Sequential(Rotary(), nn.BatchNorm1d(4))
    with pytest.raises(FaninError, match=r"buffers has '0.angle': did you mean '0.angles'\?"):
        new_buffers(model, given={"0.angle": torch.ones(3)}).put()
    with pytest.raises(FaninError, match=r"buffers is 3; it maps names of buffers to tensors"):
        new_buffers(model, given=3).put()  # type: ignore[arg-type]
    with pytest.raises(FaninError, match=r"buffers has 'zz'; the model has no buffers"):
        new_buffers(nn.Linear(3, 4), given={"zz": torch.ones(3)}).put()
    assert all(buffer.is_meta for buffer in model.buffers())


class Mixed(nn.Module):
    """Buffers of both kinds: real ones that a training moved, and some without memory."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)
        with torch.no_grad():
            self.norm(torch.randn(8, 4) + 3)
        self.lost = nn.BatchNorm1d(3, device="meta")
        self.head.to("meta")
        self.own = nn.Module()
        self.own.register_buffer("angles", torch.empty(2, device="meta"))


@pytest.mark.parametrize("scarce", [(3, 4), (3,), (2,)])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_failed_apply_leaves_buffers_and_statistics(
    scarce: tuple[int, ...], error: type[RuntimeError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever weight or buffer it is for which there is no memory."""
    model = Mixed()
    plan = fanin.plan(model)
    before = {name: (one, one.clone()) for name, one in model.state_dict(keep_vars=True).items()}
    full, to = torch.empty_like, Tensor.to

    def refuse(tensor: Tensor) -> None:
        if tuple(tensor.shape) == scarce:
            raise error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    def empty_like(like: Tensor, **options: Any) -> Tensor:
        refuse(like)
        return full(like, **options)

    def moved(tensor: Tensor, *how: Any) -> Tensor:
        refuse(tensor)
        return to(tensor, *how)

    monkeypatch.setattr(torch, "empty_like", empty_like)
    monkeypatch.setattr(Tensor, "to", moved)
    message = r"cpu has no room for .* of shape \(.*\) \(float32\); the model is as it was\. Free"
    with pytest.raises(FaninError, match=message):
        plan.apply(model, 1, buffers={"own.angles": torch.ones(2)})
    monkeypatch.undo()
    after = model.state_dict(keep_vars=True)
    assert [*after] == [*before]
    for name, (tensor, values) in before.items():
        assert after[name] is tensor, name
        assert tensor.is_meta or torch.equal(tensor, values), name
    applied = plan.apply(model, 1, buffers={"own.angles": torch.ones(2)})
    applied.verify(model)
    assert "running statistics start anew, like the weights, in norm." in applied.notes
    assert torch.equal(model.norm.running_mean, torch.zeros(4))
    assert torch.equal(model.lost.running_var, torch.ones(3))
    assert torch.equal(model.own.angles, torch.ones(2))
