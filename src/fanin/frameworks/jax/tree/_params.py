"""Params: the neutral records of a model's parameters."""

from collections.abc import Mapping, Sequence

from fanin.frameworks._bare import bare_role, is_drawn_bias
from fanin.frameworks.jax.tree._held import Held, constant_value
from fanin.frameworks.jax.tree._names import canonical
from fanin.param import Param

Shapes = Mapping[str, tuple[int, ...]]


def params_of(held: Sequence[Held], names: Sequence[str]) -> dict[int, Param]:
    """The Param of every array that is trained, by its position in `held`."""
    siblings: dict[tuple[str, ...], dict[str, tuple[int, ...]]] = {}
    parents = {item.path[:depth] for item in held for depth in range(len(item.path) - 1)}
    for item in held:
        if item.trained:
            own = canonical(item.path[-1:])
            siblings.setdefault(item.path[:-1], {})[own] = item.shape
    found = [
        (at, _param(item, name, siblings[item.path[:-1]], item.path[:-1] not in parents))
        for at, (item, name) in enumerate(zip(held, names, strict=True))
        if item.trained
    ]
    return dict(_magnitudes_first(found))


def _magnitudes_first(params: list[tuple[int, Param]]) -> list[tuple[int, Param]]:
    """The same, with the norms of a weight before it, as recipes read them."""
    for at, (_, param) in enumerate(params):
        if param.kind == "magnitude":
            module = param.name.rpartition(".")[0]
            inside = [
                n
                for around in (module, module.rpartition(".")[0])  # NNX has a dict of norms
                for n, (_, other) in enumerate(params[:at])
                if other.kind == "direction" and other.name.startswith(around)
            ]
            params.insert([*inside, at][0], params.pop(at))
    return params


def _param(item: Held, name: str, siblings: Shapes, leaf: bool) -> Param:
    made = constant_value(item.value if item.noted is None else item.noted)
    if item.made is not None and made != 0:  # a last scale of zero is a method
        made = item.made
    if is_drawn_bias(item.shape, made, item.fan_in):
        made = None
    kind, axes = item.placed or bare_role(
        canonical(item.path[-1:]), item.shape, made, siblings, leaf, None
    )
    return Param(
        name=name,
        shape=item.shape,
        dtype=str(item.value.dtype),
        kind=kind,
        owner=item.owner,
        axes=axes,
        aliases=tuple(canonical(path) for path in item.aliases),
        constant=made,
        gate=item.gate,
    )
