"""Judge one initialized model: the size of every weight's output, and gradients along chains."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

import fanin
from bench.zoo.bands import count_averaged, finite_width
from fanin.checks._chains import Chains, ratio
from fanin.frameworks._observation import Observation
from fanin.frameworks.torch import observe, project
from fanin.graph import Graph

SEED = 0
LOW, HIGH = 0.5, 2.0  # of the plan's RMS, without the finite-width band
SPAN = 20.0  # e^3, the largest ratio of gradient norms along a chain


def outputs(seen: Observation, chains: Chains) -> dict[str, tuple[int, float]]:
    """For every weight, the node of its first use and the RMS of what it gave, bias included."""
    found: dict[str, tuple[int, float]] = {}
    for use in chains.uses:
        rms = seen.rms[use.output]
        if use.name not in found and rms is not None:
            found[use.name] = use.node, rms
    return found


def chains_of(seen: Observation, train: bool) -> Chains:
    """The chains of a run."""
    sized = {at for at, size in enumerate(seen.rms) if size is not None}
    return Chains(Graph(seen.nodes, ()), sized, train=train)


def branch_spans(seen: Observation, chains: Chains) -> Iterator[tuple[float, int]]:
    """For every weight's output, the largest ratio of gradients to one before it in its chain.

    A branch begins behind its stream.
    """
    before: list[tuple[float, float]] = []  # smallest and largest norm among each and its parents
    for use in chains.uses:
        known = [before[parent] for parent in use.parents]
        low = min((one[0] for one in known), default=math.inf)
        high = max((one[1] for one in known), default=0.0)
        norm = seen.gradients[use.output]
        if norm is not None:
            if high:
                yield max(ratio(norm, low), ratio(high, norm)), use.node
            low, high = min(low, norm), max(high, norm)
        before.append((low, high))


def stream_spans(seen: Observation, chains: Chains) -> Iterator[tuple[float, int]]:
    """The same along residual streams, each from its start through all its additions."""
    for members in chains.streams:
        norms: list[float] = []
        for position in members:
            norm = seen.gradients[position]
            if norm is not None:
                norms.append(norm)
                yield ratio(max(norms), min(norms)), position


def gradient_spans(
    seen: Observation, chains: Chains
) -> tuple[tuple[float, str], tuple[float, str]]:
    """The largest ratio along streams, then along other chains, and the modules they end in."""
    worst = []
    for spans in (stream_spans, branch_spans):
        span, position = max(spans(seen, chains), default=(1.0, 0))
        worst.append((span, seen.nodes[position].module))
    return worst[0], worst[1]


def run(model: nn.Module, inputs: Any, train: bool) -> Observation:
    torch.manual_seed(SEED)  # of dropout
    model.train(train)
    model.zero_grad()
    return observe(model, inputs, project if train else None)


def judge(model: nn.Module, inputs: Any, plan: fanin.Plan | None) -> dict[str, Any]:
    """The signal of an initialized model of PyTorch; beside the plan, if there is one."""
    return judge_runs(partial(run, model, inputs), plan)


def judge_runs(look: Callable[[bool], Observation], plan: fanin.Plan | None) -> dict[str, Any]:
    """The signal of a model of any framework, of which `look` shows a run in train mode or not.

    `outside` lists weights whose output is outside of the rule, as (name, mode, ratio, why).
    """
    result: dict[str, Any] = {"finite": True, "outside": [], "ratios": []}
    ratios: list[float] = []
    for mode in ("eval", "train"):  # a train pass moves the statistics of batch norm
        seen = look(mode == "train")
        chains = chains_of(seen, mode == "train")
        sizes = outputs(seen, chains)
        given = [rms for at in seen.outputs if (rms := seen.rms[at]) is not None]
        result["finite"] &= all(map(math.isfinite, (*given, *(rms for _, rms in sizes.values()))))
        result[f"rms_{mode}"] = [
            min((rms for _, rms in sizes.values()), default=math.nan),
            max((rms for _, rms in sizes.values()), default=math.nan),
        ]
        result["weights"] = len(sizes)
        if mode == "train":
            result["stream"], result["branch"] = gradient_spans(seen, chains)
        bands = finite_width(seen.nodes, mode == "train")
        averages = count_averaged(seen.nodes, mode == "train")
        planned = [row for row in (plan.rows if plan else ()) if row.name in sizes and row.output]
        result["planned"] = len(planned)
        for row in planned:
            position, rms = sizes[row.name]
            size = rms / math.sqrt(row.output)
            low = LOW / math.exp(bands[position])
            low /= math.sqrt(averages[position]) if row.averaged else 1
            ratios.append(size)
            if not low <= size <= HIGH * math.exp(bands[position]):
                result["outside"].append([row.name, mode, size, row.why])
    if ratios:
        result["ratios"] = [min(ratios), max(ratios)]
    return result
