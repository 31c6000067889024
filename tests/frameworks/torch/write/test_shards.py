"""Shards: every process draws its own part, and the parts make the tensor of one process."""

import hashlib
import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import _StridedShard

import fanin
from fanin import FaninError, Stream
from fanin._empty import empty_weights
from fanin.frameworks._tiles import inside, tiles
from fanin.frameworks.torch import slots
from fanin.frameworks.torch.write._shards import shard_given, shard_of
from fanin.initializers import he_normal, normal, orthogonal
from tests.warm import TORCH, Warm

WORKER = Path(__file__).with_name("shards_worker.py")
Pretended = Callable[[int, int], AbstractContextManager[None]]
alone = pytest.mark.skipif(
    "src_data_rank" not in signature(distribute_tensor).parameters,
    reason="this torch distributes by communication alone",
)


def run(warm: Warm, world: int, folder: Path) -> None:
    """As many processes as `world` says; all of them end with the weights of a single one."""
    arguments = str(world), str(folder)
    started = [warm.start_file(WORKER, str(rank), *arguments) for rank in range(world)]
    for process in started:
        done = warm.wait(process)
        assert done.returncode == 0, done.stderr
    results = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world)]
    assert all(result == results[0] for result in results)
    for way, digests in results[0].items():
        expected = results[0]["whole, even" if "even" in way else "whole"]
        assert digests == expected, way
    values = he_normal()((13, 7), seed=7, name="up.weight")
    assert results[0]["fsdp2"]["up.weight"] == hashlib.sha256(values.tobytes()).hexdigest()


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_write_the_weights_of_one(
    warm: Callable[[str], Warm], world: int, tmp_path: Path
) -> None:
    run(warm(TORCH), world, tmp_path)


@pytest.mark.slow
def test_three_processes(warm: Callable[[str], Warm], tmp_path: Path) -> None:
    run(warm(TORCH), 3, tmp_path)


def held(values: torch.Tensor, shard: Any, like: torch.Tensor) -> torch.Tensor:
    """What a local tensor holds of `values` by what we think of its shard."""
    if shard is None:
        return values
    local = torch.full_like(like, -1)
    for box, view in shard.pieces(local):
        view.copy_(values[box])
    return local


@st.composite
def shardings(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...], int]:
    shape = draw(st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple))
    mesh = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple))
    placement = st.one_of(
        st.just(Replicate()), st.integers(0, len(shape) - 1).map(lambda axis: Shard(axis))
    )
    placements = draw(st.tuples(*[placement] * len(mesh)))
    return shape, mesh, placements, draw(st.integers(0, math.prod(mesh) - 1))


@alone
@given(shardings())
def test_any_placements_hold_what_torch_distributes(
    pretended: Pretended,
    sharding: tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...], int],
) -> None:
    shape, sizes, placements, rank = sharding
    values = torch.arange(math.prod(shape)).view(shape)
    with pretended(rank, math.prod(sizes)):
        mesh = init_device_mesh("cpu", sizes)
        tensor = distribute_tensor(values, mesh, placements, src_data_rank=None)
        local = tensor.to_local()
        assert torch.equal(held(values, shard_of("w", tensor), local), local)


