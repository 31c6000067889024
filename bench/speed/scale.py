"""A model of 10**12 parameters on 4,096 ranks: what each rank draws, and what else it might do.

    python -m bench.speed.scale [--ranks 64]

The shapes are those of Kimi K2 (a mixture of 384 experts), by arithmetic; no model is built. The
mesh is 64 x 64: a rank (e, f) holds the rows of block f of six of each layer's 384 experts, and of
every other matrix the tile of row block f and column block e. The shards of `--ranks` of the ranks
are drawn in turn, each into memory of its own size, and hashed; then the first layer is put
together from all of its shards, and has to have the hash of the layer drawn at once. Prints what
docs/scale.md shows: the costs of an element, in time of a core, which other programs on the machine
disturb least, and what follows for ways to start such a model.
"""

import argparse
import hashlib
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from fanin._progress import progress
from fanin.initializers import Elementwise, lecun_normal, normal, ones
from fanin.streams import Array

WIDTH, LAYERS, VOCABULARY, HEADS = 7168, 61, 163_840, 64
EXPERTS, EXPERT_WIDTH, DENSE_WIDTH = 384, 2048, 18_432
QUERY_RANK, KEY_RANK, NO_POSITION, ROTARY, VALUE = 1536, 512, 128, 64, 128
SIDE = 64  # of the mesh
RANKS = SIDE * SIDE
DTYPE, BYTES, SEED = "bfloat16", 2, 0
BANDWIDTHS = 25, 50, 400  # GB/s that leave a rank: assumed


class Weight(NamedTuple):
    """A parameter: its name, the shape of the whole, and which expert's it is, if one's."""

    name: str
    shape: tuple[int, ...]
    initializer: Elementwise
    expert: int | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def draw(self, part: tuple[slice, ...] | None, out: Array | None = None) -> Array:
        how = {"seed": SEED, "name": self.name, "dtype": DTYPE, "out": out}
        return self.initializer(self.shape, index=part, **how)


def _mlp(name: str, width: int, expert: int | None = None) -> Iterator[Weight]:
    for part in ("gate_proj", "up_proj"):
        yield Weight(f"{name}.{part}.weight", (width, WIDTH), lecun_normal(), expert)
    yield Weight(f"{name}.down_proj.weight", (WIDTH, width), lecun_normal(), expert)


def layer(number: int) -> Iterator[Weight]:
    """The parameters of a layer; the first is dense."""
    name = f"model.layers.{number}"
    for part, shape in {
        "q_a_proj": (QUERY_RANK, WIDTH),
        "q_b_proj": (HEADS * (NO_POSITION + ROTARY), QUERY_RANK),
        "kv_a_proj_with_mqa": (KEY_RANK + ROTARY, WIDTH),
        "kv_b_proj": (HEADS * (NO_POSITION + VALUE), KEY_RANK),
        "o_proj": (WIDTH, HEADS * VALUE),
    }.items():
        yield Weight(f"{name}.self_attn.{part}.weight", shape, lecun_normal())
    for part, width in {
        "self_attn.q_a_layernorm": QUERY_RANK,
        "self_attn.kv_a_layernorm": KEY_RANK,
        "input_layernorm": WIDTH,
        "post_attention_layernorm": WIDTH,
    }.items():
        yield Weight(f"{name}.{part}.weight", (width,), ones())
    if number == 0:
        yield from _mlp(f"{name}.mlp", DENSE_WIDTH)
        return
    yield Weight(f"{name}.mlp.gate.weight", (EXPERTS, WIDTH), lecun_normal())
    yield from _mlp(f"{name}.mlp.shared_experts", EXPERT_WIDTH)
    for expert in range(EXPERTS):
        yield from _mlp(f"{name}.mlp.experts.{expert}", EXPERT_WIDTH, expert)


def model() -> Iterator[Weight]:
    yield Weight("model.embed_tokens.weight", (VOCABULARY, WIDTH), normal(std=0.02))
    for number in range(LAYERS):
        yield from layer(number)
    yield Weight("model.norm.weight", (WIDTH,), ones())
    yield Weight("lm_head.weight", (VOCABULARY, WIDTH), lecun_normal())


def part_of(weight: Weight, rank: int) -> tuple[slice, ...] | None:
    """What a rank holds of a weight; None for nothing."""
    column, row = divmod(rank, SIDE)
    if weight.expert is not None:
        return (_block(weight.shape[0], row),) if weight.expert % SIDE == column else None
    return tuple(map(_block, weight.shape, (row, column)))


def _block(size: int, number: int) -> slice:
    step = size // SIDE
    assert step * SIDE == size, f"{SIDE} blocks do not divide {size}"
    return slice(number * step, (number + 1) * step)


def _shape(weight: Weight, part: tuple[slice, ...]) -> tuple[int, ...]:
    sizes = [each.stop - each.start for each in part]
    return (*sizes, *weight.shape[len(sizes) :])


