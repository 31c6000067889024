"""Reasons: what the recipe `auto` says of a weight, in words and for people alone."""

import math

from fanin.axes import Axes
from fanin.graph import Graph, Node, Use
from fanin.graph.signal import Signal
from fanin.recipes._parameters import APART, WeightScale


def of_weight(weight: WeightScale, use: Use, read: str, reason: str) -> str:
    """What a weight reads, what is special about it, and the reason for its size."""
    why = f"{read} has second moment {weight.fed:.4g}"
    if weight.free:
        why += f"; through {', '.join(use.through)} any size gives the same"
    elif use.function is not None:
        why += f"; acts through {', '.join(use.through)}"
    if weight.alone not in (None, weight.fed):
        trained = weight.fed**2 / weight.alone
        why += f", between {weight.alone:.4g} in eval and {trained:.4g} in train mode"
    if weight.read < 1:
        why += f", of which {weight.read:.2g} is left where the kernel reads zeros at borders"
    if weight.averaged:
        why += ", an average: output RMS 1/sqrt(T) to 1 of the plan's"
    if weight.uses > 1:
        why += f"; used {weight.uses} times"
    if weight.bounded:
        asks = "asks for a variance" if weight.bounded == 1 else "ask for variances"
        counts = "counts" if weight.bounded == 1 else "count"
        why += f"; {weight.bounded} {asks} more than {APART:g} times from the first's"
        why += f", and {counts} as {APART:g} times"
    return f"{why}; {reason}" if reason else why


def of_branch(length: int, uses: int) -> str:
    """The reason of what ends a branch, of so many on its stream."""
    again = f", used {uses} times," if uses > 1 else ""
    return f"ends a residual branch{again or ','} 1 of {length} on its stream"


def on_stream(reason: str, stream: Signal | None) -> str:
    """The reason of what ends a branch, with the size of its stream where that is not one."""
    if stream is None or math.isclose(stream.second, 1.0, rel_tol=1e-3):
        return reason
    return f"{reason} of second moment {stream.second:.4g}"


def before(graph: Graph, node: Node) -> str:
    """What the input of a weight went through last."""
    source = graph.nodes[graph.behind(node.inputs[0])]
    names = {
        "pointwise": source.label.removesuffix(" none"),
        "normalize": source.label,
        "scale": "a norm",
    }
    named = names.get(source.op, source.op if source.op in ("attention", "mean", "max") else "")
    return f" through {named}" if named else ""


def role_of(axes: Axes, shape: tuple[int, ...]) -> str:
    """What people call a weight: "depthwise convolution"."""
    kind = "convolution" if "kernel" in axes.roles else "linear"
    if axes.groups > 1:
        depthwise = axes.size("in", shape) == 1
        kind = f"{'depthwise' if depthwise else 'grouped'} {kind}"
    if axes.transposed:
        kind = f"transposed {kind}"
    if "stack" in axes.roles:
        kind = f"stacked {kind}"
    return kind
