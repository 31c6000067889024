"""Values that were drawn, and thrown away or drawn twice: public failures and their small cases."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from inspect import signature
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

import fanin
from fanin import FaninError
from fanin.frameworks.torch import init

Pretended = Callable[[int, int], AbstractContextManager[None]]
alone = pytest.mark.skipif(
    "src_data_rank" not in signature(distribute_tensor).parameters,
    reason="this torch distributes by communication alone",
)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


def test_parameters_of_size_zero_are_never_passed_over() -> None:
    """transformers 43847: initializers ran on what ZeRO-3 had left, and the values were torch's."""
    plan, partitioned = fanin.plan(model()), model()
    for name, whole in list(partitioned.named_parameters()):
        empty = nn.Parameter(torch.empty(0))
        empty.ds_shape = whole.shape  # type: ignore[attr-defined]
        empty.ds_tensor = whole.detach().flatten().clone()  # type: ignore[attr-defined]
        module, _, attribute = name.rpartition(".")
        setattr(partitioned.get_submodule(module), attribute, empty)
    before = [tensor.ds_tensor.clone() for tensor in partitioned.parameters()]
    for write in (lambda: plan.apply(partitioned), lambda: fanin.initialize(partitioned)):
        with pytest.raises(FaninError, match=r"0\.weight of shape \(8, 6\) is partitioned by"):
            write()
    after = [tensor.ds_tensor for tensor in partitioned.parameters()]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    shards = {
        name: (tuple(tensor.ds_shape), range(tensor.ds_tensor.numel()))
        for name, tensor in partitioned.named_parameters()
    }
    plan.apply(partitioned, shards=shards).verify(partitioned, shards=shards)


class Pretrained(nn.Module):
    """As models of transformers: what was not loaded is drawn by `post_init`, by module class."""

    def __init__(self) -> None:
        super().__init__()
        self.mixer = nn.Linear(8, 8)
        self.decay = nn.Parameter(torch.empty(8).uniform_(1, 16).log())
        self.post_init()

    def post_init(self) -> None:
        with torch.no_grad():
            for parameter in self.parameters():
                if not getattr(parameter, "_is_hf_initialized", False):
                    parameter.normal_(0, 0.02)

    def forward(self, x: Tensor) -> Any:
        return self.mixer(x) * (-self.decay.exp()).exp()


@pytest.mark.parametrize("draws", [1, 2])
def test_what_is_called_later_leaves_what_was_drawn(draws: int) -> None:
    """flash-linear-attention 820: RWKV-7, Mamba and Mamba-2 were drawn, and drawn over."""
    layer = Pretrained()
    plan = fanin.plan(layer, overrides={"decay": "uniform(0.0, 2.7)"})
    for _ in range(draws):
        plan.apply(layer, 3)
    held = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.post_init()
    assert all(torch.equal(value, held[name]) for name, value in layer.state_dict().items())
    plan.verify(layer, 3)


def test_a_mixer_alone_is_planned_as_in_its_model() -> None:
    x = torch.zeros(2, 8)
    overrides = {"*decay": "uniform(0.0, 2.7)"}
    inside = fanin.plan(nn.Sequential(nn.Identity(), Pretrained()), x, overrides=overrides)
    mixer = fanin.plan(Pretrained(), x, overrides=overrides)
    for name, row in mixer.items():
        its = inside[f"1.{name}"]
        assert (row.initializer, row.axes, row.role, row.why) == (
            *(its.initializer, its.axes, its.role),
            its.why,
        )
    layer = Pretrained()
    names = {name: f"1.{name}" for name in mixer}
    inside.apply(layer, 0, rename=names).verify(layer, rename=names, seed=0)


def test_a_cleared_adapter_never_learns() -> None:
    """SkyRL 852: A and B zero give each other no gradient."""

    class Adapter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.head = nn.Linear(16, 16), nn.Linear(16, 4)
            self.lora_a, self.lora_b = (nn.Linear(16, 4, bias=False), nn.Linear(4, 16, bias=False))
            nn.init.zeros_(self.lora_a.weight)
            nn.init.zeros_(self.lora_b.weight)

        def forward(self, x: Tensor) -> Any:
            return self.head((self.base(x) + self.lora_b(self.lora_a(x))).relu())

    adapter, x, y = Adapter(), torch.randn(64, 16), torch.randint(0, 4, (64,))
    found = [(finding.id, finding.severity) for finding in fanin.check(adapter, x, y).findings]
    assert ("F10", "error") in found
    fanin.initialize(adapter, 0, x, only="lora_*", overrides={"lora_b.weight": "zeros"})
    assert not fanin.check(adapter, x, y).findings


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_dense_and_sharded_have_the_same_bits(rank: int) -> None:
    """Megatron-LM 173: values had to be drawn after sharding."""
    dense, sharded = model(), model()
    plan = fanin.plan(dense)
    plan.apply(dense, 7)
    rows = slice(rank * 3, min(rank * 3 + 3, 8))
    sharded[0].weight = nn.Parameter(torch.zeros(rows.stop - rows.start, 6))
    plan.apply(sharded, 7, shards={"0.weight": ((8, 6), (rows,))})
    assert torch.equal(sharded[0].weight, dense[0].weight[rows])


@alone
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("draw", [init.kaiming_normal_, init.uniform_, init.trunc_normal_])
def test_initializers_of_dtensors_are_those_of_dense_ones(
    pretended: Pretended, rank: int, draw: Any
) -> None:
    """torchtitan 3928 asks for this as a contract."""
    dense = draw(torch.empty(8, 6), seed=3, name="weight")
    with pretended(rank, 2):
        mesh = init_device_mesh("cpu", (2,))
        part = distribute_tensor(torch.empty(8, 6), mesh, [Shard(0)], src_data_rank=None)
        draw(part, seed=3, name="weight")
        assert isinstance(part, DTensor)
        assert torch.equal(part._local_tensor, dense[rank * 4 : rank * 4 + 4])
