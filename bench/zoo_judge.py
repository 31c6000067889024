"""Judge one initialized model: the size of every weight's output, and gradients along chains."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import fanin
from fanin.frameworks.torch import Observation, observe, tensors_of
from fanin.recipes import Graph, Node, Structure
from fanin.recipes._structure import Residual

SEED = 0
LOW, HIGH = 0.5, 2.0  # of the plan's RMS, without the finite-width band
SPAN = 20.0  # e^3, the largest ratio of gradient norms along a chain

# What a gradient has built-in reasons to change at: normalizations, averages over positions,
# choices of positions or units, gates. A chain ends there.
_BREAKS = (
    "normalize",
    "mean",
    "pool",
    "max",
    "sum",
    "softmax",
    "attention",
    "matmul",
    "mul",
    "concat",
    "recurrent",
)
_ON_STREAM = ("view", "dropout", "pointwise", "normalize", "scale", "shift")


def _carried(node: Node, nodes: Sequence[Node]) -> tuple[int, ...]:
    """The inputs, without what only gates or weighs the others: its noise is bounded."""
    if node.op == "attention":
        return node.inputs[2:3]
    if node.op == "mul" and len({math.prod(nodes[one].shape) for one in node.inputs}) > 1:
        return (max(node.inputs, key=lambda one: math.prod(nodes[one].shape)),)
    return node.inputs


def finite_width(nodes: Sequence[Node], train: bool) -> list[float]:
    """For every node, how far ln RMS may be from theory by chance: 1.25 beta + sqrt(5 beta).

    beta is the sum of 1/width along the path since the last normalization (Hanin & Rolnick
    2018); batch normalization is none in eval mode.
    """
    betas: list[float] = []
    for node in nodes:
        beta = max((betas[source] for source in _carried(node, nodes)), default=0.0)
        if node.op == "linear":
            beta += 1 / max(node.shape[1] if len(node.shape) == 4 else node.shape[-1], 1)
        if node.op == "normalize" and (train or node.over == "features"):
            beta = 0.0
        betas.append(beta)
    return [1.25 * beta + math.sqrt(5 * beta) for beta in betas]


def averaged_over(nodes: Sequence[Node], train: bool) -> list[float]:
    """For every node, over how many positions attention or a mean averaged what feeds it."""
    counts: list[float] = []
    for node in nodes:
        count = max((counts[source] for source in _carried(node, nodes)), default=1.0)
        if node.op in ("matmul", "mean"):
            count *= node.amount or 1.0
        elif node.op == "attention":
            count *= nodes[node.inputs[1]].shape[-2]
        elif node.op == "softmax" or (
            node.op == "normalize" and (train or node.over == "features")
        ):
            count = 1.0
        counts.append(count)
    return counts


def outputs(seen: Observation) -> dict[str, tuple[int, float]]:
    """For every weight, the node of its first use and the RMS of what it gave, bias included."""
    found: dict[str, tuple[int, float]] = {}
    for position, node in enumerate(seen.nodes):
        if node.op != "linear" or node.param is None or node.param.name in found:
            continue
        last = position
        while (
            seen.rms[last] is None
            and last + 1 < len(seen.nodes)
            and seen.nodes[last + 1].op in ("shift", "scale")
            and seen.nodes[last + 1].inputs[0] == last
        ):
            last += 1
        rms = seen.rms[last]
        if rms is not None:
            found[node.param.name] = position, rms
    return found


def _breaks(node: Node) -> bool:
    return node.op in _BREAKS or (node.op == "view" and node.label in ("slice", "select"))


def _own_functions(nodes: Sequence[Node]) -> set[int]:
    """Products that are no gates, but a function of one activation: x * sigmoid(x)."""
    bases: list[int] = []
    found = set()
    for position, node in enumerate(nodes):
        sources = {bases[one] for one in node.inputs if nodes[one].op != "buffer"}
        alone = node.op in ("pointwise", "mul", "add", "dropout") and len(sources) == 1
        bases.append(sources.pop() if alone else position)
        if alone and node.op == "mul":
            found.add(position)
    return found


def _weight_outputs(nodes: Sequence[Node]) -> set[int]:
    """The outputs of weights, before and after their biases and the scales of their layers."""
    found: set[int] = set()
    for position, node in enumerate(nodes):
        passed = node.op in ("shift", "scale", "view", "dropout") and not _breaks(node)
        if node.op == "linear" or (passed and node.inputs and node.inputs[0] in found):
            found.add(position)
    return found


def branch_spans(seen: Observation, structure: Structure) -> Iterator[tuple[float, int]]:
    """For every weight's output, the largest ratio of gradients to one before it in its chain.

    A branch begins behind its stream.
    """
    nodes, outputs = seen.nodes, _weight_outputs(seen.nodes)
    functions = _own_functions(nodes)
    streams = {one for residual in structure.residuals.values() for one in _stream(residual, nodes)}
    before: list[tuple[float, float]] = []  # smallest and largest norm among those before
    for position, node in enumerate(nodes):
        ends = _breaks(node) and position not in functions
        known = [] if ends else [before[source] for source in node.inputs]
        low = min((one[0] for one in known), default=math.inf)
        high = max((one[1] for one in known), default=0.0)
        norm = seen.gradients[position]
        if norm is not None and position in outputs:
            if high:
                yield max(_ratio(norm, low), _ratio(high, norm)), position
            low, high = min(low, norm), max(high, norm)
        before.append((math.inf, 0.0) if position in streams else (low, high))


def _stream(residual: Residual, nodes: Sequence[Node]) -> Iterator[int]:
    """The sum, and the operand that is the stream, also before it was only moved."""
    yield residual.node
    position = residual.stream
    yield position
    while nodes[position].op in ("view", "dropout") and nodes[position].inputs:
        position = nodes[position].inputs[0]
        yield position


def stream_spans(seen: Observation, structure: Structure) -> Iterator[tuple[float, int]]:
    """The same along residual streams, each from its start through all its additions."""
    groups: dict[int, list[float]] = {}
    group_of: dict[int, int] = {}
    for position, residual in structure.residuals.items():
        start = residual.stream
        if not residual.shortcut:
            while start not in group_of and (source := _behind(seen.nodes[start])) is not None:
                start = source
        group = group_of[position] = group_of.get(start, start)
        if group not in groups:
            groups[group] = [norm for norm in [seen.gradients[residual.stream]] if norm is not None]
        norm = seen.gradients[position]
        if norm is not None:
            groups[group].append(norm)
            yield _ratio(max(groups[group]), min(groups[group])), position


def _behind(node: Node) -> int | None:
    """The node that a stream comes from, if it goes on through this one."""
    goes_on = node.op in _ON_STREAM and (node.op == "normalize" or not _breaks(node))
    return node.inputs[0] if goes_on and len(set(node.inputs)) == 1 else None


def _ratio(a: float, b: float) -> float:
    low, high = sorted((a, b))
    return high / low if low > 0 else math.inf if high > 0 else 1.0


def gradient_spans(seen: Observation) -> tuple[tuple[float, str], tuple[float, str]]:
    """The largest ratio along streams, then along other chains, and the modules they end in."""
    structure = Structure(Graph(seen.nodes, ()))
    worst = []
    for spans in (stream_spans, branch_spans):
        ratio, position = max(spans(seen, structure), default=(1.0, 0))
        worst.append((ratio, seen.nodes[position].module))
    return worst[0], worst[1]


def projected(output: Any) -> Tensor:
    """A random projection of all outputs, as a loss."""
    generator = torch.Generator().manual_seed(SEED)
    return sum(
        (one * torch.randn(one.shape, generator=generator)).sum()
        for one in tensors_of(output)
        if one.is_floating_point() and one.requires_grad
    )


def run(model: nn.Module, inputs: Any, train: bool) -> Observation:
    torch.manual_seed(SEED)  # of dropout
    model.train(train)
    model.zero_grad()
    return observe(model, inputs, projected if train else None)


def judge(model: nn.Module, inputs: Any, plan: fanin.Plan | None) -> dict[str, Any]:
    """The signal of an initialized model in train and eval mode; beside the plan, if there is one.

    `outside` lists weights whose output is outside of the rule, as (name, mode, ratio, why).
    """
    result: dict[str, Any] = {"finite": True, "outside": [], "ratios": []}
    ratios: list[float] = []
    for mode in ("eval", "train"):  # a train pass moves the statistics of batch norm
        seen = run(model, inputs, mode == "train")
        sizes = outputs(seen)
        result["finite"] &= all(math.isfinite(rms) for _, rms in sizes.values())
        result["finite"] &= all(bool(one.isfinite().all()) for one in tensors_of(seen.output))
        result[f"rms_{mode}"] = [
            min((rms for _, rms in sizes.values()), default=math.nan),
            max((rms for _, rms in sizes.values()), default=math.nan),
        ]
        result["weights"] = len(sizes)
        if mode == "train":
            result["stream"], result["branch"] = gradient_spans(seen)
        bands = finite_width(seen.nodes, mode == "train")
        averages = averaged_over(seen.nodes, mode == "train")
        planned = [name for name in sizes if plan is not None and plan[name].output]
        result["planned"] = len(planned)
        for name in planned:
            position, rms = sizes[name]
            row = plan[name]
            ratio = rms / math.sqrt(row.output)
            low = LOW / math.exp(bands[position])
            low /= math.sqrt(averages[position]) if row.averaged else 1
            ratios.append(ratio)
            if not low <= ratio <= HIGH * math.exp(bands[position]):
                result["outside"].append([name, mode, ratio, row.why])
    if ratios:
        result["ratios"] = [min(ratios), max(ratios)]
    return result
