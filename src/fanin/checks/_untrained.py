"""Untrained: F17, parameters that no training can move, whatever their values are."""

from collections.abc import Iterator, Sequence

from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement

_SHOWN = 3
_UNWATCHED = ("view", "softmax", "matmul", "attention", "normalize", "linear")


def untrained(m: Measurement) -> Iterator[Finding]:
    """F17: what no parameter list has, what is frozen, and what the graph is cut from."""
    yield from _unregistered(m)
    names = [name for name in m.values if name not in m.frozen]
    if m.values and not names:
        yield _all_frozen(m)
        return
    stuck = [name for name in names if name in m.used and name not in m.weight_gradients]
    groups: dict[tuple[int, int] | None, list[str]] = {}
    for name in stuck:
        groups.setdefault(_cut(m, name), []).append(name)
    everything = not m.weight_gradients and not m.outside
    for edge, group in groups.items():
        if edge is None and not everything:
            m.note(
                f"{_listed(group)}: the run used {_it(group)}, and what the loss depends on does "
                f"not: without a gradient {_it(group)} will not learn (F17)."
            )
        else:
            yield _without_gradient(m, edge, group, everything)


def _unregistered(m: Measurement) -> Iterator[Finding]:
    if not m.outside:
        return
    known = [f"{one.name} {one.shape}" for one in m.outside if one.name]
    shapes = known or [f"a tensor {one.shape}" for one in m.outside]
    containers = dict.fromkeys(one.container for one in m.outside if one.name)
    one = m.outside[0]
    yield Finding(
        "F17",
        "warning",
        one.name or one.module,
        f"{len(m.outside)} tensors that require gradients are used and are no parameters of the "
        f"model: {_listed(shapes)}",
        "every weight registered",
        "any",
        "model.parameters() does not list them, so no optimizer moves them, no checkpoint holds "
        "them, and they were not judged"
        + (f". They are held in a {' and a '.join(containers)}." if any(containers) else "."),
        _registering([*containers]),
        float(len(m.outside)),
    )


def _registering(containers: Sequence[str]) -> str:
    if "list" in containers or "tuple" in containers:
        return "nn.ModuleList for modules, or nn.ParameterList for tensors, in place of the list."
    if "dict" in containers:
        return "nn.ModuleDict for modules, or nn.ParameterDict for tensors, in place of the dict."
    return (
        "Assign each as nn.Parameter, or its holder as nn.Module, to an attribute of the model; "
        "what is computed from a parameter belongs into forward."
    )


def _all_frozen(m: Measurement) -> Finding:
    return Finding(
        "F17",
        "error",
        "",
        f"requires_grad is False for all {len(m.values)} parameters",
        "parameters that require gradients",
        "none",
        "Nothing here will learn; the rest of this report is as if all were trainable.",
        "requires_grad_(True) for what is to be trained.",
        0.0,
    )


def _without_gradient(
    m: Measurement, edge: tuple[int, int] | None, group: Sequence[str], everything: bool
) -> Finding:
    where = ""
    if edge is not None:
        before, after = (m.nodes[one] for one in edge)
        ends = [one.module or "the model's own forward" for one in (before, after)]
        where = f" between {ends[0]} and {ends[1]}" if ends[0] != ends[1] else f" in {ends[0]}"
    integers = edge is not None and any(m.nodes[one].label == "integers" for one in edge)
    by = (
        "integers (argmax, topk, a comparison or a cast), through which no gradient passes"
        if integers
        else "torch.no_grad(), .detach(), .data, .item() or numpy"
    )
    return Finding(
        "F17",
        "error" if everything else "warning",
        common_module(group),
        f"no gradient at all for {_listed(group)}, which require{'s' * (len(group) == 1)} one",
        "a gradient",
        "none for all parameters" if everything else "any",
        f"The graph is cut{where}: by {by}. What is before the cut will not learn, whatever its "
        "weights.",
        "Straight through (soft + (hard - soft).detach()), softmax or Gumbel softmax in place of "
        "the integers; or requires_grad_(False) where that is meant."
        if integers
        else "Take the cut away; or requires_grad_(False) for these parameters, where it is meant.",
        0.0,
    )


def _cut(m: Measurement, name: str) -> tuple[int, int] | None:
    """Between which nodes gradients end on their way to a parameter; None where none is behind.

    The first is the last one that would have had a gradient, the second the first that has one.
    """
    own = [
        at
        for at, node in enumerate(m.nodes)
        if name in {one.name for one in (node.param, *node.uses) if one}
    ]
    users = m.chains.structure.users
    front, seen = [(at, at) for at in own], set(own)
    while front:
        at, last = front.pop(0)
        for user in users[at]:
            node = m.nodes[user]
            if m.gradients[user] is not None or (node.param and node.param.name in _moved(m)):
                return last, user
            if user not in seen:
                seen.add(user)
                named = node.label == "integers" or node.op not in _UNWATCHED
                front.append((user, user if named else last))
    return None


def _moved(m: Measurement) -> set[str]:
    return set(m.weight_gradients)


def common_module(names: Sequence[str]) -> str:
    """The path of the innermost module that all these parameters are in; one's own where alone."""
    paths = [name.split(".")[:-1] for name in names]
    shared: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared) or ".".join(paths[0]) or names[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _it(names: Sequence[str]) -> str:
    return "them" if names[1:] else "it"
