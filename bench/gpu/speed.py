"""The streams on a GPU: bits, speed beside torch and CuPy, and models initialized there.

    python -m bench.gpu.speed [--values 1000000000] [--rounds 20]
    TRITON_INTERPRET=1 python -m bench.gpu.speed      # no GPU: tries the script, measures nothing

On a GPU it prints, in this order: whether the bits are the CPU kernel's, over so many values and
at addresses beyond 2**32; the time of draws beside torch.nn.init, CuPy's Philox and a fill; the
10000-5000-1000-10 network, initialized and trained for ten epochs; and a transformers model of
three billion parameters, initialized from empty weights (where transformers is installed). Without
a GPU the kernels are interpreted on the CPU: the script runs through, and no time is printed.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import fanin
from fanin import Stream
from fanin.streams import Distribution, Normal, TruncatedNormal, Uniform, backend
from fanin.streams._address import region
from fanin.streams._triton import DrawJob, draw_many, is_interpreted

REAL = torch.cuda.is_available()
DEVICE = torch.device("cuda" if REAL else "cpu")
DRAWS: dict[str, Distribution] = {
    "normal": Normal(0.0, 1.0),
    "uniform": Uniform(0.0, 1.0),
    "truncated normal": TruncatedNormal(0.0, 1.0, -2.0, 2.0),
}
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
WHOLE = 2**62  # elements of the tensor that slices are taken from
CHUNK = 1 << 26 if REAL else 1 << 12

console = Console()


def draw(tensor: torch.Tensor, distribution: Distribution, start: int = 0) -> None:
    """Fill a flat tensor with the values from address `start` on."""
    where = region((WHOLE,), slice(start, start + tensor.numel()))
    draw_many([DrawJob(tensor, distribution, 7, "weight", where)])


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


# ---- bits ----------------------------------------------------------------------------------


def different(distribution: Distribution, dtype: torch.dtype, start: int, count: int) -> int:
    """How many of so many values differ from those of the CPU kernel."""
    result = 0
    for first in range(start, start + count, CHUNK):
        size = min(CHUNK, start + count - first)
        tensor = torch.empty(size, dtype=dtype, device=DEVICE)
        draw(tensor, distribution, first)
        expected = torch.empty(size, dtype=dtype)
        bits = expected.view(BITS[dtype.itemsize]).numpy()
        out = bits.view("uint16" if dtype.itemsize == 2 else name_of(dtype))
        where = slice(first, first + size)
        Stream(7, "weight").draw(distribution, WHOLE, name_of(dtype), where, out)
        same = tensor.view(BITS[dtype.itemsize]) == expected.to(DEVICE).view(BITS[dtype.itemsize])
        result += size - int(same.sum())
    return result


def compare_bits(values: int) -> None:
    """All the values once, the far and unaligned addresses for every draw and dtype."""
    table = Table(title=f"Bits beside the CPU's back end {backend()}")
    for title in ("draw", "dtype", "first address", "values", "different"):
        table.add_column(title, justify="right")
    plan = [("normal", torch.float32, 0, values)]
    plan += [(kind, torch.float32, 2**32 - 5, values // 100) for kind in DRAWS]
    plan += [(kind, dtype, 2**45 + 3, values // 100) for kind in DRAWS for dtype in DTYPES]
    for kind, dtype, start, count in plan:
        found = different(DRAWS[kind], dtype, start, count)
        table.add_row(kind, name_of(dtype), f"{start:,}", f"{count:,}", f"{found:,}")
    console.print(table)


# ---- speed ---------------------------------------------------------------------------------


def contenders(tensor: torch.Tensor) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Draw, who, and what fills the tensor."""
    init = nn.init
    yield "fill", "torch", lambda: tensor.fill_(1.5)
    for kind, distribution in DRAWS.items():
        yield kind, "fanin", lambda distribution=distribution: draw(tensor, distribution)
    yield "normal", "torch", lambda: init.normal_(tensor)
    yield "uniform", "torch", lambda: init.uniform_(tensor)
    yield "truncated normal", "torch", lambda: init.trunc_normal_(tensor)
    try:
        import cupy
    except ImportError:
        return
    if tensor.dtype == torch.float32:
        out = cupy.from_dlpack(tensor)
        generator = cupy.random.Generator(cupy.random.Philox4x3210(7))
        yield (
            "normal",
            "CuPy, Philox",
            lambda: generator.standard_normal(out.shape, dtype=cupy.float32, out=out),
        )
        yield (
            "uniform",
            "CuPy, Philox",
            lambda: generator.random(out.shape, dtype=cupy.float32, out=out),
        )


