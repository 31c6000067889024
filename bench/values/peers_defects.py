"""What other libraries' initializers do that a user would not expect: docs/peers.md.

KERAS_BACKEND is torch unless it is set. timm is looked at where it is installed.
"""

import importlib.util
import math
import os
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

os.environ.setdefault("KERAS_BACKEND", "torch")

import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from fanin import initializers

MILLION = 10**6
MANY = 2**28
CHUNK = 2**24


def timm_weight_init() -> ModuleType | None:
    """timm's file of initializers, without the rest of timm."""
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "layers" / "weight_init.py"
    spec = importlib.util.spec_from_file_location("timm_weight_init", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def torch_bounds() -> str:
    drawn = torch.nn.init.trunc_normal_(torch.empty(MILLION), std=0.02).numpy()
    outside = np.mean(np.abs(drawn) > 2 * 0.02)
    largest = np.abs(drawn).max() / 0.02
    return f"{outside:.2%} beyond 2 std (a plain normal: 4.55%), the largest at {largest:.2f} std"


def torch_narrow() -> str:
    drawn = torch.nn.init.trunc_normal_(torch.empty(MILLION), std=0.02, a=-0.04, b=0.04).numpy()
    largest, std = np.abs(drawn).max() / 0.02, drawn.std() / 0.02
    return f"the largest at {largest:.4f} std; std {std:.4f} of the one before truncation"


def torch_sparse() -> str:
    first, second = (
        torch.nn.init.sparse_(
            torch.empty(100, 100), 0.5, generator=torch.Generator().manual_seed(1)
        )
        for _ in range(2)
    )
    same = ((first == 0) == (second == 0)).float().mean().item()
    return (
        f"two calls with equal generators agree in {same:.1%} of the places of zeros (chance: 50%)"
    )


def timm_tails(module: ModuleType | None) -> str:
    if module is None:
        return "timm is not installed"
    clamped, largest, least = 0, 0.0, 0.0
    buffer = torch.empty(CHUNK)
    for seed in range(MANY // CHUNK):
        torch.manual_seed(seed)
        module.trunc_normal_(buffer, std=0.02)
        inside = buffer[buffer.abs() < 2] / 0.02
        clamped += CHUNK - inside.numel()
        largest, least = max(largest, inside.max().item()), min(least, inside.min().item())
    return (
        f"{clamped} of 2**28 values are -2 or 2, which is 100 std out; the others lie in "
        f"[{least:.2f}, {largest:.2f}] std"
    )


def timm_steps(module: ModuleType | None) -> str:
    """How many different values lie beyond 5 std of the untruncated normal."""
    if module is None:
        return "timm is not installed"
    seen: set[float] = set()
    buffer, count = torch.empty(CHUNK), 0
    for seed in range(MANY // CHUNK):
        torch.manual_seed(seed)
        module.trunc_normal_(buffer, a=-8.0, b=8.0)
        far = buffer[buffer > 4.9]
        count += far.numel()
        seen.update(far.tolist())
    return f"{count} values beyond +4.9 std of 2**28 are {len(seen)} different numbers"


def jax_complex(distribution: str) -> str:
    init = jax.nn.initializers.variance_scaling(1.0, "fan_in", distribution, dtype=jnp.complex64)
    drawn = np.asarray(init(jax.random.key(0), (1000, 4000)))
    std = math.sqrt(np.mean(np.abs(drawn.astype(np.complex128)) ** 2) * 1000)
    return f"std {std:.5f} of the one asked for (4 * 10**6 values: standard error 0.0003)"


def jax_wide() -> str:
    far = []
    for seed in range(MANY // CHUNK):
        key = jax.random.key(seed)
        drawn = np.asarray(jax.random.truncated_normal(key, -1000.0, 1000.0, (CHUNK,)))
        far.extend(drawn[np.abs(drawn) > 7].tolist())
    return (
        f"{len(far)} of 2**28 values are beyond 7 std where the bounds are +-1000 (a normal has "
        f"0.0007), from {min(far, default=0):.4f} to {max(far, default=0):.4f}"
    )


def jax_bfloat16() -> str:
    worst = 0.0
    for fan in range(200, 300):
        init = jax.nn.initializers.he_normal()
        drawn = np.asarray(init(jax.random.key(fan), (fan, 4000), jnp.bfloat16)).astype(np.float64)
        worst = max(worst, abs(drawn.std() / math.sqrt(2 / fan) - 1), key=abs)
    return f"std off by up to {worst:.2%} for fan_in 200 to 299 (standard error below 0.08%)"


def fanin_bfloat16() -> str:
    worst = 0.0
    for fan in range(200, 300):
        init = initializers.he_truncated_normal()
        drawn = init((fan, 4000), seed=fan, name="w", axes="in out", dtype="bfloat16")
        worst = max(worst, abs(drawn.astype(np.float64).std() / math.sqrt(2 / fan) - 1))
    return f"std off by up to {worst:.2%} in the same shapes"


def keras_leak() -> str:
    outside, largest, draws = 0, 0.0, 20
    for seed in range(draws):
        drawn = np.asarray(keras.initializers.TruncatedNormal(stddev=1.0, seed=seed)((MILLION,)))
        outside += int((np.abs(drawn) > 2).sum())
        largest = max(largest, float(np.abs(drawn).max()))
    expected = draws * MILLION * math.erfc(math.sqrt(2)) ** 4
    return (
        f"{outside} of {draws} million values beyond 2 std ({expected:.0f} expected), the largest "
        f"at {largest:.2f}"
    )


def keras_seeds() -> str:
    def draw(generator: keras.random.SeedGenerator) -> np.ndarray:
        return np.asarray(keras.initializers.RandomNormal(seed=generator)((1000,)))

    five, six = keras.random.SeedGenerator(5), keras.random.SeedGenerator(6)
    draw(five)
    return f"seed 5's second call equals seed 6's first: {np.array_equal(draw(five), draw(six))}"


def keras_one_axis() -> str:
    drawn = np.asarray(keras.initializers.HeNormal(seed=0)((MILLION,)))
    return (
        f"HeNormal of shape (10**6,) has std {drawn.std() * 1000:.3f} / 1000 = sqrt(2 / its length)"
    )


def main() -> None:
    """Print a table of what was seen."""
    torch.manual_seed(0)
    timm = timm_weight_init()
    table = Table("function", "what was seen", show_lines=True)
    for function, seen in (
        ("torch trunc_normal_(std=0.02)", torch_bounds()),
        ("torch trunc_normal_(std=0.02, a=-0.04, b=0.04)", torch_narrow()),
        ("torch sparse_(generator=...)", torch_sparse()),
        ("timm trunc_normal_(std=0.02)", timm_tails(timm)),
        ("timm trunc_normal_(a=-8, b=8)", timm_steps(timm)),
        ("jax variance_scaling, complex64, truncated_normal", jax_complex("truncated_normal")),
        ("jax variance_scaling, complex64, normal", jax_complex("normal")),
        ("jax variance_scaling, complex64, uniform", jax_complex("uniform")),
        ("jax.random.truncated_normal(-1000, 1000)", jax_wide()),
        ("jax he_normal, bfloat16", jax_bfloat16()),
        ("fanin he_truncated_normal, bfloat16", fanin_bfloat16()),
        (f"keras TruncatedNormal on {keras.backend.backend()}", keras_leak()),
        (f"keras SeedGenerator on {keras.backend.backend()}", keras_seeds()),
        ("keras HeNormal of one axis", keras_one_axis()),
    ):
        table.add_row(function, seen)
    Console(width=150).print(table)
    names = ["torch", "jax", "keras", *(["timm"] if timm else [])]
    print("Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in names))


if __name__ == "__main__":
    main()
