"""Recurrent layers: a loop over steps whose body is a cell is one node, as those of torch are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from fanin.frameworks.jax.record._call import AbstractArray
from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Node, Use

# How many times as large as the state all gates together are, by the number of states.
_KINDS = {(4, 2): "lstm", (3, 1): "gru", (1, 1): "rnn"}
_GATES = {kind: gates for (gates, _), kind in _KINDS.items()}
_BOUNDED = {
    "lstm": {"sigmoid", "tanh"},
    "gru": {"sigmoid", "tanh"},
    "rnn": {"tanh", "relu"},
}
_LINES = {"mul", "neg", "add", "sub"}  # such as 1 - z

Body = Callable[[Recorder, Sequence[TensorEntry]], list[TensorEntry]]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a step is: its kind, and all its parameters."""

    kind: str
    width: int  # of the state, which each gate has
    uses: tuple[Use, ...]


def find_cell(
    body: Body,
    held: Sequence[TensorEntry],
    states: Sequence[AbstractArray],
    rows: Sequence[AbstractArray],
    recorder: Recorder,
) -> Cell | None:
    """The cell that one step of a loop is; None for another step."""
    if not any(isinstance(entry, ParameterTensor) for entry in held):
        return None
    if any(isinstance(entry, ActivationTensor) for entry in held):  # what an attention reads, say
        return None
    trial = recorder.empty()
    before = [_add(trial, shaped) for shaped in states]
    read = [_add(trial, AbstractArray(shaped.shape[1:], shaped.kind)) for shaped in rows]
    body(trial, [*held, *before, *read])
    real = [
        entry.node
        for entry, shaped in zip(before, states, strict=True)
        if isinstance(entry, ActivationTensor) and shaped.is_real and shaped.shape
    ]
    inputs = {entry.node for entry in read if isinstance(entry, ActivationTensor)}
    return _judge(trial, set(real), inputs, states) if real and inputs else None


def _add(recorder: Recorder, shaped: AbstractArray) -> TensorEntry:
    return recorder.emit("input", (), shaped.shape) if shaped.is_real else ConstantTensor()


def _judge(
    trial: Recorder, states: set[int], inputs: set[int], shapes: Sequence[AbstractArray]
) -> Cell | None:
    """The kind of a cell by the size of its gates, and by what bounds them."""
    nodes = trial.nodes
    above: list[set[int]] = []
    for position, node in enumerate(nodes):
        above.append({position}.union(*(above[source] for source in node.inputs)))
    linear = [at for at, node in enumerate(nodes) if node.op == "linear"]
    recurrent = [at for at in linear if above[at] & states]
    widths = {shaped.shape[-1] for shaped in shapes if shaped.is_real and shaped.shape}
    if len(widths) != 1 or any(node.op in ("normalize", "softmax") for node in nodes):
        return None
    (width,) = widths
    gates, rest = divmod(sum(_units(trial, nodes[at]) for at in recurrent), width)
    kind = _KINDS.get((gates, len(states)))
    functions = {node.function for node in nodes if node.op == "pointwise"} - _LINES
    if kind is None or rest or not functions <= _BOUNDED[kind] or not functions:
        return None
    uses = [_use(nodes[at], above[at] & inputs, _units(trial, nodes[at]), width) for at in linear]
    others = (node.param for node in nodes if node.op in ("shift", "scale", "parameter"))
    return Cell(kind, width, tuple(_once([*uses, *others])))


def _units(trial: Recorder, node: Node) -> int:
    """How many outputs the weight of a node has."""
    assert node.param is not None
    return node.param.axes.size("out", trial.shapes[node.param.name])


def _use(node: Node, reads: set[int], units: int, width: int) -> Use:
    """The use of a gate's weight, or of all gates', packed; `layer` where it reads the input."""
    assert node.param is not None
    return _pack(replace(node.param, layer=0 if reads else None), units, width)


def _pack(use: Use, units: int, width: int) -> Use:
    """The use of a weight whose outputs are those of gates, of this width each."""
    packed = units > width and units % width == 0 and use.axes.roles.count("out") == 1
    if not packed or use.fans is not None:
        return use
    return replace(use, axes=replace(use.axes, blocks=(width,) * (units // width)))


def _once(uses: Iterable[Use | None]) -> list[Use]:
    found: dict[str, Use] = {}
    for use in uses:
        if use is not None:
            found.setdefault(use.name, use)
    return list(found.values())


def add_recurrent(
    recorder: Recorder,
    cell: Cell,
    given: Sequence[TensorEntry],
    states: Sequence[AbstractArray],
    rows: Sequence[AbstractArray],
) -> list[TensorEntry]:
    """The node of a loop over a cell, and its last states and all that it gave, as views of it."""
    sources = [
        entry
        for entry in given
        if isinstance(entry, ActivationTensor) and entry.node not in recorder.integers
    ]
    for entry in sources:
        _pack_projection(recorder, entry.node, cell)
    outs = [*states, *rows]
    shape = next((shaped.shape for shaped in rows if shaped.is_real), states[-1].shape)
    parts = [recorder.modules[use.name].split(".") for use in cell.uses]
    shared = takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False))
    recorder.path[-1] = ".".join(names[0] for names in shared)
    made = recorder.emit("recurrent", sources, shape, label=cell.kind, uses=cell.uses)
    return [_show(recorder, made, shaped) for shaped in outs]


def _pack_projection(recorder: Recorder, at: int, cell: Cell) -> None:
    """A weight that reads all inputs before the loop, as Keras's do, holds the gates, too."""
    while recorder.nodes[at].op in ("view", "shift"):
        at = recorder.nodes[at].inputs[0]
    node = recorder.nodes[at]
    if node.op == "linear" and node.param is not None:
        units = _units(recorder, node)
        if units == _GATES[cell.kind] * cell.width:
            recorder.replace_node(at, param=_pack(node.param, units, cell.width))


def _show(recorder: Recorder, made: ActivationTensor, shaped: AbstractArray) -> TensorEntry:
    if not shaped.is_real:
        return ConstantTensor()
    if shaped.shape == recorder.nodes[made.node].shape:
        return made
    return recorder.emit("view", [made], shaped.shape, label="state")
