"""Untrained: F17, parameters that no training can move, whatever their values are."""

from collections.abc import Iterator, Sequence
from functools import partial

from fanin._columns import list_names
from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._note import Note
from fanin.checks._starved import find_starved
from fanin.checks._verdict import number
from fanin.graph import NodeSet, having

_OF_VALUES = ("F01", "F09", "F13", "F17", "F18")  # what is right however gradients go
_list = partial(list_names, most=3)
_UNWATCHED = having("bulky") | {"linear"}


def judge_untrained(m: Measurement) -> Iterator[Finding | Note]:
    """F17: what no parameter list has, what is frozen, and what the graph is cut from."""
    yield from _find_unregistered(m)
    yield from _find_left_out(m)
    names = [name for name in m.values if name not in m.frozen]
    if m.values and not names:
        yield _all_frozen(m)
        return
    yield from _find_unused(m)
    groups: dict[tuple[int, int] | None, list[str]] = {}
    for name in m.stuck:
        groups.setdefault(_cut(m, name), []).append(name)
    everything = not m.weight_gradients and not m.outside
    for edge, group in groups.items():
        uncut = edge is None and not everything and _inputs_reach_outputs(m)
        if (uncut or m.derived) and _reach_outputs(m, group):  # of a derivative, constants are none
            yield Note(
                "F17",
                f"{_list(group)}: used by the run, but the loss does not depend on what came of "
                "it, so no gradient comes back (F17).",
            )
        elif uncut or m.derived:
            yield _without_effect(group)
        else:
            yield _without_gradient(m, edge, group, everything)


def judge_starved(m: Measurement) -> Iterator[Finding]:
    """F17: weights whose gradient an operation takes away: one finding for each operation."""
    starved = find_starved(m)
    groups: dict[tuple[str, str], list[str]] = {}
    for name, closed in starved.items():
        groups.setdefault((closed.why, closed.fix), []).append(name)
    moving = any(
        m.slope(use.name) > m.least_slope and use.name not in m.held
        for at, use in enumerate(m.chains.uses)
        if at not in m.chains.heads
    )
    for (why, fix), names in groups.items():
        slope = max(map(m.slope, names))
        share = slope * m.limits.starved / m.least_slope if slope else 0.0
        yield Finding(
            "F17",
            "warning" if moving else "error",
            common_module(names),
            measured=f"a gradient of {number(share)} times that of the largest, for {_list(names)}",
            expected="a gradient",
            limit=f"{m.limits.starved:g}" + ("" if moving else ", and only the readout moves"),
            why=f"{why} So no gradient passes, whatever these weights are.",
            fix=fix,
            value=share,
        )


def _find_unused(m: Measurement) -> Iterator[Note]:
    """Parameters that this run did not touch."""
    unused = [
        name
        for name in m.values
        if name not in m.places and name not in m.frozen and name not in m.weight_gradients
    ]
    if unused and m.weight_gradients:
        them = "it gets" if len(unused) == 1 else "they get"
        yield Note(
            "F17",
            f"{_list(unused)}: trainable, and not used by this run, so {them} no gradient here; "
            "DDP wants find_unused_parameters=True for such (F17).",
        )


def _reach_outputs(m: Measurement, names: Sequence[str]) -> bool:
    """Whether something that the model returned depends on any of these parameters."""
    above = m.chains.structure.above
    own = NodeSet(at for name in names for at in m.places[name])
    return any(out in own or above[out] & own for out in m.outputs)


def _inputs_reach_outputs(m: Measurement) -> bool:
    """Whether what the model returned depends on its inputs, as far as operations show."""
    above = m.chains.structure.above
    given = m.graph.where(lambda node: node.op == "input")
    return any(out in given or above[out] & given for out in m.outputs)


def judges_training(m: Measurement, finding: Finding) -> bool:
    """Whether a finding is not of a layer without gradients, which no weights can help."""
    if finding.id in _OF_VALUES:
        return True
    return finding.layer not in {name.rpartition(".")[0] for name in m.stuck} - {""}


def _find_unregistered(m: Measurement) -> Iterator[Finding]:
    if not m.outside:
        return
    shapes = [f"{tensor.name or 'a tensor'} {tensor.shape}" for tensor in m.outside]
    containers = {tensor.container for tensor in m.outside} & {"list", "tuple", "dict"}
    first, several = m.outside[0], len(m.outside) > 1
    yield Finding(
        "F17",
        "warning",
        first.name or first.module,
        measured=(
            f"{len(m.outside)} tensors that require gradients are used and are no parameters "
            f"of the model: {_list(shapes)}"
            if several
            else f"a tensor that requires gradients is used and is no parameter of the model: "
            f"{shapes[0]}"
        ),
        expected="every weight registered",
        limit="any",
        why=(
            "What model.parameters() does not list no optimizer moves and no checkpoint holds; "
            "it was not judged either."
        ),
        fix=_registering(containers),
        value=float(len(m.outside)),
    )


