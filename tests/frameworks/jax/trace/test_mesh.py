"""Programs on meshes: eight devices' shards are followed as the whole arrays that they make up."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec as P

jax.config.update("jax_num_cpu_devices", 8)
sys.path.insert(0, sys.argv[1])
from conftest import make_program

from fanin.frameworks.jax.trace._trace import trace

mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def show(body, specs, shapes):
    def model(p, x):
        inner = jax.shard_map(body, mesh=mesh, in_specs=specs, out_specs=P("data"))
        return inner(*p.values(), x)

    graph = trace(make_program(model, shapes, (4, 8), held={}))
    print(*(f"{node.op}:{node.label}" for node in graph.nodes[1:]))
    print(*(node.param.fan_in(shapes[node.param.name]) for node in graph.nodes if node.param))


def split(a, b, x):
    return jax.lax.psum(jax.nn.relu(x @ a) @ b, "model")


def batch(w, x):
    h = x @ w
    mean = jax.lax.pmean(h.mean(0), "data")
    variance = jax.lax.pmean(jnp.square(h).mean(0), "data") - mean * mean
    return (h - mean) * jax.lax.rsqrt(variance + 1e-5)


def gather(w, x):
    return x @ jax.lax.all_gather(w, "model", axis=0, tiled=True)


show(split, (P(None, "model"), P("model"), P("data")), {"a": (8, 32), "b": (32, 8)})
show(batch, (P(), P("data")), {"w": (8, 16)})
show(lambda w, x: jax.lax.pmean(x @ w, "model"), (P(), P("data")), {"w": (8, 16)})
"""


def test_shards_are_followed_as_the_whole() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "linear:dot_general pointwise:relu linear:dot_general",
        "8 32",
        "linear:dot_general normalize:batch_norm",
        "8",
        "linear:dot_general mean:mean",
        "8",
    ]
