"""Shards: which elements of a global tensor a local tensor holds."""

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fanin._arguments import check_shape
from fanin.errors import FaninError, an, quote
from fanin.frameworks._tiles import Box

Runs = tuple[range, ...]  # positions along one axis, in the order in which they are stored


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of a tensor of this (global) shape that one process holds.

    Either `runs` of positions along every axis; or `flat`, a range of the elements counted in
    row-major order, held in a row, of which those beyond the last are padding.
    """

    shape: tuple[int, ...]
    runs: tuple[Runs, ...] = ()
    flat: range | None = None

    @property
    def local_shape(self) -> tuple[int, ...]:
        """Of the tensor that holds it."""
        if self.flat is not None:
            return (len(self.flat),)
        return tuple(sum(map(len, runs)) for runs in self.runs)

    def pieces(self, local: Tensor) -> Iterator[tuple[Box, Tensor]]:
        """Boxes of the global tensor, each with the view of the local one that holds it."""
        if self.flat is not None:
            yield from _flat_pieces(self.shape, self.flat, local)
            return
        for combination in itertools.product(*map(_place, self.runs)):
            box = tuple(slice(run.start, run.stop, run.step) for run, _ in combination)
            yield box, local[tuple(where for _, where in combination)]


def _place(runs: Runs) -> list[tuple[range, slice]]:
    """Every run that is not empty, with its place along the local axis."""
    ends = list(itertools.accumulate(map(len, runs), initial=0))
    return [(run, slice(low, low + len(run))) for run, low in zip(runs, ends, strict=False) if run]


def _flat_pieces(
    shape: tuple[int, ...], flat: range, local: Tensor
) -> Iterator[tuple[Box, Tensor]]:
    """Boxes for consecutive elements: at most two for every axis but the last, and one."""
    row = 1
    for size in shape[1:]:
        row *= size
    start, stop = flat.start, min(flat.stop, row * (shape[0] if shape else 1))
    if start >= stop:
        return
    if not shape:
        yield (), local[0]
        return
    first, last = -(-start // row), stop // row  # whole rows
    if first > last:
        last = first = start // row  # inside one row
        edges = [(first, start, stop)]
    else:
        edges = [(first - 1, start, first * row), (last, last * row, stop)]
    if first < last:
        there = slice(first * row - flat.start, last * row - flat.start)
        box = (slice(first, last, 1), *(slice(0, size, 1) for size in shape[1:]))
        yield box, local[there].view(last - first, *shape[1:])
    for position, low, high in edges:
        if low < high:
            part = local[low - flat.start : high - flat.start]
            inner = range(low - position * row, high - position * row)
            for box, view in _flat_pieces(shape[1:], inner, part):
                yield (slice(position, position + 1, 1), *box), view.unsqueeze(0)


def local_tensor(tensor: Tensor) -> Tensor:
    """The tensor that this process holds: a DTensor's own part, ZeRO-3's, else the tensor."""
    if _is_dtensor(tensor):
        local: Tensor = tensor._local_tensor  # type: ignore[attr-defined]
        return local
    part = getattr(tensor, "ds_tensor", None)
    return part if isinstance(part, Tensor) else tensor


def _is_dtensor(tensor: Tensor) -> bool:
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def is_spread(tensor: Tensor) -> bool:
    """Whether processes hold it together, be it one process alone: its model runs collectives."""
    return _is_dtensor(tensor) or _is_partitioned(tensor)


def _is_partitioned(tensor: Tensor) -> bool:
    return hasattr(tensor, "ds_shape") or getattr(tensor, "ds_tensor", None) is not None


def reshard(model: nn.Module) -> None:
    """Drop what FSDP2 gathered for a run: what is written there would be lost."""
    source = sys.modules.get("torch.distributed.fsdp")
    kind = getattr(source, "FSDPModule", None)
    for module in model.modules():
        if kind is not None and isinstance(module, kind):
            module.reshard()


def shard_of(name: str, tensor: Tensor) -> Shard | None:
    """The part that a DTensor holds on this rank; None for a whole tensor.

    Placements apply from the left to the right of the mesh, each to what the former left, and
    split as torch.chunk does. Raises FaninError for what cannot be told for sure.
    """
    if _is_partitioned(tensor):
        return _partition_of(name, tensor)
    if not _is_dtensor(tensor):
        return None
    spec = tensor._spec  # type: ignore[attr-defined]
    shape = tuple(tensor.shape)
    runs: list[Runs] = [(range(size),) for size in shape]
    coordinate = spec.mesh.get_coordinate()
    if coordinate is None:  # this rank is not in the mesh
        return Shard(shape, tuple((range(0),) for _ in shape) or ((range(0),),))
    _check_order(name, spec)
    for number, (placement, position) in enumerate(zip(spec.placements, coordinate, strict=True)):
        if placement.is_replicate():
            continue
        kind, count = type(placement).__name__, spec.mesh.size(number)
        if kind not in ("Shard", "_StridedShard"):
            raise FaninError(
                f"{name} has shape {shape} and placements {spec.placements}: its values are "
                "partial results. Redistribute it to Shard or Replicate first."
            )
        axis = placement.dim % len(shape)
        factor = int(placement.split_factor) if kind == "_StridedShard" else 1
        runs[axis] = _split(name, runs[axis], count, position, factor)
    shard = Shard(shape, tuple(runs))
    held = tuple(local_tensor(tensor).shape)
    if shard.local_shape != held:
        raise FaninError(
            f"{name} of shape {shape} holds {held} on this rank, and {spec.placements} says "
            f"{shard.local_shape}. Pass shards={{{name!r}: (global_shape, index)}}."
        )
    return None if held == shape else shard


def _partition_of(name: str, tensor: Any) -> Shard:
    """The elements that ZeRO-3 left on this rank: those of as many processes lie in a row.

    Its own words: `ds_shape` is the whole one's, `ds_tensor` the part, of equal size on all ranks
    of `ds_process_group`, with padding behind the last.
    """
    shape, part = getattr(tensor, "ds_shape", None), getattr(tensor, "ds_tensor", None)
    group = getattr(tensor, "ds_process_group", None)
    road = (
        f"Pass shards={{{name!r}: (global_shape, range(start, stop))}}, or apply the plan before "
        "the model is partitioned."
    )
    if tensor.numel():
        raise FaninError(
            f"{name} of shape {tuple(tensor.shape)} is gathered from the parts of ZeRO-3, which "
            "would keep their old values. Leave deepspeed.zero.GatheredParameters first."
        )
    if shape is None or part is None or part.dim() != 1:
        raise FaninError(
            f"{name} is partitioned by ZeRO-3 and says nothing of its place (ds_shape "
            f"{quote(shape)}, ds_tensor {quote(part)}). {road}"
        )
    distributed = sys.modules.get("torch.distributed")
    if group is None or distributed is None or not distributed.is_initialized():
        raise FaninError(
            f"{name} of shape {tuple(shape)} is partitioned by ZeRO-3 and, without its process "
            f"group, says nothing of its place. {road}"
        )
    rank, size = distributed.get_rank(group), part.numel()
    held = size * distributed.get_world_size(group)
    if rank < 0 or held < math.prod(shape):
        raise FaninError(
            f"{name} of shape {tuple(shape)} is partitioned by ZeRO-3 into parts of {size} "
            f"elements, which are not all of it. {road}"
        )
    return Shard(tuple(shape), flat=range(rank * size, (rank + 1) * size))


def refuse_emptied(name: str, tensor: Tensor, module: nn.Module) -> None:
    """FaninError for a layer's weight that lost its elements, and with them its shape."""
    own = type(module).__module__.startswith("torch.nn.")
    if own and tuple(tensor.shape) == (0,):
        raise FaninError(
            f"{name} of {an(type(module).__name__)} has shape (0,): a partitioner took its "
            "elements. Plan and initialize before the model is partitioned, or pass "
            f"shards={{{name!r}: (global_shape, range(start, stop))}} to apply."
        )