def seconds(run: Callable[[], object]) -> float:
    """The device's time for one call."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def compare_speed(dtype: torch.dtype, values: int, rounds: int) -> None:
    """The contenders in turn, round by round; medians."""
    tensor = torch.zeros(values, dtype=dtype, device=DEVICE)
    runs = list(contenders(tensor))
    times: dict[tuple[str, str], list[float]] = {(kind, who): [] for kind, who, _ in runs}
    for number in range(rounds + 2 if REAL else 1):
        for kind, who, run in runs:
            if not REAL:
                run()
            elif number < 2:  # compiling, and waking the clocks
                seconds(run)
            else:
                times[kind, who].append(seconds(run))
    table = Table(title=f"{values:,} values, {name_of(dtype)}, median of {rounds} rounds")
    for title in ("draw", "who", "ms", "GB/s", "of a fill's bandwidth", "time / fanin's"):
        table.add_column(title, justify="right")
    medians = {key: statistics.median(found) for key, found in times.items() if found}
    for kind, who in times:
        cells = ["not measured"] + [""] * 3
        if (kind, who) in medians:
            took = medians[kind, who]
            own = medians.get((kind, "fanin"))
            fill = medians["fill", "torch"]
            speed = tensor.nbytes / took / 1e9
            ratio = f"{took / own:.2f}" if own else ""
            cells = [f"{took * 1e3:.3f}", f"{speed:.0f}", f"{fill / took:.0%}", ratio]
        table.add_row(kind, who, *cells)
    console.print(table)


# ---- models --------------------------------------------------------------------------------


def wall(run: Callable[[], object]) -> tuple[Any, str]:
    """The result, and the seconds it took with all that was queued on the device."""
    if REAL:
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = run()
    if REAL:
        torch.cuda.synchronize()
    return result, f"{time.perf_counter() - start:.3f} s" if REAL else "not measured"


def train_network() -> None:
    """10000-5000-1000-10 on random inputs that a random linear teacher labels."""
    sizes = (10000, 5000, 1000, 10) if REAL else (100, 50, 10, 10)
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]).to(DEVICE)
    _, took = wall(lambda: fanin.initialize(model, seed=0))
    _, again = wall(lambda: fanin.initialize(model, seed=0))
    console.print(f"{'-'.join(map(str, sizes))} network: initialized in {took}, again in {again}")
    count = 8192 if REAL else 256
    inputs = torch.empty(count, sizes[0], device=DEVICE)
    draw(inputs.view(-1), DRAWS["normal"])
    teacher = torch.empty(sizes[0], 10, device=DEVICE)
    draw(teacher.view(-1), DRAWS["normal"], start=2**40)
    labels = (inputs @ teacher).argmax(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(10):
        total = 0.0
        for batch in range(0, count, 128):
            loss = nn.functional.cross_entropy(
                model(inputs[batch : batch + 128]), labels[batch : batch + 128]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total * 128 / count)
    console.print("trained for 10 epochs, mean loss of each:", *(f"{loss:.3f}" for loss in losses))


def initialize_transformer() -> None:
    """A causal language model of three billion parameters in bfloat16, from empty weights."""
    try:
        from transformers import AutoModelForCausalLM, LlamaConfig
    except ImportError:
        console.print("transformers is not installed: no model of it was initialized")
        return
    large = {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28}
    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 24, "num_key_value_heads": 8} if REAL else {}
    config = LlamaConfig(**(large if REAL else small), **heads, vocab_size=128256 if REAL else 512)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.to_empty(device=DEVICE)
    count = sum(parameter.numel() for parameter in model.parameters())
    _, took = wall(lambda: fanin.initialize(model, seed=0))
    console.print(f"transformers model of {count:,} parameters: initialized in {took}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    values = 10**9 if REAL else 10_000
    parser.add_argument("--values", type=int, default=values, help=f"default {values:,}")
    parser.add_argument("--rounds", type=int, default=20, help="times each is run (default 20)")
    args = parser.parse_args()
    if REAL:
        console.print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    elif is_interpreted():
        console.print("No GPU: interpreted on the CPU. Nothing below is a measurement.")
    else:
        parser.exit(2, "there is no CUDA device; TRITON_INTERPRET=1 tries the script without\n")
    compare_bits(args.values)
    for dtype in (torch.float32, torch.bfloat16):
        compare_speed(dtype, args.values // 4, args.rounds)
    train_network()
    initialize_transformer()


if __name__ == "__main__":
    main()
