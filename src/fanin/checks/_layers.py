"""Layers: what was measured, one record for each weight at its first use."""

from collections.abc import Iterator

from fanin.checks._layer import Layer
from fanin.checks._matched import fans_of, recognize
from fanin.checks._measurement import Measurement
from fanin.graph import Node, Use


def layers(m: Measurement) -> tuple[Layer, ...]:
    """In the order of the run."""
    uses = {use.node: at for at, use in enumerate(m.chains.uses)}
    shares = _shares(m)
    found: dict[str, Layer] = {}
    for at, node in enumerate(m.nodes):
        if at in uses:
            use = m.chains.uses[uses[at]]
            if use.name not in found:
                found[use.name] = _of_use(m, uses[at], *shares.get(uses[at], (None, None)))
        elif node.op in ("lookup", "recurrent"):
            for weight in _weights_of(m, node):
                found.setdefault(weight.name, _of_node(m, at, node, weight))
    return tuple(found.values())


def _shares(m: Measurement) -> dict[int, tuple[float | None, float | None]]:
    """Of the first function behind each use: the share of flat values, and of silent units."""
    found: dict[int, tuple[float | None, float | None]] = {}
    for at in sorted({*m.flat, *m.silent}):
        owner = m.chains.owners[at]
        if owner is not None and owner not in found:
            found[owner] = m.flat.get(at), m.silent.get(at)
    return found


def _weights_of(m: Measurement, node: Node) -> Iterator[Use]:
    for use in (*((node.param,) if node.param else ()), *node.uses):
        if use.name in m.values and len(m.values[use.name].shape) > 1:
            yield use


def _of_use(m: Measurement, at: int, saturated: float | None, dead: float | None) -> Layer:
    use = m.chains.uses[at]
    node = m.nodes[use.node]
    assert node.param is not None
    values, look = m.values.get(use.name), m.looks.get(use.output)
    link, gradient = m.theory.links.get(at), m.weight_gradients.get(use.name)
    size = m.gradient(at)
    both = None if values is None else fans_of(node.param, values.shape)
    return Layer(
        name=use.name,
        module=node.module,
        kind=_kind(node),
        shape=() if values is None else values.shape,
        activation=m.activation(at),
        initializer=m.recognize(at),
        fan_in=None if both is None else round(both[0]),
        fan_out=None if both is None else round(both[1]),
        rms=m.rms[use.output],
        mean=None if look is None else look.mean,
        expected_rms=m.theory.expect(at) if use.parents else None,
        scale=None if link is None else link.forward,
        gradient=None if size is None else size / m.batch**0.5,
        saturated=saturated,
        dead=dead,
        cosine=None if look is None else look.cosine,
        distinct_rows=None if values is None else values.rows,
        distinct_gradient_rows=None if gradient is None else gradient.rows,
        chain=use.chain,
        position=use.depth,
    )


def _of_node(m: Measurement, at: int, node: Node, use: Use) -> Layer:
    """A table, or one weight of a recurrent module: its output is the module's."""
    values, look, size = m.values[use.name], m.looks.get(at), m.gradients[at]
    gradient = m.weight_gradients.get(use.name)
    return Layer(
        name=use.name,
        module=node.module,
        kind="embedding" if node.op == "lookup" else node.label,
        shape=values.shape,
        activation="",
        initializer=recognize(values, None, None),
        rms=m.rms[at],
        mean=None if look is None else look.mean,
        gradient=None if size is None else size / m.batch**0.5,
        cosine=None if look is None else look.cosine,
        distinct_rows=values.rows,
        distinct_gradient_rows=None if gradient is None else gradient.rows,
    )


def _kind(node: Node) -> str:
    """What people call the operation: "conv2d", "linear"."""
    if "convolution" not in node.flags:
        return "linear"
    return f"conv{max(len(node.shape) - 2, 1)}d"
