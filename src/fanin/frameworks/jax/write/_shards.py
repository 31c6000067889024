"""Shards: an array drawn by the devices that hold it, each its own part."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from fanin.errors import FaninError, one_line
from fanin.frameworks.jax.tree._held import is_abstract
from fanin.streams import Array


def make_array(value: Any, draw: Callable[[Any], Array]) -> jax.Array:
    """A new array where `value` lies or is to lie; `draw` gives the values of an index.

    Without a sharding it is an uncommitted array of the default device, as layers make theirs.
    """
    sharding = sharding_of(value)
    if sharding is None or _is_uncommitted(value):
        return jax.numpy.asarray(draw((...,)))
    shape = tuple(value.shape)
    places = sharding.addressable_devices_indices_map(shape)
    copies: dict[tuple[Any, ...], list[Any]] = {}
    for device, index in places.items():
        copies.setdefault(_bounds(index), []).append(device)
    # One part after the other, each waited for: jax.make_array_from_callback of JAX 0.12 holds all
    # that it was given until all is on the devices.
    pieces: dict[Any, jax.Array] = {}
    for devices in copies.values():
        pieces |= _put(draw(places[devices[0]]), devices, sharding.memory_kind)
    ordered = [pieces[device] for device in places]
    return jax.make_array_from_single_device_arrays(shape, sharding, ordered, dtype=value.dtype)


def _bounds(index: Any) -> tuple[Any, ...]:
    """The index of a part as what can be a key."""
    return tuple((item.start, item.stop) for item in index)


def _put(values: Array, devices: Iterable[Any], kind: str | None) -> dict[Any, jax.Array]:
    """The same values on each of these devices."""
    made = {}
    for device in devices:
        place = jax.sharding.SingleDeviceSharding(device, memory_kind=kind)
        made[device] = jax.device_put(values, place).block_until_ready()
    return made


def _is_uncommitted(value: Any) -> bool:
    """Whether JAX may move it: an array that nobody has put onto a device."""
    return not is_abstract(value) and not getattr(value, "committed", True)


def parts(value: Any) -> Iterator[tuple[Any, Array]]:
    """What this process holds of an array: every different part once, with its index."""
    if not isinstance(value, jax.Array):
        yield (...,), np.asarray(value)
        return
    seen = set()
    for shard in value.addressable_shards:
        index = shard.index
        key = _bounds(index)
        if key not in seen:
            seen.add(key)
            yield index, np.asarray(shard.data)


def sharding_of(value: Any) -> Any:
    """How an array is, or is to be laid out; over the devices of jax.set_mesh, where it names none.

    None where nothing says so.
    """
    sharding: Any = getattr(value, "sharding", None)
    if not isinstance(getattr(sharding, "mesh", None), jax.sharding.AbstractMesh):
        return sharding
    mesh = jax.sharding.get_mesh()
    if mesh.empty or mesh.abstract_mesh != sharding.mesh:
        return sharding
    return jax.sharding.NamedSharding(mesh, sharding.spec)


def check_sharding(name: str, value: Any) -> None:
    """FaninError for a sharding that cannot hold an array of this shape."""
    sharding = sharding_of(value)
    if sharding is None:
        return
    shape = tuple(value.shape)
    if isinstance(getattr(sharding, "mesh", None), jax.sharding.AbstractMesh):
        raise FaninError(
            f"{name} of shape {shape} is to be laid out as {sharding.spec} over a mesh without "
            f"devices, {dict(sharding.mesh.shape)}. Call this under jax.set_mesh(mesh), with the "
            "mesh of devices that it was made abstract under."
        )
    try:
        sharding.shard_shape(shape)
    except ValueError as error:
        raise FaninError(
            f"{name} of shape {shape} cannot be laid out as its sharding says: {one_line(error)}. "
            "Pad the size, shard another axis, or replicate it."
        ) from None
