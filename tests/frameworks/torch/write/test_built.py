"""Buffers are proved: what a model holds beside what its constructor computes once more."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.tensor import Shard, distribute_tensor

import fanin
from fanin import FaninError, Plan
from tests.warm import TORCH, Warm


class Rotary(nn.Module):
    def __init__(self, width: int = 16, base: float = 10000.0, keeps: bool = True) -> None:
        super().__init__()
        self.width = width
        if keeps:
            self.base, self.keeps = base, keeps
        inverse = 1 / base ** (torch.arange(0, width, 2) / width)
        self.register_buffer("inv_freq", inverse, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.cat([self.inv_freq, self.inv_freq]).cos()


class Window(nn.Module):
    """An index into a table of biases, as window attention has it."""

    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.size = size
        self.table = nn.Parameter(torch.zeros(2 * size - 1, 4))
        places = torch.arange(size)
        index = places[:, None] - places + size - 1
        self.register_buffer("relative_position_index", index, persistent=False)
        self.register_buffer("mask", torch.full((size, size), -torch.inf).triu(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table[self.relative_position_index].sum() + self.mask.exp().sum()


class Model(nn.Module):
    def __init__(self, keeps: bool = True, base: float = 10000.0) -> None:
        super().__init__()
        self.up = nn.Linear(16, 16)
        self.rotary = Rotary(16, base, keeps)
        self.window = Window()
        self.norm = nn.BatchNorm1d(16)
        self.register_buffer("scale", torch.tensor([2.0, 3.0]))
        self.register_buffer("noise", torch.randn(8))

    def forward(self, x: Tensor) -> Any:
        return self.norm(self.window(self.rotary(self.up(x)))) * self.scale.prod()


def drawn(**how: Any) -> tuple[Plan, Model]:
    model = Model(**how)
    return fanin.initialize(model, 0), model


def faults(plan: Plan, model: nn.Module, **how: Any) -> dict[str, str]:
    return {one.name: one.fault for one in plan.audit(model, **how).findings}


def test_a_model_as_built_has_no_faults() -> None:
    plan, model = drawn()
    told = {one.name: one.what for one in plan.audit(model, build=Model).accounts}
    for name in ("rotary.inv_freq", "window.relative_position_index", "window.mask", "scale"):
        assert told[name] == "buffer, as its constructor computes it"
    assert told["noise"] == "buffer, drawn by its constructor"
    assert told["norm.running_mean"] == "buffer, running statistics"
    for how in ({}, {"build": Model}):
        assert not faults(plan, model, **how)
        plan.verify(model, **how)


@pytest.mark.parametrize("build", [None, Model])
@pytest.mark.parametrize(
    ("name", "place", "value", "told"),
    [
        ("rotary.inv_freq", (3,), 0.5, "NOT AS BUILT: element (3,) is 0.5, computed 0.0316227"),
        ("rotary.inv_freq", (1,), torch.nan, "NEVER WRITTEN: element (1,) is nan, computed 0.31"),
        (
            "window.relative_position_index",
            (0, 2),
            2717338685440,
            "NEVER WRITTEN: element (0, 2) is 2717338685440, computed 0",
        ),
        ("window.mask", (0, 1), 0.0, "NOT AS BUILT: element (0, 1) is 0, computed -inf"),
    ],
)
def test_the_first_difference_is_named(
    build: Any, name: str, place: Any, value: float, told: str
) -> None:
    plan, model = drawn()
    model.get_buffer(name)[place] = value
    assert faults(plan, model, build=build)[name].startswith(told)
    with pytest.raises(FaninError, match=f"1 buffer holds other .*{re.escape(f'{name}: {told}')}"):
        plan.verify(model, build=build)


def test_what_cannot_be_built_alone_needs_the_factory() -> None:
    """Its attributes do not say the base: another is no fault of this model."""
    plan, model = drawn(keeps=False, base=500.0)
    assert not faults(plan, model)
    whats = {one.name: one.what for one in plan.audit(model).accounts}
    assert whats["rotary.inv_freq"].startswith("buffer, not proved: element (1,) is 0.4598")
    (fault,) = faults(plan, model, build=Model).values()
    assert fault.startswith("NOT AS BUILT: element (1,) is 0.4598")  # 500**-0.125
    assert fault.endswith("computed 0.316227764")
    plan.verify(model, build=lambda: Model(keeps=False, base=500.0))


def test_what_a_checkpoint_brought_is_a_fault_for_the_factory_alone() -> None:
    plan, model = drawn()
    model.load_state_dict({"scale": torch.tensor([2.0, 5.0])}, strict=False)
    assert not faults(plan, model)
    assert faults(plan, model, build=Model) == {
        "scale": "NOT AS BUILT: element (1,) is 5, computed 3"
    }


@pytest.mark.parametrize("way", ["converted", "by default"])
def test_another_type_is_no_other_value(way: str) -> None:
    if way == "converted":
        model = Model().to(torch.bfloat16)
    else:
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = Model()
        finally:
            torch.set_default_dtype(torch.float32)
    plan = fanin.initialize(model, 0)
    assert not faults(plan, model)
    model.rotary.inv_freq[2] *= 1.5
    assert [*faults(plan, model)] == ["rotary.inv_freq"]


def test_running_statistics_may_move() -> None:
    plan, model = drawn()
    model(torch.randn(32, 16))
    assert not faults(plan, model, build=Model)
    model.norm.running_var[3] = torch.nan
    assert faults(plan, model) == {"norm.running_var": "NEVER WRITTEN: 1 of 16 elements are nan"}


def test_after_to_empty_nothing_is_drawn_over_garbage() -> None:
    plan = fanin.plan(Model())
    with torch.device("meta"):
        model = Model()
    with pytest.raises(FaninError, match=r"on the meta device are the buffers .*rotary\.inv_freq"):
        plan.apply(model)
    model.to_empty(device="cpu")
    for buffer in (model.rotary.inv_freq, model.window.mask):
        buffer.zero_()
    model.window.relative_position_index.fill_(2717338685440)
    before = model.up.weight.detach().clone()
    told = r"the buffer rotary\.inv_freq of shape \(8,\) was not written .* computed 1\. Build"
    with pytest.raises(FaninError, match=told):
        plan.apply(model)
    assert torch.equal(model.up.weight.view(torch.int32), before.view(torch.int32))
    fresh = Model()
    names = ("rotary.inv_freq", "window.mask", "window.relative_position_index", "scale", "noise")
    given = {name: fresh.get_buffer(name) for name in names}
    plan.apply(model, buffers=given).verify(model, build=Model)


def test_a_shard_is_compared_with_its_part(warm: Callable[[str], Warm], tmp_path: Path) -> None:
    run_processes(warm(TORCH), tmp_path, 2)


def test_the_failing_run_of_a_check_names_the_buffer() -> None:
    model = Window()
    model.relative_position_index[0, 0] = 2717338685440
    told = r"Buffer relative_position_index is NEVER WRITTEN: element \(0, 0\) is 2717338685440"
    with pytest.raises(FaninError, match=told):
        fanin.check(model, torch.randn(4, 4))


@pytest.mark.parametrize(
    ("build", "told"),
    [(3, "build is an int; give the function"), (lambda: 3, "build made an int; it must make")],
)
def test_bad_factories(build: Any, told: str) -> None:
    plan, model = drawn()
    with pytest.raises(FaninError, match=told):
        plan.audit(model, build=build)


def test_a_buffer_that_the_factory_does_not_make_is_not_proved() -> None:
    plan, model = drawn()
    model.register_buffer("extra", torch.ones(3))
    whats = {one.name: one.what for one in plan.audit(model, build=Model).accounts}
    assert whats["extra"] == "buffer, which build does not make"


def run_processes(warm: Warm, folder: Path, world: int) -> None:
    """Processes that hold the same have one hash; then one has garbage, as after to_empty."""
    arguments = str(folder), str(world)
    running = [warm.start_file(Path(__file__), *arguments, str(rank)) for rank in range(world)]
    ended = [warm.wait(process) for process in running]
    assert [done.returncode for done in ended] == [0] * world, ended
    told = [done.stdout.split() for done in ended]
    (same, *own), *others = told
    assert all(line[0] == same for line in others)  # sharded buffers included
    assert own[0] != others[0][1]
    assert [line[2:] for line in told] == [["no-fault"], ["table", "rotary.inv_freq"]]


def work(folder: str, world: int, rank: int) -> None:
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    class Sharded(Model):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.arange(14.0).view(7, 2), persistent=False)

    dist.init_process_group("gloo", init_method=f"file://{folder}/s", rank=rank, world_size=world)
    torch.manual_seed(0)
    plan = fanin.plan(Sharded())
    torch.manual_seed(0)
    model = Sharded()
    mesh = init_device_mesh("cpu", (world,))
    model.table = distribute_tensor(model.table, mesh, [Shard(0)])
    applied = plan.apply(model, 0)
    applied.verify(model, build=Sharded)
    same = applied.audit(model, build=Sharded).buffers_sha256
    if rank:
        model.rotary.inv_freq.zero_()
        model.table._local_tensor[1, 0] = -1
    audit = applied.audit(model, build=Sharded)
    print(same, audit.buffers_sha256, *([one.name for one in audit.findings] or ["no-fault"]))
    dist.barrier()
    dist.destroy_process_group()


def test_hashes_are_of_names_types_shapes_and_bytes() -> None:
    plan, model = drawn()
    first = plan.audit(model).buffers_sha256
    assert len(first) == 64
    model.scale[0] = 9
    assert plan.audit(model).buffers_sha256 != first


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
