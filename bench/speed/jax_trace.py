"""What a plan of a JAX model costs beside jax.make_jaxpr, which is a part of it, in CPU time.

    python -m bench.speed.jax_trace [--rounds 5] [--layers 12]

A transformer of Flax Linen, of 100 million parameters with 12 layers, on shapes alone.
"""

import argparse
import math
import statistics
import time
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from fanin import plan

WIDTH, HEADS, VOCABULARY, LENGTH = 768, 12, 20_000, 1024


class Block(nn.Module):
    """Attention and a perceptron, each behind a norm."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        h = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(HEADS)(h, mask=nn.make_causal_mask(x[..., 0]))
        h = nn.gelu(nn.Dense(4 * WIDTH)(nn.LayerNorm()(x)))
        return x + nn.Dense(WIDTH)(h)


class Transformer(nn.Module):
    """A language model, whose table is its head, too."""

    layers: int

    @nn.compact
    def __call__(self, tokens: Any) -> Any:
        table = nn.Embed(VOCABULARY, WIDTH)
        places = self.param("places", nn.initializers.normal(0.02), (LENGTH, WIDTH))
        x = table(tokens) + places[: tokens.shape[-1]]
        for _ in range(self.layers):
            x = Block()(x)
        return table.attend(nn.LayerNorm()(x))


def measure(layers: int, rounds: int) -> dict[str, float]:
    """Median seconds of CPU time of each, in turns: what else a machine does is left out."""
    model, tokens = Transformer(layers), jax.ShapeDtypeStruct((2, LENGTH), jnp.int32)
    variables = jax.eval_shape(model.init, jax.random.key(0), tokens)
    sizes = [math.prod(leaf.shape) for leaf in jax.tree_util.tree_leaves(variables)]
    print(f"{sum(sizes) / 1e6:.1f} million parameters")
    ways = {
        "jax.make_jaxpr": lambda: jax.make_jaxpr(model.apply)(variables, tokens),
        "fanin.plan of the function": lambda: plan(model.apply, tokens, params=variables),
        "fanin.plan of the module": lambda: plan(model, tokens, params=variables),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            start = time.process_time()
            run()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=12)
    arguments = parser.parse_args()
    table = Table("", "seconds")
    for name, seconds in measure(arguments.layers, arguments.rounds).items():
        table.add_row(name, f"{seconds:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