@alone
@given(st.integers(1, 4), st.integers(2, 3), st.integers(2, 3), st.data())
def test_strided_shards_hold_what_torch_distributes(
    pretended: Pretended, part: int, processes: int, factor: int, data: st.DataObject
) -> None:
    """As FSDP makes them over tensor parallel: outer strided, inner plain."""
    rows = part * processes * factor
    values = torch.arange(rows * 2).view(rows, 2)
    rank = data.draw(st.integers(0, processes * factor - 1))
    with pretended(rank, processes * factor):
        mesh = init_device_mesh("cpu", (processes, factor))
        placements = [_StridedShard(0, split_factor=factor), Shard(0)]
        tensor = distribute_tensor(values, mesh, placements, src_data_rank=None)
        local = tensor.to_local()
        assert torch.equal(held(values, shard_of("w", tensor), local), local)
        # The order of tensor parallel first, then FSDP.
        mine = values.chunk(factor)[rank % factor].chunk(processes)[rank // factor]
        assert torch.equal(local, mine)


class Decay(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.arange(20.0).view(10, 2))


def test_a_kept_value_is_restored_in_parts(pretended: Pretended) -> None:
    with pretended(1, 3):
        mesh = init_device_mesh("cpu", (3,))
        with empty_weights():
            model = Decay()
        fully_shard(model, mesh=mesh)
        assert model.rates.to_local().is_meta
        (slot,) = slots(model)
        slot.rehearse(None, 0)
        slot.write(None, 0)
        assert torch.equal(model.rates.to_local(), torch.arange(8.0, 16.0).view(4, 2))


@alone
def test_a_strided_shard_alone_has_several_runs(pretended: Pretended) -> None:
    values = torch.arange(24).view(12, 2)
    with pretended(1, 2):
        mesh = init_device_mesh("cpu", (2,))
        placements = [_StridedShard(0, split_factor=3)]
        tensor = distribute_tensor(values, mesh, placements, src_data_rank=None)
        model = nn.Linear(2, 12, bias=False)
        model.weight = nn.Parameter(tensor.float())
        fanin.initialize(model, initializer="normal")
        whole = torch.from_numpy(normal()((12, 2), seed=0, name="weight"))
        rows = [2, 3, 6, 7, 10, 11]
        assert torch.equal(model.weight.to_local(), whole[rows])


@pytest.mark.parametrize(
    ("placements", "message"),
    [
        ([_StridedShard(0, split_factor=2), Shard(0)], "strided shard of 6 positions by 2 times 2"),
        ([Partial(), Shard(0)], r"placements .* values are partial results. Redistribute"),
    ],
)
def test_what_cannot_be_told_is_refused(
    pretended: Pretended, placements: list[Any], message: str
) -> None:
    with pretended(0, 4):
        mesh = init_device_mesh("cpu", (2, 2))
        local = torch.zeros(2, 3)
        tensor = DTensor.from_local(
            local, mesh, placements, run_check=False, shape=torch.Size((6, 3)), stride=(3, 1)
        )
        model = nn.Linear(3, 6, bias=False)
        model.weight = nn.Parameter(tensor)
        with pytest.raises(FaninError, match=message):
            fanin.initialize(model, initializer="he_normal")
        assert (model.weight.to_local() == 0).all()


def test_a_local_tensor_of_another_shape_is_refused(pretended: Pretended) -> None:
    with pretended(0, 2):
        mesh = init_device_mesh("cpu", (2,))
        tensor = DTensor.from_local(
            torch.zeros(4, 3), mesh, [Shard(0)], run_check=False, shape=torch.Size((7, 2)),
            stride=(2, 1),
        )  # fmt: skip
        with pytest.raises(FaninError, match=r"w of shape \(7, 2\) holds \(4, 3\).* says \(4, 2\)"):
            shard_of("w", tensor)


@alone
def test_a_process_outside_the_mesh_writes_nothing(pretended: Pretended) -> None:
    with pretended(3, 4):
        mesh = dist.device_mesh.DeviceMesh("cpu", [0, 1])
        model = nn.Linear(3, 6)
        for name, tensor in list(model.named_parameters()):
            part = distribute_tensor(tensor.detach(), mesh, [Shard(0)], src_data_rank=None)
            setattr(model, name, nn.Parameter(part))
        fanin.initialize(model, initializer="he_normal")


def test_fsdp1_is_refused() -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel

    class Pretended(FullyShardedDataParallel):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.inner = nn.Linear(2, 2)

    model = nn.Sequential(Pretended())
    with pytest.raises(FaninError, match=r"0 is wrapped in FullyShardedDataParallel \(FSDP1\)"):
        fanin.initialize(model, initializer="he_normal")


def linear(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> nn.Linear:
    return nn.Linear(columns, rows, bias=False, dtype=dtype)


def apply(
    model: nn.Module, shards: dict[str, Any], initializer: str = "he_normal", seed: int = 0
) -> fanin.Plan:
    """The plan of a linear layer with the global shape, applied to a part of it."""
    (shape, _), *_ = shards.values()
    whole = nn.Linear(shape[1], shape[0], bias=False, device="meta")
    return fanin.plan(whole, initializer=initializer).apply(model, seed, shards=shards)


def test_a_shard_that_the_user_describes() -> None:
    whole = torch.from_numpy(he_normal()((9, 8), seed=1, name="weight"))
    model = linear(3, 8)
    apply(model, {"weight": ((9, 8), slice(6, 9))}, seed=1)
    assert torch.equal(model.weight, whole[6:9])
    model = linear(9, 4)
    shards = {"weight": ((9, 8), (slice(None), slice(0, 8, 2)))}
    plan = apply(model, shards, seed=1)
    assert torch.equal(model.weight, whole[:, ::2])
    plan.verify(model, shards=shards)
    model.weight.data[8, 3] += 1
    with pytest.raises(FaninError, match="weight holds other values"):
        plan.verify(model, shards=shards)


def test_heads_cut_from_a_fused_projection() -> None:
    """Query, key and value of 8 rows each: this process has rows 2 to 4 of all three."""
    cut = [slice(2, 4), slice(10, 12), slice(18, 20)]
    model = linear(6, 5, torch.bfloat16)
    plan = fanin.plan(linear(24, 5, torch.bfloat16), initializer="he_normal")
    plan.apply(model, shards={"weight": ((24, 5), (cut,))})
    real = linear(24, 5, torch.bfloat16)
    fanin.initialize(real, initializer="he_normal")
    assert torch.equal(model.weight, torch.cat([real.weight[one] for one in cut]))


def test_an_initializer_that_makes_the_tensor_whole_is_cut() -> None:
    cut = [slice(0, 2), slice(6, 8)]
    model, shards = linear(4, 8), {"weight": ((8, 8), (cut,))}
    plan = apply(model, shards, "orthogonal")
    whole = torch.from_numpy(orthogonal()((8, 8), seed=0, name="weight"))
    assert torch.equal(model.weight, whole[[0, 1, 6, 7]])
    plan.verify(model, shards=shards)


@given(
    st.lists(st.integers(1, 5), min_size=0, max_size=4).map(tuple),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_flat_pieces_are_ranges_of_elements(shape: tuple[int, ...], start: int, size: int) -> None:
    values = torch.arange(math.prod(shape)).view(shape)
    local = torch.full((size,), -1)
    shard = shard_given("w", local, (shape, range(start, start + size)))
    for box, view in shard.pieces(local):
        view.copy_(values[box])
    expected = torch.full((size,), -1)
    taken = values.flatten()[start : start + size]
    expected[: len(taken)] = taken
    assert torch.equal(local, expected)


def test_zero_3_partitions() -> None:
    """The parameter itself is empty, and its part is in ds_tensor; 2 elements are padding."""
    model = linear(5, 4)
    whole = torch.from_numpy(he_normal()((5, 4), seed=0, name="weight"))
    model.weight = nn.Parameter(torch.empty(0))
    model.weight.ds_tensor = torch.full((11,), 9.0)
    with pytest.raises(FaninError, match=r"weight is partitioned by ZeRO-3 .* Pass shards="):
        fanin.initialize(model, initializer="he_normal")
    apply(model, {"weight": ((5, 4), range(11, 22))})
    assert torch.equal(model.weight.ds_tensor[:9], whole.flatten()[11:])
    assert (model.weight.ds_tensor[9:] == 9).all()


class Partitioned(nn.Linear):
    """As DeepSpeed's zero.Init leaves a layer: parameters without elements, parts beside them."""

    def __init__(self, ins: int, outs: int, rank: int, world: int, group: Any) -> None:
        super().__init__(ins, outs)
        for name, whole in list(self.named_parameters()):
            size = -(-whole.numel() // world)
            empty = nn.Parameter(torch.empty(0))
            empty.ds_shape, empty.ds_numel = whole.shape, whole.numel()  # type: ignore[attr-defined]
            empty.ds_tensor = torch.full((size,), 9.0)  # type: ignore[attr-defined]
            empty.ds_process_group = group  # type: ignore[attr-defined]
            setattr(self, name, empty)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_parts_of_zero_3_are_written_by_their_rank(pretended: Pretended, world: int) -> None:
    whole = nn.Linear(7, 3)
    plan = fanin.plan(whole)
    plan.apply(whole, 5)
    for name, tensor in whole.named_parameters():
        parts = []
        for rank in range(world):
            with pretended(rank, world):
                model = Partitioned(7, 3, rank, world, dist.group.WORLD)
                plan.apply(model, 5).verify(model)
                parts.append(model.get_parameter(name).ds_tensor)
        joined = torch.cat(parts)
        assert torch.equal(joined[: tensor.numel()], tensor.detach().flatten())
        assert (joined[tensor.numel() :] == 9).all()


def test_parts_of_zero_3_that_say_too_little_are_refused(pretended: Pretended) -> None:
    plan = fanin.plan(nn.Linear(7, 3))
    model = Partitioned(7, 3, 0, 2, None)
    told = r"weight of shape \(3, 7\) is partitioned by ZeRO-3 and, without its process group"
    with pytest.raises(FaninError, match=told):
        plan.apply(model)
    with pytest.raises(FaninError, match=told):
        fanin.initialize(model)
    with pretended(0, 2):
        model = Partitioned(7, 3, 0, 3, dist.group.WORLD)
        with pytest.raises(FaninError, match="into parts of 7 elements, which are not all of it"):
            plan.apply(model)
        model = Partitioned(7, 3, 0, 2, dist.group.WORLD)
        model.weight.data = torch.ones(3, 7)
        with pytest.raises(FaninError, match="is gathered from the parts of ZeRO-3"):
            plan.apply(model)
    model = nn.Linear(7, 3)
    model.weight.data = torch.empty(0)
    with pytest.raises(FaninError, match=r"weight of a Linear has shape \(0,\): a partitioner"):
        fanin.initialize(model)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wieght": ((9, 8), slice(3))}, "shards has 'wieght': did you mean 'weight'"),
        ({"weight": slice(3)}, r"shards\['weight'\] is slice.* give \(global_shape, index\)"),
        ({"weight": ((9, 8), slice(4))}, r"a part of shape \(4, 8\); the tensor here has \(3, 8\)"),
        ({"weight": ((9, 8), (0, slice(None)))}, r"index \(0, .* give a slice, or a list"),
        ({"weight": ((9, 8), slice(None, None, -1))}, "give a slice, or a list of slices"),
        ({"weight": ((9,), (slice(3), slice(3)))}, "give a slice, or a list of slices"),
        ({"weight": ((9, 8), range(0, 48, 2))}, "its step must be 1"),
    ],
)
def test_shards_that_do_not_fit_are_refused(given: dict[str, Any], message: str) -> None:
    model = linear(3, 8)
    before = model.weight.detach().clone()
    with pytest.raises(FaninError, match=message):
        slots(model, shards=given)
    assert torch.equal(model.weight, before)


def test_a_local_shard_has_the_std_of_the_global_rule() -> None:
    """n = 32768 values of N(0, s**2): the sample's std is off by more than 2.5 % in fewer than
    one of 10**9 seeds (6.4 standard errors of 1 / sqrt(2 n)); the local fans would be off by 2.
    """
    shards = {"weight": ((512, 256), (slice(None), slice(64, 128)))}
    model = linear(512, 64)
    apply(model, shards)
    (slot,) = slots(model, shards=shards)
    mean, std = slot.moments()
    expected = he_normal().std((512, 256))
    assert abs(std / expected - 1) < 0.025
    assert abs(mean) < 6.4 * expected / math.sqrt(32768)
    assert math.isclose(std, float(model.weight.detach().double().std(correction=0)), rel_tol=1e-9)


def test_the_hash_of_a_part_is_refused() -> None:
    (slot,) = slots(linear(3, 8), shards={"weight": ((9, 8), slice(3))})
    with pytest.raises(FaninError, match="is sharded, and a hash needs all of it"):
        slot.digest()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_tiles_prove_tensors_larger_than_one(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "__defaults__", (17,))
    model = nn.Conv2d(5, 7, 3, bias=False, dtype=getattr(torch, dtype)).to(
        memory_format=torch.channels_last
    )
    plan = fanin.initialize(model, initializer="he_normal")
    plan.verify(model)
    (slot,) = slots(model)
    plain = model.weight.detach().contiguous().view(torch.uint8).numpy()
    assert slot.digest() == hashlib.sha256(plain.tobytes()).hexdigest()
    with torch.no_grad():
        model.weight[6, 4, 2, 2] *= -1
    with pytest.raises(FaninError, match="weight holds other values"):
        plan.verify(model)


def test_the_padding_row_is_proved_too() -> None:
    model = nn.Embedding(9, 4, padding_idx=2)
    plan = fanin.initialize(model, initializer="normal")
    plan.verify(model)
    part = nn.Embedding(3, 4)
    part.padding_idx = 2
    shards = {"weight": ((9, 4), slice(1, 4))}
    plan.apply(part, shards=shards)
    plan.verify(part, shards=shards)
    assert torch.equal(part.weight, model.weight[1:4])
    assert (part.weight[1] == 0).all()


@given(
    st.lists(st.integers(0, 6), max_size=4).map(tuple),
    st.integers(1, 30),
)
def test_tiles_follow_each_other_in_row_major_order(shape: tuple[int, ...], most: int) -> None:
    values = np.arange(math.prod(shape)).reshape(shape)
    cut = [values[tile].ravel() for tile in tiles(shape, most)]
    assert all(len(piece) <= most for piece in cut)
    assert np.array_equal(np.concatenate([*cut, np.empty(0, int)]), values.ravel())


def test_a_tile_of_a_box_is_where_it_was_cut_from() -> None:
    values = np.arange(70).reshape(10, 7)
    box = (slice(1, 10, 3), slice(2, 6, None))
    for tile in tiles((3, 4), 2):
        assert np.array_equal(values[inside(box, tile)], values[box][tile])


def test_streams_agree_on_a_shard_far_inside() -> None:
    """A part of a tensor that no machine holds: 2**40 elements."""
    shape = (2**20, 2**20)
    model = linear(2, 3)
    shards = {"weight": (shape, (slice(2**20 - 2, 2**20), slice(5, 8)))}
    apply(model, shards, "normal")
    expected = Stream(0, "weight").normal(shape, index=(slice(-2, None), slice(5, 8)))
    assert np.array_equal(model.weight.detach(), expected)


def gathered_model() -> nn.Module:
    """FSDP2's outermost module keeps what it gathered for a run until a gradient was taken."""
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 4)))
    mesh = init_device_mesh("cpu", (1,))
    fully_shard(model[2], mesh=mesh)
    fully_shard(model, mesh=mesh)
    model(torch.ones(2, 8))
    assert type(model[0].weight) is nn.Parameter
    return model


def test_what_fsdp_gathered_for_a_run_is_not_what_is_written(pretended: Pretended) -> None:
    whole = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 4)))
    plan = fanin.initialize(whole, 3)
    with pretended(0, 1):
        model = gathered_model()
        plan.apply(model, 3)
        model(torch.ones(2, 8)).sum().backward()
        plan.verify(model)
        for held, expected in zip(model.parameters(), whole.parameters(), strict=True):
            assert isinstance(held, DTensor)
            assert torch.equal(held.to_local(), expected)


def test_a_model_that_one_process_shards_does_not_run_either(pretended: Pretended) -> None:
    with pretended(0, 1):
        model = gathered_model()
        with pytest.raises(FaninError, match="is sharded, and a sharded model cannot be checked"):
            fanin.check(model, torch.ones(2, 8))
        with pytest.raises(FaninError, match="is sharded, and a sharded model cannot be traced"):
            fanin.initialize(model, 0, torch.ones(2, 8))
