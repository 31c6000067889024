"""Attention: F05 of a softmax over queries and keys, F14 of tokens that positions drown."""

from collections.abc import Iterator

from fanin.checks._finding import Finding
from fanin.checks._measurement import Measurement
from fanin.checks._streams import see_through_moves
from fanin.checks._verdict import number
from fanin.graph import Logits, having, logits_of, reach

_BEFORE = having("carries", "function", "pair") | {"shift"}


def judge_sharp_attention(m: Measurement) -> Iterator[Finding]:
    """F05: logits so far apart that the softmax takes one key: one finding, the sharpest."""
    found = [
        (spread, logits, at)
        for logits in (*logits_of(m.chains.structure), *_find_summed(m))
        if (at := _softmax(m, logits)) is not None
        and (spread := _spread(m, at)) > m.limits.logits_warning
    ]
    if not found:
        return
    spread, logits, at = max(found, key=lambda entry: entry[0])
    error = spread > m.limits.logits_error and len(found) > m.limits.saturated_few
    unscaled = logits.factor > 2 * logits.terms**-0.5
    more = f", and too large in {len(found) - 1} more" if found[1:] else ""
    yield Finding(
        "F05",
        "error" if error else "warning",
        m.nodes[at].module,
        measured=f"attention logits have std {number(spread)} over the keys{more}",
        expected="about 1",
        limit=f"{m.limits.logits_error if error else m.limits.logits_warning:g}",
        why=(
            "The softmax is where it is flat: it takes one key, and passes no gradient to "
            "queries and keys."
            + (
                f" Each logit is a sum of {logits.terms} products, times {number(logits.factor)}."
                if unscaled
                else ""
            )
        ),
        fix=_scaling(m, logits, spread, unscaled),
        value=spread,
    )


def _find_summed(m: Measurement) -> Iterator[Logits]:
    """Products that were written as (q * k).sum(-1)."""
    for at, node in enumerate(m.nodes):
        product = m.graph.behind(node.inputs[0]) if node.op == "sum" else at
        if m.nodes[product].op == "mul":
            query, key = m.nodes[product].inputs[0], m.nodes[product].inputs[-1]
            yield Logits(at, query, key, int(node.count or 1), 1.0)


def _scaling(m: Measurement, logits: Logits, spread: float, unscaled: bool) -> str:
    if unscaled:
        instead = f", in place of {number(logits.factor)}" if logits.factor != 1 else ""
        return (
            f"Multiply the products of queries and keys by 1/sqrt({logits.terms}) = "
            f"{number(logits.terms**-0.5)} before the softmax{instead}."
        )
    owners = [m.chains.owners[end] for end in (logits.query, logits.key)]
    places = dict.fromkeys(m.module(owner) for owner in owners if owner is not None)
    named = f" of {' and '.join(places)}" if any(places) else ""
    return (
        f"Smaller weights for queries and keys: {number(spread**-0.5)} times those{named}; or "
        "a normalization of what feeds them."
    )


def _softmax(m: Measurement, logits: Logits) -> int | None:
    """The softmax that logits go into; fused attention is its own."""
    users, passed = m.chains.structure.users, _BEFORE | {"softmax"}
    ways = reach(
        [logits.node], lambda at: [user for user in users[at] if m.nodes[user].op in passed]
    )
    return next((at for at in ways if at in m.spreads), None)


def _spread(m: Measurement, softmax: int) -> float:
    """The spread of logits over keys, without what was added to the products: a bias, a mask."""
    spread, at = m.spreads[softmax], m.nodes[softmax].inputs[0]
    while m.nodes[softmax].op == "softmax" and m.nodes[at].op in _BEFORE:
        node = m.nodes[at]
        sources = node.inputs
        if node.op == "add":  # the product is the operand that is no constant
            sources = (
                tuple(source for source in node.inputs if m.nodes[source].op != "buffer") or sources
            )
        if node.op in ("add", "shift"):
            sizes = [m.rms[see_through_moves(m.nodes, source)] for source in sources[:1]]
            return min([spread, *(size for size in sizes if size is not None)])
        if not sources:
            break
        at = sources[0]
    return spread


def judge_drowned(m: Measurement) -> Iterator[Finding]:
    """F14: what differs between inputs, under what is the same for all: one finding, the worst."""
    varying = _varying(m)
    worst: tuple[float, int, int] | None = None
    for at, node in enumerate(m.nodes):
        if node.op not in ("add", "shift") or at not in varying:
            continue
        tokens = [source for source in node.inputs if source in varying]
        if len(tokens) != 1 or _table(m, tokens[0]) is None:
            continue
        part, whole = m.rms[see_through_moves(m.nodes, tokens[0])], m.rms[at]
        if not part or not whole:
            continue
        share = (part / whole) ** 2
        if share < m.limits.tokens_warning and (worst is None or share < worst[0]):
            worst = share, at, tokens[0]
    if worst is None:
        return
    share, at, token = worst
    name = _table(m, token)
    yield Finding(
        "F14",
        "warning",
        m.nodes[at].module or str(name),
        measured=(
            f"the embeddings of {name} have RMS "
            f"{number(m.rms[see_through_moves(m.nodes, token)])}, "
            f"their sum with what is added RMS {number(m.rms[at])}: {share:.1%} of its variance"
        ),
        expected="about half",
        limit=f"{m.limits.tokens_warning:.0%}",
        why="What is added, positions say, is the same for every input, and drowns what differs.",
        fix=f"normal(std={number(m.rms[at])}) for {name}; or multiply its embeddings by "
        f"{number(share**-0.5)} before the addition (sqrt(width), as Vaswani et al. 2017 do).",
        value=share,
    )


def _varying(m: Measurement) -> set[int]:
    """The nodes that depend on the inputs of the run."""
    above = m.chains.structure.above
    given = m.graph.where(lambda node: node.op == "input")
    return {at for at, node in enumerate(m.nodes) if node.op == "input" or above[at] & given}


def _table(m: Measurement, position: int) -> str | None:
    """The table that tokens were looked up in, where nothing but scales lies between."""
    while m.nodes[position].op in ("view", "dropout", "pointwise", "shift", "add", "scale"):
        node = m.nodes[position]
        if not node.inputs or len(set(node.inputs)) > 1:
            return None
        position = node.inputs[0]
    node = m.nodes[position]
    return node.param.name if node.op == "lookup" and node.param else None
