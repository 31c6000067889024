"""Shards: every device draws its own part, with the bits that one device would draw."""

import os
import socket
import subprocess
import sys
import textwrap

HEAD = """
import sys
import numpy as np
import jax, jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec as P
from jax.experimental import mesh_utils
import fanin
from fanin import FaninError


def laid(shape, spec, dtype="float32"):
    return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, P(*spec)))


def equal(array, other):
    assert np.asarray(array).tobytes() == np.asarray(other).tobytes()


def refused(words, call):
    try:
        call()
    except FaninError as error:
        assert words in str(error), error
    else:
        raise SystemExit("no error: " + words)
"""


def run(code: str, devices: int, *arguments: str) -> subprocess.Popen[str]:
    flags = f"--xla_force_host_platform_device_count={devices}"
    env = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "FANIN_NUM_THREADS": "1"}
    command = [sys.executable, "-c", HEAD + textwrap.dedent(code), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def finish(*processes: subprocess.Popen[str]) -> str:
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert not any(process.returncode for process in processes), "\n".join(outputs)[-2000:]
    return "".join(outputs)


def test_functions_and_equinox_on_8_devices() -> None:
    code = """
    import equinox as eqx
    mesh = jax.make_mesh((4, 2), ("data", "model"))
    tree = {
        "rows": laid((16, 6), ("data", None)),
        "columns": laid((3, 8), (None, "model"), "bfloat16"),
        "both": laid((8, 4, 2), ("data", "model")),
        "all": laid((8, 8), (("data", "model"),)),
        "copied": laid((5, 3), ()),
    }
    apply = lambda params, x: x
    how = {"*": "normal(std=0.1)"}
    params, plan = fanin.initialize_params(apply, tree, seed=7, overrides=how)
    whole = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
    single, other = fanin.initialize_params(apply, whole, seed=7, overrides=how)
    assert plan.rows == other.rows
    for name, array in params.items():
        assert array.sharding == tree[name].sharding, name
        equal(array, single[name])
    plan.verify(apply, params=params)
    assert plan.audit(apply, params=params).ok

    asked = []
    from fanin.frameworks.jax.write._slot import Slot
    draw = Slot.draw
    def noted(self, initializer, seed, axes, index=None):
        asked.append((self.param.name, index))
        return draw(self, initializer, seed, axes, index)
    Slot.draw = noted
    fanin.initialize_params(apply, tree, seed=7, overrides=how)
    Slot.draw = draw
    rows = [index for name, index in asked if name == "rows"][1:]  # the first is a rehearsal
    parts = set(map(repr, tree["rows"].sharding.devices_indices_map((16, 6)).values()))
    assert set(map(repr, rows)) == parts, rows
    assert len(rows) == len(parts), rows  # copies of a part are drawn once

    abstract = eqx.filter_eval_shape(eqx.nn.Linear, 16, 8, key=jax.random.key(0))
    spread = jax.tree.map(lambda leaf: laid(leaf.shape, ("model",)), abstract)
    for each in ("he_normal", "orthogonal"):
        module, plan = fanin.initialize_params(spread, seed=7, initializer=each)
        whole, _ = fanin.initialize_params(abstract, seed=7, initializer=each)
        equal(module.weight, whole.weight)
        plan.verify(module)
    assert len(module.weight.addressable_shards) == 8

    uneven = {"w": laid((10, 3), ("data",))}
    refused("cannot be laid out as its sharding says",
            lambda: fanin.initialize_params(apply, uneven, overrides=how))
    """
    finish(run(code, 8))


def test_flax_on_8_devices() -> None:
    code = """
    import flax.linen as nn
    from flax import nnx
    mesh = jax.make_mesh((8,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))
    x = jnp.ones((1, 16))
    init = nnx.initializers.lecun_normal()

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.wide = nnx.Linear(16, 32, kernel_init=nnx.with_partitioning(init, (None, "model")),
                                   rngs=rngs)
            self.norm = nnx.BatchNorm(32, rngs=rngs)
        def __call__(self, x):
            return self.norm(self.wide(x))

    make = lambda: Net(nnx.Rngs(0))
    with jax.set_mesh(mesh):
        model = nnx.eval_shape(make)
        concrete = make()
        # What tells an abstract model its shardings, which later Flax has.
        model = nnx.as_abstract(model) if hasattr(nnx, "as_abstract") else make()
        plan = fanin.initialize(model, seed=5)
        fanin.initialize(concrete, seed=5)
    pair = nnx.get_abstract_model(make, mesh)
    fanin.initialize(pair, seed=5)
    with nnx.use_eager_sharding(False):
        alone = nnx.Linear(16, 32, rngs=nnx.Rngs(0))
        class Alone(nnx.Module):
            def __init__(self):
                self.wide = alone
                self.norm = nnx.BatchNorm(32, rngs=nnx.Rngs(0))
        single = Alone()
    fanin.initialize(single, seed=5)
    for found in (model, concrete, nnx.merge(*pair)):
        kernel = found.wide.kernel.get_raw_value()
        assert kernel.addressable_shards[0].data.shape == (16, 4), kernel.sharding
        equal(kernel, single.wide.kernel.get_raw_value())
        plan.verify(found)
    with jax.set_mesh(mesh):
        late = nnx.eval_shape(make)
    if hasattr(nnx, "as_abstract"):
        refused("over a mesh without devices", lambda: fanin.initialize(late))
    with nnx.use_eager_sharding(False):
        unmeshed = nnx.eval_shape(make)
    if hasattr(nnx, "as_abstract"):
        refused("is to be laid out as (None, 'model'), and has no mesh",
                lambda: fanin.initialize(unmeshed))

    for annotate, names in ((nn.with_partitioning, (None, "model")),
                            (nn.with_logical_partitioning, ("embed", "mlp"))):
        model = nn.Dense(32, kernel_init=annotate(init, names))
        abstract = jax.eval_shape(model.init, jax.random.key(0), x)
        with jax.set_mesh(mesh), nn.logical_axis_rules((("mlp", "model"), ("embed", None))):
            variables, plan = fanin.initialize_params(model, abstract, seed=5)
            plan.verify(model, params=variables)
        box = variables["params"]["kernel"]
        assert box.names == names
        assert box.value.addressable_shards[0].data.shape == (16, 4), box.value.sharding
        plain = nn.Dense(32)
        whole, _ = fanin.initialize_params(plain, plain.init(jax.random.key(0), x), seed=5)
        equal(box.value, whole["params"]["kernel"])
    """
    finish(run(code, 8))


TABLE = """
mesh = jax.make_mesh((8,), ("rows",))
apply = lambda params, x: x
tree = {"table": laid((2**20, 64), ("rows",))}
how = {"*": "normal(std=0.02)"}
fanin.initialize_params(apply, {"table": laid((8, 64), ("rows",))}, overrides=how)
status = lambda key: int(open("/proc/self/status").read().split(key + ":")[1].split()[0])
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = status("VmRSS")
params, plan = fanin.initialize_params(apply, tree, seed=3, overrides=how)
peak = status("VmHWM") - before
held = sum(shard.data.nbytes for shard in params["table"].addressable_shards) >> 10
shard = 2**20 * 64 * 4 // 8 >> 10
print("over what is held, in shards:", round((peak - held) / shard, 2), flush=True)
assert peak - held < 1.5 * shard, (peak, held, shard)
for part in params["table"].addressable_shards[:2]:
    drawn = fanin.initializers.normal(std=0.02)(
        (2**20, 64), seed=3, name="table", index=part.index)
    equal(part.data, drawn)
"""


def test_drawing_a_large_table_takes_the_memory_of_a_shard_more() -> None:
    assert "in shards" in finish(run(TABLE, 8))


def test_two_processes_draw_what_one_would_and_say_nothing_to_each_other() -> None:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    code = """
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
assert len(jax.devices()) == 8 and len(jax.local_devices()) == 4
"""
    code += TABLE + textwrap.dedent(
        """
    assert not params["table"].is_fully_addressable
    plan.verify(apply, params=params)
    assert plan.audit(apply, params=params).ok
    import equinox as eqx
    abstract = eqx.filter_eval_shape(eqx.nn.Linear, 16, 8, key=jax.random.key(0))
    spread = jax.tree.map(lambda leaf: laid(leaf.shape, ("rows",)), abstract)
    module, plan = fanin.initialize_params(spread, seed=7, inputs=jnp.ones(16))
    plan.verify(module)
    again, _ = plan.apply_params(module, seed=8)
    plan.verify(again, seed=8)
    jax.distributed.shutdown()
    """
    )
    finish(*(run(code, 4, address, str(number)) for number in range(2)))