def _check_order(name: str, spec: Any) -> None:
    order = getattr(spec, "shard_order", None)
    if order is not None and order != spec.compute_default_shard_order(spec.placements):
        raise FaninError(
            f"{name} is sharded over its mesh in the order {order}; only left to right is known. "
            "Redistribute it first."
        )


def _split(name: str, runs: Runs, count: int, position: int, factor: int) -> Runs:
    """What one of `count` processes keeps of these positions.

    `factor` > 1 is a strided shard (FSDP over tensor parallel): the positions are cut into
    that many parts, and each process keeps its chunk of every part.
    """
    size = sum(map(len, runs))
    if factor > 1 and size % (factor * count):
        raise FaninError(
            f"{name} is a strided shard of {size} positions by {factor} times {count} processes, "
            "which do not divide it: what each holds is not defined. Pad the size, or shard "
            "another axis."
        )
    part = size // factor
    chunk = -(-part // count)
    low, high = min(part, position * chunk), min(part, (position + 1) * chunk)
    kept = [_cut(runs, first * part + low, first * part + high) for first in range(factor)]
    return tuple(itertools.chain.from_iterable(kept))


def _cut(runs: Runs, low: int, high: int) -> Iterator[range]:
    """The positions from the `low`-th to before the `high`-th."""
    for run in runs:
        taken = run[max(low, 0) : max(high, 0)]
        if taken:
            yield taken
        low, high = low - len(run), high - len(run)


def shard_given(name: str, tensor: Tensor, given: Any) -> Shard:
    """The shard that the user describes as (global_shape, index).

    `index` has a slice for every axis, or a list of slices that lie one behind the other;
    axes left out are whole. Or it is a range of elements, for a flat piece.
    """
    try:
        shape, index = given
        shape = check_shape(shape)
    except (TypeError, ValueError):
        raise FaninError(
            f"shards[{name!r}] is {quote(given)}; give (global_shape, index), such as "
            "((1024, 64), (slice(0, 256),))."
        ) from None
    if isinstance(index, range):
        if index.step != 1:
            raise FaninError(f"shards[{name!r}] has the index {quote(index)}; its step must be 1.")
        shard = Shard(shape, flat=index)
    else:
        shard = Shard(shape, _check_runs(name, shape, index))
    held = tuple(local_tensor(tensor).shape)
    if shard.local_shape != held:
        raise FaninError(
            f"shards[{name!r}] describes a part of shape {shard.local_shape}; the tensor here has "
            f"{held}."
        )
    return shard


def _check_runs(name: str, shape: tuple[int, ...], index: Any) -> tuple[Runs, ...]:
    items: Sequence[Any] = index if isinstance(index, tuple) else (index,)
    runs = []
    for axis, size in enumerate(shape):
        item = items[axis] if axis < len(items) else slice(None)
        slices = item if isinstance(item, list) else [item]
        if len(items) > len(shape) or not all(
            isinstance(each, slice) and (each.step is None or each.step > 0) for each in slices
        ):
            raise FaninError(
                f"shards[{name!r}] has the index {quote(index)} for shape {shape}; give a slice, "
                "or a list of slices, for each axis, or a range of elements."
            )
        runs.append(tuple(range(*each.indices(size)) for each in slices))
    return tuple(runs)


def refuse_flat(model: nn.Module) -> None:
    """Raise for FSDP1, which packs parameters into flat ones that have no shapes of their own."""
    source = sys.modules.get("torch.distributed.fsdp.fully_sharded_data_parallel")
    wrapper = getattr(source, "FullyShardedDataParallel", None)
    if wrapper is None:
        return
    for path, module in model.named_modules():
        if isinstance(module, wrapper):
            raise FaninError(
                f"{path or 'the model'} is wrapped in FullyShardedDataParallel (FSDP1), whose flat "
                "parameters have lost names and shapes. Initialize before wrapping, or shard with "
                "torch.distributed.fsdp.fully_shard."
            )
