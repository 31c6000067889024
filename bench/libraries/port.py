"""Port: one model in one library, and what fanin makes of it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import fanin

SEED = 7
LIBRARIES = ("torch", "equinox", "nnx", "linen", "keras")


class Ports(NamedTuple):
    """One model in all libraries.

    `make` gives it by library: a module, or of Equinox a module and its state. `inputs` and
    `labels` are a batch, images in torch's order. `renames` are pairs of a pattern and what it
    becomes, by library: they turn a library's names into torch's. `stored` says of a kernel by
    torch's name which axes it has in Flax and Keras, where these are not (kernel ..., in, out).
    `packs` makes torch's parameters of those of a library that has others.
    """

    make: Mapping[str, Callable[[], Any]]
    inputs: np.ndarray
    labels: np.ndarray
    renames: Mapping[str, tuple[tuple[str, str], ...]] = {}
    stored: Mapping[str, str] = {}
    packs: Mapping[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] = {}


class Drawn(NamedTuple):
    """A plan, every parameter as torch stores it, and the loss in train mode."""

    plan: fanin.Plan
    values: dict[str, np.ndarray]
    loss: float


def draw(ports: Ports, library: str) -> Drawn:
    """Initialize the model of a library under torch's names."""
    model = ports.make[library]()
    door = {"torch": _torch, "equinox": _equinox, "nnx": _nnx, "linen": _linen, "keras": _keras}
    plan, values, loss = door[library](model, ports)
    own = {row.name: row for row in plan.rows}
    turned = {name: _turn(library, ports, name, value) for name, value in values.items()}
    assert turned.keys() == own.keys()
    return Drawn(plan, turned, loss)


def _rename(library: str, ports: Ports, names: Any) -> dict[str, str]:
    """Torch's names by a library's."""
    found = {}
    for name in names:
        wanted = name
        for pattern, becomes in ports.renames.get(library, ()):
            wanted = re.sub(pattern, becomes, wanted)
        found[name] = wanted
    return found


def _turn(library: str, ports: Ports, name: str, value: np.ndarray) -> np.ndarray:
    """A parameter with torch's axes: what Flax and Keras store as (kernel ..., in, out)."""
    if library in ("torch", "equinox"):
        return value
    match next((how for end, how in ports.stored.items() if name.endswith(end)), ""):
        case "as torch":
            return value
        case "in heads":  # (in, heads, features)
            return value.reshape(value.shape[0], -1).T
        case "heads out":  # (heads, features, out)
            return value.reshape(-1, value.shape[-1]).T
        case "experts":  # (experts, in, out)
            return value.transpose(0, 2, 1)
    if value.ndim == 2 and name.endswith("bias"):  # of heads
        return value.reshape(-1)
    return np.moveaxis(value, (-1, -2), (0, 1)) if value.ndim > 1 else value


def _torch(model: Any, ports: Ports) -> tuple[fanin.Plan, dict[str, np.ndarray], float]:
    import torch

    x, labels = torch.from_numpy(ports.inputs), torch.from_numpy(ports.labels).long()
    plan = fanin.initialize(model, SEED, x)
    with torch.no_grad():
        logits = model(x)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten())
    own = {name: value.detach().numpy() for name, value in model.named_parameters()}
    return plan, own, float(loss)


def _equinox(model: Any, ports: Ports) -> tuple[fanin.Plan, dict[str, np.ndarray], float]:
    import jax

    model, *state = model if isinstance(model, tuple) else (model,)
    rename = _rename("equinox", ports, _names(fanin.plan(model)))
    model, plan = fanin.initialize_params(
        model, seed=SEED, inputs=(ports.inputs, *state), rename=rename
    )
    axes = (0, *(None for _ in state))
    run = jax.vmap(model, in_axes=axes, out_axes=axes if state else 0, axis_name="batch")
    logits = run(ports.inputs, *state)
    values = _values(model, rename)
    for name, value in values.items():
        if value.ndim > 2 and value.shape[1:] == (1,) * (value.ndim - 1):  # of a convolution
            values[name] = value.reshape(-1)
    return plan, values, _cross_entropy(logits[0] if state else logits, ports)


def _nnx(model: Any, ports: Ports) -> tuple[fanin.Plan, dict[str, np.ndarray], float]:
    x = _channels_last(ports.inputs)
    rename = _rename("nnx", ports, _names(fanin.plan(model)))
    plan = fanin.initialize(model, SEED, x, rename=rename)
    return plan, _values(model, rename), _cross_entropy(model(x), ports)


def _linen(model: Any, ports: Ports) -> tuple[fanin.Plan, dict[str, np.ndarray], float]:
    from fanin.frameworks._functional import Functional

    x = _channels_last(ports.inputs)
    rename = _rename("linen", ports, _names(fanin.plan(model, x)))
    variables, plan = fanin.initialize_params(model, seed=SEED, inputs=x, rename=rename)
    values = _values(Functional(model, variables, x), rename)
    mutable = [name for name in variables if name != "params"]
    logits = model.apply(variables, x, mutable=mutable)[0]
    return plan, values, _cross_entropy(logits, ports)


def _keras(model: Any, ports: Ports) -> tuple[fanin.Plan, dict[str, np.ndarray], float]:
    import keras

    x = _channels_last(ports.inputs)
    model(x)  # builds it
    rename = _rename("keras", ports, _names(fanin.plan(model)))
    plan = fanin.initialize(model, SEED, x, rename=rename)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    value = loss(ports.labels, model(x, training=True))
    return plan, _values(model, rename), float(keras.ops.convert_to_numpy(value))


def _names(plan: fanin.Plan) -> list[str]:
    return [row.name for row in plan.rows]


def _values(model: Any, rename: dict[str, str]) -> dict[str, np.ndarray]:
    """Every parameter as it is stored, by torch's name."""
    from fanin.frameworks import adapter_for

    slots = adapter_for(model).target(model, rename=rename).slots
    return {name: _as_array(slot) for name, slot in slots.items()}


def _as_array(slot: Any) -> np.ndarray:
    if hasattr(slot, "variable"):
        import keras

        return np.asarray(keras.ops.convert_to_numpy(slot.variable))
    return np.asarray(slot.value)


def _channels_last(inputs: np.ndarray) -> np.ndarray:
    return np.moveaxis(inputs, 1, -1) if inputs.ndim == 4 else inputs


def _cross_entropy(logits: Any, ports: Ports) -> float:
    import optax

    found = optax.losses.softmax_cross_entropy_with_integer_labels(logits, ports.labels)
    return float(found.mean())


def batch(*shape: int, classes: int, steps: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Normal noise, and a label for each example or each of its steps."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, *shape)).astype(np.float32)
    return x, rng.integers(0, classes, (8, *steps)).astype(np.int32)