def _find_left_out(m: Measurement) -> Iterator[Finding]:
    """Parameters that are to be trained, and that the user's optimizer did not get."""
    if not m.left_out:
        return
    everything = set(m.left_out) >= {name for name in m.values if name not in m.frozen}
    yield Finding(
        "F17",
        "error" if everything else "warning",
        "" if everything else common_module(m.left_out),
        measured=f"the optimizer did not get {_list(m.left_out)}, which "
        f"require{'s' * (len(m.left_out) == 1)} gradients",
        expected="every parameter that requires gradients",
        limit="none of the model's parameters" if everything else "any",
        why="What no parameter group holds stays where it is, whatever gradient it gets.",
        fix="Make the optimizer of model.parameters(), once the model is whole and on its device: "
        "parameters that are made or replaced later are not in it."
        if everything
        else f"optimizer.add_param_group({{'params': model.get_parameter({m.left_out[0]!r})}}), "
        "and so for each; or requires_grad_(False) where that is meant.",
        value=float(len(m.left_out)),
    )


def _registering(containers: set[str]) -> str:
    if containers & {"list", "tuple"}:
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
        measured=f"requires_grad is False for all {len(m.values)} parameters",
        expected="parameters that require gradients",
        limit="none",
        why="Nothing here will learn; the rest of this report is as if all were trainable.",
        fix="requires_grad_(True) for what is to be trained.",
        value=0.0,
    )


def _without_effect(group: Sequence[str]) -> Finding:
    return Finding(
        "F17",
        "warning",
        common_module(group),
        measured=f"what came of {_list(group)} reaches no output of the model",
        expected="an effect",
        limit="none",
        why="It is computed and thrown away: it will not learn, and costs a run all the same.",
        fix="Use the result, as was meant; or take the layer out of forward.",
        value=0.0,
    )


def _without_gradient(
    m: Measurement, edge: tuple[int, int] | None, group: Sequence[str], everything: bool
) -> Finding:
    where = " before the output"
    if edge is not None:
        before, after = (m.nodes[end] for end in edge)
        ends = [node.module or "the model's own forward" for node in (before, after)]
        where = f" between {ends[0]} and {ends[1]}" if ends[0] != ends[1] else f" in {ends[0]}"
    integers = edge is not None and any("integers" in m.nodes[end].flags for end in edge)
    by = (
        "integers (argmax, topk, a comparison or a cast), through which no gradient passes"
        if integers
        else "torch.no_grad(), .detach(), .data, a comparison, .item() or numpy"
    )
    return Finding(
        "F17",
        "error" if everything else "warning",
        common_module(group),
        measured=(
            f"no gradient at all for {_list(group)}, which require{'s' * (len(group) == 1)} one"
        ),
        expected="a gradient",
        limit="none for all parameters" if everything else "any",
        why=(
            f"The graph is cut{where}: by {by}. What is before the cut will not learn, "
            "whatever its weights."
        ),
        fix=(
            "Straight through (soft + (hard - soft).detach()), softmax or Gumbel softmax in "
            "place of the integers; or requires_grad_(False) where that is meant."
            if integers
            else "Take the cut away; or requires_grad_(False) for these parameters, where it is "
            "meant."
        ),
        value=0.0,
    )


def _cut(m: Measurement, name: str) -> tuple[int, int] | None:
    """Between which nodes gradients end on their way to a parameter; None where none is behind.

    The first is the last one that would have had a gradient, the second the first that has one.
    """
    own, users = m.places[name], m.chains.structure.users
    front, seen = [(at, at) for at in own], set(own)
    while front:
        at, last = front.pop(0)
        for user in users[at]:
            node = m.nodes[user]
            moved = node.param is not None and node.param.name in m.weight_gradients
            if moved or m.gradients[user] is not None:
                return last, user
            if user not in seen:
                seen.add(user)
                named = "integers" in node.flags or node.op not in _UNWATCHED
                front.append((user, user if named else last))
    return None


def common_module(names: Sequence[str]) -> str:
    """The path of the innermost module that all these parameters are in; one's own where alone."""
    paths = [name.split(".")[:-1] for name in names]
    shared: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared) or ".".join(paths[0]) or names[0]
