"""Products: contractions and convolutions by their dimension numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fanin.frameworks.jax.operations._matrices import apply as apply_matrix
from fanin.frameworks.jax.operations._matrices import multiply as multiply_matrices
from fanin.frameworks.jax.operations._picks import look_up
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._statistics import sum_squares
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Window


def contract(call: Call) -> TensorEntry:
    """dot_general, where either operand may be a weight."""
    left, right = call.entries[0], call.entries[1]
    if isinstance(right, ParameterTensor) and not isinstance(left, ParameterTensor):
        return _weigh(call, weight=1)
    if isinstance(left, ParameterTensor):
        return _weigh(call, weight=0)
    for known, values in ((0, 1), (1, 0)):
        if call.value(known) is not None and call.value(values) is None:
            mixed = _mix(call, known, values)
            if mixed is not None:
                return mixed
    applied = apply_matrix(call, 0)
    if applied is not None:
        return applied
    summed, _ = call.params["dimension_numbers"][0]
    terms = math.prod(call.ins[0].shape[dim] for dim in summed)
    factors = call.activation(0), call.activation(1)
    if all(math.prod(call.shape) * terms == math.prod(item.shape) for item in call.ins[:2]):
        power = sum_squares(call.recorder, *factors, call.shape, terms)
        if power is not None:
            return power
    return call.recorder.emit("matmul", factors, call.shape, count=float(terms), label="matmul")


def _weigh(call: Call, weight: int) -> TensorEntry:
    """An activation times a weight."""
    recorder, entry = call.recorder, call.entries[weight]
    assert isinstance(entry, ParameterTensor)
    summed, batch = (numbers[weight] for numbers in call.params["dimension_numbers"])
    shape = call.ins[weight].shape
    roles = [
        "in" if dim in summed else "stack" if dim in batch else "out" for dim in range(len(shape))
    ]
    source = call.activation(1 - weight)
    if weight == 1 and _is_one_hot(call, source):
        return look_up(call, entry, shape, summed, [source])
    sizes = {role: _size(shape, roles, role) for role in ("in", "out")}
    free = roles.count("out")
    own = len(call.shape) - free if weight == 1 else len(batch)
    if not free:
        own = max(len(call.shape) - 1, 0)
    made = recorder.linear(
        source,
        entry,
        roles,
        call.shape,
        features=own,
        spread=max(free, 1) if call.shape else 0,
        fans=(sizes["in"], sizes["out"]),
        label="dot_general",
    )
    if _is_shard(entry, shape, summed):
        recorder.partial.add(made.node)
    if len(summed) == 1:
        multiply_matrices(call, made)
    return made


def _is_shard(weight: ParameterTensor, shape: Sequence[int], summed: Sequence[int]) -> bool:
    """Whether more is to be summed than this device has."""
    dims = weight.parts[0].dims
    return dims is not None and any(
        math.prod(atom.size for atom in dims[dim]) > shape[dim] for dim in summed
    )


def _size(shape: Sequence[int], roles: Sequence[str], role: str) -> int:
    return math.prod(size for size, own in zip(shape, roles, strict=True) if own == role)


def _is_one_hot(call: Call, source: ActivationTensor) -> bool:
    node = call.recorder.nodes[source.node]
    while node.op == "view" and node.inputs and "one hot" not in node.flags:
        node = call.recorder.nodes[node.inputs[0]]
    return "one hot" in node.flags


def _mix(call: Call, known: int, values: int) -> ActivationTensor | None:
    """Known numbers times activations: positions are mixed, as a graph's adjacency does.

    With rows r the output has the second moment mean(sum r**2) (second - shared) +
    mean((sum r)**2) shared: a sum of `terms`, times a factor.
    """
    rows = np.asarray(call.value(known))
    if np.iscomplexobj(rows) or not rows.size:
        return None
    summed = call.params["dimension_numbers"][0][known]
    axes = tuple(summed)
    squares = float((rows.astype(np.float64) ** 2).sum(axes).mean())
    together = float((rows.astype(np.float64).sum(axes) ** 2).mean())
    if not 0 < squares < math.inf:
        return None
    terms = max(together / squares, 1.0)
    factor = math.sqrt(squares / terms)
    made = call.recorder.emit(
        "sum", [call.activation(values)], call.shape, count=terms, label="mix"
    )
    return call.recorder.times(made, factor)


def convolve(call: Call) -> TensorEntry:
    """Convolutions of every kind; a weight that is computed from inputs is a matmul."""
    entry = call.entries[1]
    numbers = call.params["dimension_numbers"]
    out, inside, *places = numbers.rhs_spec
    shape = call.ins[1].shape
    kernel = tuple(shape[dim] for dim in places)
    groups, dilated = _groups(call), tuple(call.params["lhs_dilation"])
    terms = shape[inside] * math.prod(kernel)
    if not isinstance(entry, ParameterTensor):
        made = call.recorder.emit(
            "matmul",
            [call.activation(0), call.activation(1)],
            call.shape,
            count=float(terms),
            label="convolution",
        )
        return made
    roles = ["kernel"] * len(shape)
    roles[out], roles[inside] = "out", "in"
    transposed = any(step != 1 for step in dilated)
    strides = tuple(call.params["window_strides"])
    steps = dilated if transposed else strides
    fans = terms, shape[out] // groups * math.prod(kernel)
    if groups > 1 and transposed:  # which a layout of torch has not: the numbers say it
        transposed, steps = False, strides
        fans = max(terms // math.prod(dilated), 1), fans[1]
    linear = call.recorder.linear(
        call.activation(0),
        entry,
        roles,
        call.shape,
        features=numbers.out_spec[1],
        fans=fans,
        label="convolution",
        groups=groups,
        transposed=transposed,
        stride=_order_as_stored(steps, places),
        window=None if any(step != 1 for step in dilated) else _window(call, kernel),
    )
    if groups > 1 and any(step != 1 for step in dilated):
        _say_fans(call, linear, fans)
    if len(entry.parts) == 1 and not entry.parts[0].scales:
        call.recorder.maps[linear.node] = numbers.out_spec[1]
        if isinstance(call.entries[0], ActivationTensor):
            call.recorder.reads[linear.node] = numbers.lhs_spec[1]
    return linear


def _say_fans(call: Call, linear: ActivationTensor, fans: tuple[int, int]) -> None:
    """What a node sums and reaches, where its axes say something else."""
    use = call.recorder.nodes[linear.node].param
    if use is not None:
        call.recorder.replace_node(linear.node, param=replace(use, fans=fans))


def _groups(call: Call) -> int:
    return int(call.params["feature_group_count"]) * int(call.params["batch_group_count"])


def _order_as_stored(steps: Sequence[int], places: Sequence[int]) -> int | tuple[int, ...]:
    """Strides in the order of the kernel's stored axes."""
    if len(set(steps)) <= 1:
        return int(steps[0]) if steps else 1
    order = sorted(range(len(places)), key=lambda at: places[at])
    return tuple(int(steps[at]) for at in order)


def _window(call: Call, kernel: tuple[int, ...]) -> Window:
    """What an output position reads."""
    before = tuple(int(low) for low, _ in call.params["padding"])
    strides = tuple(int(step) for step in call.params["window_strides"])
    dilation = tuple(int(step) for step in call.params["rhs_dilation"])
    return Window(kernel, strides, before, dilation)


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    "dot_general": contract,
    "conv_general_dilated": convolve,
}
