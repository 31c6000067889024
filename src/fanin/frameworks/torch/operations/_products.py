"""Products: matrix products, convolutions, attention, and rows of tables."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from fanin.frameworks.recording._matrices import apply_terms, note_product
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._statistics import sum_squares
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.operations import _matrices
from fanin.frameworks.torch.operations._aggregate import mixing, mixing_product
from fanin.frameworks.torch.operations._elementwise import plus
from fanin.frameworks.torch.operations._moves import look_up
from fanin.frameworks.torch.record._call import Call
from fanin.graph import Op, Window

_BAGS: tuple[Op, ...] = ("sum", "mean", "max")

# How a kernel moves over a map, and what it does where nothing is said.
_SLIDES = (("stride", 1), ("padding", 0), ("dilation", 1))

# Roles of the dimensions of the left and the right operand, where that one is a weight.
_ROLES = {
    "mm": (("out", "in"), ("in", "out")),
    "bmm": (("stack", "out", "in"), ("stack", "in", "out")),
    "mv": (("out", "in"), ("in",)),
    "dot": (("in",), ("in",)),
    "grouped": (("out", "in"), ("stack", "in", "out")),
    "linear": (("out", "in"), ("out", "in")),
}


def _product(
    call: Call, a: Tensor, b: Tensor, kind: str, shape: Sequence[int], features: int
) -> ActivationTensor:
    """a @ b, where either may be a weight."""
    left, right = call.entry(a), call.entry(b)
    terms = a.shape[-1]
    roles, weight, source = _ROLES[kind][1], right, a
    if isinstance(left, ParameterTensor) and not isinstance(right, ParameterTensor):
        roles, weight, source = _ROLES[kind][0], left, b
        features = max(features - 1, 0)
    if not isinstance(weight, ParameterTensor):
        plain = kind in ("mm", "linear") and isinstance(left, ActivationTensor)
        factors = _matrices.of(call, b) if plain else ()
        if factors:
            return apply_terms(call.recorder, call.activation(a), factors, shape, call.name)
        return mixing_product(call, a, b, shape) or _join(call, a, b, shape)
    tensor = b if source is a else a
    picks = call.activation(source)
    if source is a and _is_one_hot(call, picks):
        return look_up(call, tensor, weight, [roles.index("in")], [picks])
    reached = math.prod(
        size for size, role in zip(tensor.shape, roles, strict=False) if role == "out"
    )
    made = call.recorder.linear(
        picks,
        weight,
        roles,
        shape,
        features=features,
        fans=(int(terms), int(reached)),
        label=call.name,
    )
    note_product(call.recorder, _matrices.of(call, a), _matrices.of(call, b), made)
    return made


def _join(call: Call, a: Tensor, b: Tensor, shape: Sequence[int]) -> ActivationTensor:
    """a @ b of two activations: rows that are picked, sums of squares, or any product."""
    recorder, sources, terms = call.recorder, (call.activation(a), call.activation(b)), a.shape[-1]
    if _is_one_hot(call, sources[0]):
        return recorder.emit("view", [sources[1]], shape, label="one hot rows")
    if math.prod(shape) * terms == a.numel() == b.numel():
        squares = sum_squares(recorder, *sources, tuple(shape), terms)
        if squares is not None:
            return squares
    return recorder.emit("matmul", sources, shape, count=float(terms), label=call.name)


def _is_one_hot(call: Call, source: ActivationTensor) -> bool:
    """Whether every row has one place that counts, or masks leave it none."""
    node = call.recorder.nodes[source.node]
    while node.op == "view" and node.inputs and "one hot" not in node.flags:
        node = call.recorder.nodes[node.inputs[0]]
    factors = [ActivationTensor(item) for item in node.inputs] if node.op == "mul" else []
    if any(_is_one_hot(call, factor) for factor in factors):
        return all(factor.node in call.recorder.integers for factor in factors)
    return "one hot" in node.flags


def product(call: Call) -> TensorEntry:
    """Products of two tensors and no more."""
    a = call["self"]
    b = next(source for source in call.inputs() if source is not a) if len(call.inputs()) > 1 else a
    kind = {"matmul": "mm", "_grouped_mm": "grouped", "vdot": "dot"}.get(call.name, call.name)
    return _product(call, a, b, kind, call.shape, max(len(call.shape) - 1, 0))


def product_and_bias(call: Call) -> TensorEntry:
    """addmm, baddbmm, addmv: beta * bias + alpha * (a @ b)."""
    names = {"addmv": ("mat", "vec"), "baddbmm": ("batch1", "batch2")}
    first, second = names.get(call.name, ("mat1", "mat2"))
    kind = {"addmv": "mv", "baddbmm": "bmm"}.get(call.name, "mm")
    shape = call.shape
    made = _product(call, call[first], call[second], kind, shape, len(shape) - 1)
    alpha, beta = call.number(call["alpha"]), call.number(call["beta"])
    if alpha not in (1.0, None):
        made = call.recorder.times(made, alpha)
    if beta == 0.0:
        return made
    return plus(call, made, call["self"], shape)


def dense(call: Call) -> TensorEntry:
    """linear where torch leaves it whole."""
    made = _product(call, call["input"], call["weight"], "linear", call.shape, len(call.shape) - 1)
    bias = call.get("bias")
    return made if bias is None else plus(call, made, bias, call.shape)


def convolution(call: Call) -> TensorEntry:
    """Convolutions of every kind; a weight that is computed from inputs is a matmul."""
    tensor, kernel, bias = call["input"], call["weight"], call.get("bias")
    groups = int(call.get("groups") or 1)
    transposed = bool(call.get("transposed"))
    size = math.prod(kernel.shape[2:])
    weight = call.entry(kernel)
    if not isinstance(weight, ParameterTensor):
        each = kernel.shape[1] == 1 and not transposed  # a filter of every channel on its own
        blurred = mixing(call, kernel, tensor, call.shape, summed=1) if each else None
        made = blurred or call.recorder.emit(
            "matmul",
            [call.activation(tensor), call.activation(kernel)],
            call.shape,
            count=float(kernel.shape[1] * size),
            label="convolution",
        )
    else:
        channels = ("in", "out") if transposed else ("out", "in")
        inputs = kernel.shape[0] // groups if transposed else kernel.shape[1]
        outputs = kernel.shape[1] if transposed else kernel.shape[0] // groups
        made = call.recorder.linear(
            call.activation(tensor),
            weight,
            (*channels, *("kernel",) * (kernel.dim() - 2)),
            call.shape,
            features=1,
            fans=(int(inputs * size), int(outputs * size)),
            label="convolution",
            groups=groups,
            transposed=transposed,
            stride=_stride(call.get("stride")),
            window=None if transposed else _window(call, tuple(kernel.shape[2:])),
        )
    return made if bias is None else plus(call, made, bias, call.shape)


def _stride(given: Sequence[int] | None) -> int | tuple[int, ...]:
    steps = tuple(int(item) for item in given or ())
    return steps[0] if steps and len(set(steps)) == 1 else steps or 1


def _window(call: Call, kernel: tuple[int, ...]) -> Window:
    """What an output position reads."""
    given = [call.get(name) or (default,) for name, default in _SLIDES]
    stride, before, dilation = (
        tuple(int(value) for value in values) * (len(kernel) if len(values) == 1 else 1)
        for values in given
    )
    return Window(kernel, stride, before, dilation)


def attention(call: Call) -> TensorEntry:
    """Fused attention; a mask that was computed is a fourth input."""
    query = call["query"]
    sources = [call.activation(call[name]) for name in ("query", "key", "value")]
    mask = call.get("attn_mask") if call.get("attn_mask") is not None else call.get("attn_bias")
    if isinstance(mask, Tensor):
        entry = call.entry(mask)
        learned = isinstance(entry, ParameterTensor) or (
            isinstance(entry, ActivationTensor) and entry.node not in call.recorder.integers
        )
        if learned:
            sources.append(call.activation(mask))
    scale = call.get("scale")
    return call.recorder.emit(
        "attention",
        sources,
        call.shape,
        factor=float(scale) if scale is not None else query.shape[-1] ** -0.5,
        label="attention",
    )


def embedding(call: Call) -> TensorEntry:
    """Rows of a table, summed or averaged over bags if the operation says so."""
    table = call["weight"]
    weight = call.entry(table)
    indices = call["indices"]
    entry = call.entry(indices)
    sources = [call.activation(indices)] if isinstance(entry, ActivationTensor) else []
    if not isinstance(weight, ParameterTensor):
        return call.recorder.emit("view", [call.activation(table)], call.shape, label="embedding")
    made = look_up(call, table, weight, [0], sources)
    if "bag" not in call.name:
        return made
    bag = indices.numel() / max(call.shape[0], 1)
    op: Op = _BAGS[int(call["mode"])]
    return call.recorder.emit(op, [made], call.shape, count=bag, label=call.name)


def bilinear(call: Call) -> TensorEntry:
    """Every product of an element of the one and an element of the other is an input."""
    first, kernel, second = call["i1"], call["i2"], call["i3"]
    weight = call.entry(kernel)
    if not isinstance(weight, ParameterTensor) or kernel.dim() != 3:
        return call.view(f"unknown: {call.name}")
    sources = [call.activation(first), call.activation(second)]
    outputs, *terms = (int(size) for size in kernel.shape)
    products = call.recorder.emit("mul", sources, (*call.shape[:-1], math.prod(terms)))
    return call.recorder.linear(
        products,
        weight,
        ("out", "in", "in"),
        call.shape,
        features=len(call.shape) - 1,
        fans=(math.prod(terms), outputs),
        label="bilinear",
    )


def weight_norm(call: Call) -> TensorEntry:
    """g * v / |v|: the weight is v, and g a scale after it."""
    direction, size = call.entry(call["v"]), call.entry(call["g"])
    if not isinstance(direction, ParameterTensor) or not isinstance(size, ParameterTensor):
        return call.view()
    return direction.through("weight_norm").scale_by([size])


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot", "matmul", "_grouped_mm"), product),
    **dict.fromkeys(
        ("addmm", "_addmm_activation", "_sparse_addmm", "baddbmm", "addmv"), product_and_bias
    ),
    "linear": dense,
    "_trilinear": bilinear,
    **dict.fromkeys(
        (
            *("convolution", "_convolution", "convolution_overrideable", "_conv_depthwise2d"),
            *("mkldnn_convolution", "cudnn_convolution", "_slow_conv2d_forward"),
        ),
        convolution,
    ),
    **dict.fromkeys(
        (
            "scaled_dot_product_attention",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        ),
        attention,
    ),
    **dict.fromkeys(
        ("embedding", "_embedding_bag", "_embedding_bag_forward_only", "embedding_bag"), embedding
    ),
    **dict.fromkeys(("_weight_norm_interface", "_weight_norm"), weight_norm),
}