def draw_rank(weights: list[Weight], rank: int) -> tuple[int, float, float, str]:
    """Values of a rank, seconds of the draws on the clock and of all CPUs, and the hash."""
    parts = [(weight, part_of(weight, rank)) for weight in weights]
    held = [(weight, part, _shape(weight, part)) for weight, part in parts if part is not None]
    memory = np.empty(sum(int(np.prod(shape)) for _, _, shape in held), np.uint16)
    start, cpu, at = time.perf_counter(), time.process_time(), 0
    for weight, part, shape in held:
        size = int(np.prod(shape))
        weight.draw(part, memory[at : at + size].reshape(shape))
        at += size
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return at, seconds, cpu, hashlib.sha256(memory).hexdigest()


def reassemble(weights: list[Weight], advance: Callable[[int], object]) -> tuple[int, str, str]:
    """Values of these weights, and the hash of them whole and of them from all ranks' shards."""
    whole, together, size = hashlib.sha256(), hashlib.sha256(), 0
    for weight in weights:
        values = weight.draw(None).view(np.uint16)
        whole.update(values)
        values.fill(0)
        for rank in range(RANKS):
            part = part_of(weight, rank)
            if part is not None and (len(weight.shape) > 1 or rank < SIDE):
                values[part] = weight.draw(part).view(np.uint16)
        together.update(values)
        size += weight.size
        advance(weight.size)
    return size, whole.hexdigest(), together.hexdigest()


def torch_cost() -> float:
    """Nanoseconds of a core for an element of torch's own normal_."""
    import torch

    values, times = torch.empty(1 << 25), []
    for _ in range(4):
        start = time.process_time()
        values.normal_()
        times.append(time.process_time() - start)
    return statistics.median(times[1:]) / values.numel() * 1e9


def _time(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"


def tell(size: int, largest: int, share: int, cost: float, torch_ns: float) -> Iterator[str]:
    """The table of the ways, from the costs of an element."""
    whole = size * BYTES
    yield "| way | a rank draws | time of one core | memory beside the shard | traffic |"
    yield "| --- | --- | --- | --- | --- |"
    yield f"| fanin, its own shard | {share:,} | {_time(share * cost / 1e9)} | 0 | 0 |"
    for who, ns in (("fanin", cost), ("torch", torch_ns)):
        yield (
            f"| {who}, everything everywhere | {size:,} | {_time(size * ns / 1e9)} | "
            f"{largest * BYTES / 1e9:.1f} GB, one weight at a time | 0 |"
        )
    yield (
        f"| torch, rank 0 draws and scatters | {size:,}, the others wait | "
        f"{_time(size * torch_ns / 1e9)} | {largest * BYTES / 1e9:.1f} GB on rank 0 | "
        f"{whole / 1e12:.2f} TB leave rank 0 |"
    )
    yield (
        f"| torch, rank 0 draws and broadcasts | {size:,}, the others wait | "
        f"{_time(size * torch_ns / 1e9)} | {largest * BYTES / 1e9:.1f} GB on every rank | "
        f"{whole / 1e12:.2f} TB into every rank |"
    )
    yield ""
    yield "| assumed bandwidth of a rank | the traffic alone, scattered or broadcast |"
    yield "| --- | --- |"
    for bandwidth in BANDWIDTHS:
        yield f"| {bandwidth} GB/s | {_time(whole / bandwidth / 1e9)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ranks", type=int, default=64, help="to draw, of 4,096 (default 64)")
    ranks = range(0, RANKS, RANKS // parser.parse_args().ranks + 1)
    weights = [*model()]
    size = sum(weight.size for weight in weights)
    first = [*layer(0)]
    drawn = []
    steps = size // RANKS * len(ranks) + sum(weight.size for weight in first)
    with progress("drawing shards", steps) as advance:
        for rank in ranks:
            drawn.append(draw_rank(weights, rank))
            advance(drawn[-1][0])
        assembled, whole, together = reassemble(first, advance)
    shares, times, cpu_times, hashes = zip(*drawn, strict=True)
    share, seconds, cpu = map(statistics.median, (shares, times, cpu_times))
    cost, torch_ns = cpu / share * 1e9, torch_cost()
    of_hashes = hashlib.sha256("".join(hashes).encode()).hexdigest()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{size:,} parameters in {len(weights):,} weights; {len(drawn)} of {RANKS:,} ranks drawn, "
        f"{sum(shares):,} values.\n"
        f"A rank: {share:,.0f} values, {seconds:.2f} s ({min(times):.2f} to "
        f"{max(times):.2f}), {cpu:.2f} s of a core, "
        f"{cost:.2f} ns a value; torch's normal_ {torch_ns:.2f} ns.\n"
        f"Hash of the ranks' hashes: {of_hashes}\n"
        f"Layer 0, {assembled:,} values from {RANKS:,} shards: {together}\n"
        f"drawn at once: {whole}, {'the same' if whole == together else 'NOT THE SAME'}\n"
        f"Peak memory {peak:.2f} GiB; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} "
        "CPUs.\n"
    )
    print(*tell(size, VOCABULARY * WIDTH, int(share), cost, torch_ns), sep="\n")
    assert whole == together


if __name__ == "__main__":
    main()
