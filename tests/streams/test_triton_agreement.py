"""The kernels draw the other back ends' bits: slices, layouts, shards, and launches of any kind."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from torch.distributed.tensor import Placement, Replicate, Shard

from fanin import FaninError, Stream
from fanin.streams import Constant, Distribution, Normal, TruncatedNormal, Uniform, _reference
from fanin.streams import _triton_tables as tables
from fanin.streams._address import Region, region, stream_number
from fanin.streams._triton import MOST_FUSED, DrawJob
from fanin.streams._triton_jobs import make_row

WIDTH = {2: torch.int16, 4: torch.int32, 8: torch.int64}
DTYPES = ("float32", "float64", "bfloat16", "float16")
KINDS: tuple[Distribution, ...] = (
    Constant(-0.3),
    Uniform(-1.0, 2.0),
    Normal(0.1, 0.02),
    TruncatedNormal(0.0, 1.0, -2.0, 1.0),
)
# The kernels are the same in every example; only where they run is fixed.
quick = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.cpu().contiguous().view(WIDTH[tensor.element_size()]).numpy().tobytes()


def empty(shape: Any, dtype: str, gpu: torch.device) -> torch.Tensor:
    return torch.full(shape, 7, dtype=getattr(torch, dtype), device=gpu)


numbers = st.one_of(
    st.floats(-10, 10),
    st.sampled_from([0.0, -0.0, 1.0, 1e-46, -1e-46, 1e-38, 1e30]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
bounds = st.one_of(st.floats(-13, 13), st.sampled_from([-math.inf, math.inf]))
distributions = st.one_of(
    st.builds(lambda a: (Constant, a), numbers),
    st.builds(lambda a, b: (Uniform, a, b), numbers, numbers),
    st.builds(lambda a, b: (Normal, a, b), numbers, numbers.map(abs)),
    st.builds(
        lambda a, b, c, d: (TruncatedNormal, a, b, c, d), numbers, numbers.map(abs), bounds, bounds
    ),
)


@quick
@given(
    distributions, st.sampled_from(DTYPES), st.integers(0, 2**62 - 200), st.integers(0, 2**64 - 1)
)
@example((Constant, -0.0), "float16", 0, 0)
@example((Normal, -0.0, 0.0), "float32", 0, 0)
@example((Normal, 0.0, 1e-44), "float32", 0, 0)  # subnormal values
@example((Normal, 0.0, 1e-40), "bfloat16", 0, 0)
@example((Normal, 0.0, 1e-7), "float16", 0, 0)
@example((TruncatedNormal, 0.0, 1e-44, -math.inf, 0.0), "float32", 0, 0)
@example((TruncatedNormal, 0.0, 3e-27, -7e-30, 4e-28), "float32", 0, 0)
@example((TruncatedNormal, 0.0, 1.0, 12.5, 13.0), "float32", 2**33, 0)
@example((TruncatedNormal, 0.0, 1.0, -2.0, 1e39), "float32", 0, 0)
@example((TruncatedNormal, -1e39, 2e38, 5.0, 5.1), "float32", 0, 0)
@example((TruncatedNormal, 1.0, 1e20, 0.0, 6e-155), "float64", 0, 0)
def test_triton_draws_any_distribution(
    gpu: torch.device, draw: Any, what: tuple[Any, ...], dtype: str, start: int, seed: int
) -> None:
    where = slice(start, start + 200)
    try:
        distribution = what[0](*what[1:])
        expected = Stream(seed, "a").draw(distribution, 2**62, dtype, where)
    except FaninError:
        assume(False)
    tensor = empty((200,), dtype, gpu)
    draw([DrawJob(tensor, distribution, seed, "a", region((2**62,), where))])
    assert bits(tensor) == expected.tobytes()


@st.composite
def parts(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[slice, ...], list[int], list[int]]:
    """A shape, a slice of it, the order of its addresses, and the order of its memory."""
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4]), max_size=7)))
    shape = shape if len(shape) > 4 else (*shape[:1], draw(st.integers(1, 300)))
    assume(math.prod(shape) <= 3000)
    whole = st.just(slice(None))
    index = tuple(draw(st.one_of(whole, whole, st.slices(size))) for size in shape)
    axes = list(range(len(shape)))
    order = draw(st.one_of(st.just(axes), st.permutations(axes)))
    return shape, index, order, draw(st.one_of(st.just(axes), st.permutations(axes)))


@quick
@given(parts(), st.sampled_from(DTYPES), st.integers(1, 2), st.booleans())
def test_triton_draws_any_slice_and_layout(
    gpu: torch.device, draw: Any, part: Any, dtype: str, gap: int, fused: bool
) -> None:
    """With memory between and around the elements, which stays as it was."""
    shape, index, order, layout = part
    where, normal = region(shape, index, order), Normal(0.0, 1.0)
    sizes = [gap * where.shape[axis] for axis in layout]
    all_memory = empty((math.prod(sizes) + 64,), dtype, gpu)
    memory = all_memory[32:-32].view(sizes)
    strided = memory[(slice(None, None, gap),) * len(shape)]
    tensor = strided.permute([layout.index(axis) for axis in range(len(shape))])
    draw([DrawJob(tensor, normal, 1, "слой", where)], MOST_FUSED if fused else 0, 256)
    assert (
        bits(tensor) == Stream(1, "слой").draw(normal, shape, dtype, index, order=order).tobytes()
    )
    tensor.fill_(7)
    assert torch.all(all_memory == 7)


def jobs(gpu: torch.device) -> list[DrawJob]:
    """Tensors of many kinds, as the parameters of a model."""
    shapes = [(64, 27), (10,), (3, 3, 5, 7), (1,), (), (0, 4), (1030,), (33, 130)]
    return [
        DrawJob(empty(shape, dtype, gpu), kind, 3, f"{number}.{dtype}", region(shape))
        for dtype in DTYPES
        for number, (shape, kind) in enumerate(zip(shapes, KINDS * 2, strict=True))
    ]


def test_triton_draws_a_model_in_fused_launches_as_in_single_ones(
    gpu: torch.device, draw: Any
) -> None:
    fused, single = jobs(gpu), jobs(gpu)
    draw(fused)
    draw(single, most_fused=0)
    for one, other in zip(fused, single, strict=True):
        drawn = Stream(3, one.name).draw(one.distribution, one.tensor.shape, one.encoding)
        assert bits(one.tensor) == bits(other.tensor) == drawn.tobytes(), one.label()


@pytest.mark.parametrize("start", [2**32 - 50, 2**34 - 50, 2**40 + 1, 2**58 - 200])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_triton_draws_far_addresses(gpu: torch.device, draw: Any, start: int, dtype: str) -> None:
    shape, index = (8, 2**58, 3), (slice(None, None, -3), slice(start, start + 90, 7), slice(2))
    where = region(shape, index)
    tensor = empty(where.shape, dtype, gpu)
    draw([DrawJob(tensor, KINDS[1], 9, "a", where)])
    assert bits(tensor) == Stream(9, "a").draw(KINDS[1], shape, dtype, index).tobytes()


@pytest.mark.parametrize("base", [0, 2**32 - 5, 2**63 - 5, 2**64 - 9])
@pytest.mark.parametrize("step", [1, -1, 3, 2**62])
def test_triton_draws_words_at_any_address(
    gpu: torch.device, draw: Any, base: int, step: int
) -> None:
    """Addresses are numbers modulo 2**64."""
    tensor = torch.zeros(50, dtype=torch.uint32, device=gpu)
    draw([DrawJob(tensor, None, 2**64 - 1, "a", Region(base, (50,), (step,)))])
    expected = np.empty(50, np.uint32)
    number = stream_number("a")
    _reference.fill(
        expected, "uint32", base, (step,), 2**64 - 1, (number, 0), "words", (), threads=1
    )
    assert bits(tensor) == expected.tobytes()


@pytest.mark.parametrize(
    "placements", [(Shard(0), Shard(1)), (Shard(1), Replicate()), (Shard(0), Shard(0))]
)
def test_triton_draws_shards_as_parts_of_the_whole(
    gpu: torch.device, draw: Any, placements: tuple[Placement, ...]
) -> None:
    """The local tensors of a DTensor on a 2 x 3 mesh, some of them uneven."""
    shape, mesh = (17, 34), (2, 3)
    whole = Stream(4, "w").draw(KINDS[2], shape)
    for rank in np.ndindex(mesh):
        rows = [torch.arange(size) for size in shape]  # those of this process, by dimension
        for placement, parts, part in zip(placements, mesh, rank, strict=True):
            if isinstance(placement, Shard):
                rows[placement.dim] = rows[placement.dim].chunk(parts)[part]
        index = tuple(slice(int(own[0]), int(own[-1]) + 1) for own in rows)
        tensor = empty([len(own) for own in rows], "float32", gpu)
        draw([DrawJob(tensor, KINDS[2], 4, "w", region(shape, index))], program=256)
        assert bits(tensor) == whole[index].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("columns", "whole"), [(slice(16, 48), 256), (slice(17, 49), 0)])
def test_triton_stores_vectors_into_aligned_shards(
    gpu: torch.device, draw: Any, dtype: str, columns: slice, whole: int
) -> None:
    """Every program of an aligned shard does; none of one that begins elsewhere in a block."""
    shape, index = (32, 64), (slice(None), columns)
    tensor = empty((32, 32), dtype, gpu)
    job = DrawJob(tensor, KINDS[2], 4, "w", region(shape, index))
    assert make_row(job).numbers[tables.WHOLE] == whole
    for most_fused in (0, MOST_FUSED):
        tensor.fill_(7)
        draw([job], most_fused, program=256)
        assert bits(tensor) == Stream(4, "w").draw(KINDS[2], shape, dtype, index).tobytes()


def test_triton_numbers_groups_in_64_bits_where_there_are_many(
    gpu: torch.device, draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel of more than 2**31 groups, on fewer."""
    shape, index = (5, 200), (slice(None), slice(3, 190))
    narrow, wide = empty((5, 187), "float32", gpu), empty((5, 187), "float32", gpu)
    draw([DrawJob(narrow, KINDS[2], 0, "a", region(shape, index))], most_fused=0)
    monkeypatch.setattr("fanin.streams._triton.MANY_GROUPS", 0)
    draw([DrawJob(wide, KINDS[2], 0, "a", region(shape, index))], most_fused=0)
    assert bits(narrow) == bits(wide) == Stream(0, "a").draw(KINDS[2], shape, index=index).tobytes()


def test_triton_tells_autograd_what_it_wrote(gpu: torch.device, draw: Any) -> None:
    parameter = torch.nn.Parameter(torch.zeros(8, device=gpu))
    version = parameter._version
    draw([DrawJob(parameter, KINDS[2], 0, "a", region((8,)))])
    assert parameter._version == version + 1
