"""Steps: what each operation does to what is known of an activation."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np

from fanin.graph import Graph, Node, find_mixed_step, having, mixture
from fanin.graph.positions import largest, pool, sum_positions
from fanin.graph.signal import (
    LEVEL,
    Signal,
    add,
    add_apart,
    apply_pointwise,
    apply_sampled,
    centre,
    concatenate,
    drop,
    gaussian,
    multiply,
    multiply_apart,
    normalize,
    root_of,
    scale,
)
from fanin.graph.tails import add_tails, gate, level
from fanin.recipes._averages import attention, exponential, quotient, softmax
from fanin.recipes._parameters import (
    InputSignals,
    Run,
    apply_scale,
    apply_shift,
    linear,
    recurrent,
    table,
)

_UNCHANGED = 1 - 1e-6  # a second moment of ones, as it is summed
_NOTHING_SHARED = 0.05  # of a second moment: less is the data's, and a mean's mark says so
_UNMOVED = having("carries", "function", "norm", "affine")
_DECAYS = ("exp", "exp2", "expm1")

Step = Callable[[Run, int, Node, InputSignals], Signal | None]


def carry(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    return inputs[0] if inputs else None


def _view(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    """The same values; a part of the elements is independent of the other parts."""
    shown = run.graph.see_through(position)
    if shown is None:
        return None
    signal = run.signals[shown]
    if signal is not None and node.filled is not None:  # the rest are zeros
        return scale(drop(signal, 1 - node.filled, position), node.filled)
    if signal is None or "part" not in node.flags or shown != node.inputs[0]:
        return signal
    return replace(signal, base=position)


def _input(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    return None if "integers" in node.flags else replace(gaussian(1.0, position), uneven=LEVEL)


def _buffer(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    if node.square is None or not np.isfinite(node.square):
        return None
    return gaussian(node.square, position, mean=node.mean)


def _dropout(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    """As in training: what is kept is divided by the share that is kept."""
    return None if inputs[0] is None else drop(inputs[0], node.rate or 0.0, position)


def _matmul(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    a, b = inputs
    if a is None or b is None:
        return a or b
    if a.averaging or b.averaging:
        value = b if a.averaging else a
        return gaussian(value.second, position, value.share, averaged=True)
    if a.weighted or b.weighted:  # averages of products
        return gaussian(a.second * b.second, position, a.share * b.share, averaged=True)
    second, averaged = (node.count or 1.0) * a.second * b.second, a.averaged or b.averaged
    return gaussian(second, position, a.share * b.share, averaged=averaged)


def _apply_pointwise(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    known = [signal for signal in inputs if signal is not None]
    if known and node.sampled is not None:
        return apply_sampled(node.sampled, known[0], position)
    if len(known) < len(inputs) or node.fn is None:
        return known[0] if known else None
    if any(signal.averaging for signal in known):
        return next(signal for signal in known if signal.averaging)
    averages = None
    if node.function == "div":
        averages = quotient(run.graph, run.signals, position, run.averages)
    elif node.function == "exp":
        averages = exponential(run.graph, run.signals, position)
    return averages or apply_pointwise(node.fn, known, position)


def _add(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    shown = run.graph.see_through(position)
    if shown is not None:
        return run.signals[shown]
    mixed = _mix(run, position) or _mix_by_parameter(run, position)
    if mixed is not None:
        return mixed
    a, b = inputs
    if a is None or b is None:  # a mask, or a buffer of unknown size
        return a or b
    if a.averaging or b.averaging:  # averages of averages
        return a if a.averaging else b
    if a.weighted and b.weighted:  # terms of one average
        return a if a.second >= b.second else b
    if "centred" in node.flags:
        return centre(a, positions=node.over == "batch")
    decays = [_is_decay(run, source) for source in node.inputs]
    if any(decays) and not all(decays):  # a state that forgets as fast as it takes in
        return b if decays[0] else a
    if "difference" in node.flags:
        left = _take_away(run, position)
        if left is not None:
            return left
        b = scale(b, -1.0)
    join = add_apart if _at_other_positions(run, node, a, b) else add
    made = join(a, b, position)
    return made if a.base == b.base else add_tails(a, b, made)


def _take_away(run: Run, position: int) -> Signal | None:
    """A difference whose terms are functions of one activation on both sides, which cancel.

    As where a block's sum holds a normalized input, and the same is taken away again. None where
    what is taken away has nothing in common with the terms of the rest.
    """
    whole, away = run.graph.nodes[position].inputs
    plus, minus = (_read_terms(run, side) for side in (whole, away))
    both = {item.base for item in plus} & {item.base for item in minus}
    if not both or len(plus) + len(minus) < 3:
        return None
    left: dict[int, Signal] = {}
    for item in (*plus, *(scale(item, -1.0) for item in minus)):
        before = left.get(item.base)
        left[item.base] = item if before is None else add(before, item, position)
    rest = [item for item in left.values() if item.second > 0]
    return reduce(lambda a, b: add(a, b, position), rest) if rest else gaussian(0.0, position)


def _read_terms(run: Run, position: int) -> list[Signal]:
    """The terms of a sum of sums; none where something is unknown of one."""
    terms = [run.signals[at] for at in _terms(run.graph, position)]
    known = [item for item in terms if item is not None]
    return known if len(known) == len(terms) else []


def _terms(graph: Graph, position: int) -> list[int]:
    """The terms of a sum of sums, or the activation itself."""
    node = graph.nodes[position]
    plain = node.op == "add" and len(set(node.inputs)) == 2 and not node.flags
    if not plain or graph.see_through(position) is not None:
        return [position]
    return [term for source in node.inputs for term in _terms(graph, source)]


def _mix(run: Run, position: int) -> Signal | None:
    """t f + (1 - t) x, however it is written."""
    found = mixture(run.graph, position)
    if found is None:
        return None
    gate, new, stream = (run.signals[item] for item in (found.gate, found.new, found.stream))
    if gate is None or new is None or stream is None:
        return None
    rest = apply_pointwise(lambda t: 1 - t, (gate,), gate.base)
    return add(multiply(gate, new, position), multiply(rest, stream, -position - 1), position)


def _mix_by_parameter(run: Run, position: int) -> Signal | None:
    """p f + (1 - p) x of a step x + p (f - x), whose p is known."""
    found = find_mixed_step(run.graph, position)
    if found is None or found.scale is None:
        return None
    new, stream = run.signals[found.new], run.signals[found.stream]
    use = run.graph.nodes[found.scale].param
    shares = None if use is None else run.acting(use)
    if new is None or stream is None or shares is None:
        return None
    if np.ptp(shares) == 0:
        share = float(shares.reshape(-1)[0])
        return add(scale(new, share), scale(stream, 1 - share), position)
    # Of shares that differ from unit to unit, as of independent ones.
    mine, rest = (math.sqrt(float(np.mean(np.square(part)))) for part in (shares, 1 - shares))
    return add(scale(new, mine), scale(stream, rest), position)


def _at_other_positions(run: Run, node: Node, a: Signal, b: Signal) -> bool:
    """Whether two functions of one activation meet at different positions.

    Pairs are of all positions with all, as x[:, None] with x[None], or of rows picked apart.
    """
    if a.base != b.base:
        return False
    graph, size = run.graph, math.prod(node.shape)
    outer = all(math.prod(graph.nodes[source].shape) < size for source in node.inputs)
    first, second = (_moves(graph, source) for source in node.inputs)
    return outer or first != second


def _moves(graph: Graph, position: int) -> list[int]:
    """The views that put elements in other places, between an activation and what made it."""
    found = []
    node = graph.nodes[position]
    while node.op in _UNMOVED and len(set(node.inputs)) == 1:
        found += [position] if node.op == "view" and "moved" in node.flags else []
        position = node.inputs[0]
        node = graph.nodes[position]
    return found


def _is_decay(run: Run, position: int) -> bool:
    """Whether a state is multiplied by an exponential, as recurrences do, which makes it smaller.

    An affine coupling multiplies by one that makes it larger as often, or by one that is 1.
    """
    graph, node = run.graph, run.graph.nodes[position]
    if node.op != "mul":
        return False
    factors = [_through_views(graph, source) for source in node.inputs]
    sizes = [run.signals[item] for item in factors if graph.nodes[item].function in _DECAYS]
    return any(size is None or size.second < _UNCHANGED for size in sizes)


def _through_views(graph: Graph, position: int) -> int:
    while (shown := graph.see_through(position)) is not None:
        position = shown
    return position


def _mul(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    a, b = inputs
    if a is None or b is None:
        return a or b
    if a.averaging != b.averaging:  # weighted by a router's or an attention's averages
        return replace(b if a.averaging else a, weighted=True)
    constant = [run.graph.nodes[source].op == "buffer" for source in node.inputs]
    root = root_of(b if constant[0] else a) if any(constant) else None
    join = multiply_apart if _at_other_positions(run, node, a, b) else multiply
    made = replace(join(a, b, position), root=root, averaged=_is_averaged(run, node, a, b))
    return made if a.base == b.base else gate(a, b, made)


def _is_averaged(run: Run, node: Node, a: Signal, b: Signal) -> bool:
    """Whether a product is of averages; a gate that is one for many elements makes it none."""
    mine, other = (math.prod(run.graph.nodes[source].shape) for source in node.inputs)
    return (a.averaged and mine >= other) or (b.averaged and other >= mine)


def _normalize(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    signal = inputs[0]
    if signal is None:
        return None
    if node.over == "features":
        by_deviation = "by deviation" in node.flags
        centre = "uncentred" not in node.flags and not by_deviation
        return level(signal, normalize(signal, centred=centre, by_deviation=by_deviation))
    # In train mode batch normalization takes away what positions share; at first it is none in
    # eval mode. Behind a weight, whose output has size one, a plan for the one holds in the other.
    if not run.train:
        return signal
    made = replace(normalize(signal, centred=True), correlation=0.0)
    return level(signal, made) if signal.uneven.tail else made


def _mean(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    """Over all positions: what they share; where that is nothing, at most the identity."""
    signal = inputs[0]
    if signal is None:
        return None
    if signal.share < _NOTHING_SHARED:
        return gaussian(signal.second, position, 1.0, averaged=True)
    # What positions share beyond their mean is the data's.
    own = signal.shared > 1.01 * signal.mean**2
    return replace(pool(signal, np.inf, position), averaged=own)


def _pool(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    if inputs[0] is None:
        return None
    return scale(pool(inputs[0], node.count or 1.0, position), node.factor or 1.0)


def _max(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    return None if inputs[0] is None else largest(inputs[0], node.count or 1.0, position)


def _sum(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    signal, count = inputs[0], node.count or 1.0
    if signal is None or signal.averaging:
        return signal
    if signal.weighted:
        return replace(signal, weighted=False, averaged=True)
    return sum_positions(signal, count, position)


def _concat(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    pairs = [
        (signal, int(np.prod(run.graph.nodes[source].shape, dtype=object)))
        for signal, source in zip(inputs, node.inputs, strict=True)
        if signal is not None
    ]
    if not pairs:
        return None
    signals, sizes = zip(*pairs, strict=True)
    return concatenate(signals, [max(size, 1) for size in sizes], position)


STEPS: dict[str, Step] = {
    "input": _input,
    "buffer": _buffer,
    "parameter": table,
    "lookup": table,
    "linear": linear,
    "scale": apply_scale,
    "dropout": _dropout,
    "shift": apply_shift,
    "matmul": _matmul,
    "attention": attention,
    "softmax": softmax,
    "pointwise": _apply_pointwise,
    "add": _add,
    "mul": _mul,
    "normalize": _normalize,
    "mean": _mean,
    "pool": _pool,
    "max": _max,
    "sum": _sum,
    "concat": _concat,
    "view": _view,
    "recurrent": recurrent,
}
