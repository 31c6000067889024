"""Initialize many models that others wrote, run them, and look at every weight's output.

    python -m bench.zoo.measure [NAME ...] [--out FILE] [--peers] [--again] [--docs]

Needs what tests/zoo/requirements.txt lists beside fanin; bench/zoo/fresh_others.py the libraries
that it names. Models are built from configuration,
nothing is downloaded. For each: the plan of `auto`; one real pass in train and one in eval mode
on noise of variance one (or random tokens); the ratio of every weight's output RMS to the
plan's; and the norms of the gradient along every residual stream and every chain between
normalizations. `--peers` measures the model's own initialization and AnyInit beside it. FILE
(JSON lines) keeps finished models; `--again` measures `auto` of them once more, and keeps the rest.
`--docs` writes FILE into docs/zoo.md.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

import bench.zoo.torchvision_ops  # noqa: F401
import fanin
from bench.zoo import fresh as zoo_fresh
from bench.zoo import fresh_2 as zoo_fresh_2
from bench.zoo import fresh_3 as zoo_fresh_3
from bench.zoo import fresh_4 as zoo_fresh_4
from bench.zoo import fresh_5 as zoo_fresh_5
from bench.zoo import fresh_6 as zoo_fresh_6
from bench.zoo import models as zoo_models
from bench.zoo import swept as zoo_swept
from bench.zoo import table as zoo_table
from bench.zoo.judge import SEED, judge

# The lists, and the heading of each in docs/zoo.md.
LISTS = {
    "plan": zoo_models,
    "swept": zoo_swept,
    "fresh": zoo_fresh,
    "fresh_2": zoo_fresh_2,
    "fresh_3": zoo_fresh_3,
    "fresh_4": zoo_fresh_4,
    "fresh_5": zoo_fresh_5,
    "fresh_6": zoo_fresh_6,
}
NAMES = tuple(name for models in LISTS.values() for name in models.NAMES)


def build(name: str) -> zoo_models.Built:
    """A factory of the model of this name, and inputs."""
    models = next(one for one in LISTS.values() if name in one.NAMES)
    return models.build(name)


def measure(name: str, peers: bool = False) -> dict[str, Any]:
    """All that is measured of one model; each initialization is of a model built anew."""
    torch.manual_seed(SEED)
    factory, inputs = build(name)
    model, one = factory(), {"model": name}
    one["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    one["auto"] = _ours(model, inputs)
    one["bare"] = _bare(factory(), inputs)
    if peers:
        one["own"] = _attempt(judge, factory(), inputs, None)
        one["anyinit"] = _attempt(_anyinit, factory(), inputs)
    return one


def _ours(model: nn.Module, inputs: Any) -> dict[str, Any]:
    start = time.perf_counter()
    plan = _planned(model, inputs)
    planned = time.perf_counter()
    plan.apply(model, SEED)
    drawn = time.perf_counter()
    found = judge(model, inputs, plan)
    return {**found, **_coverage(plan), "plan_s": planned - start, "apply_s": drawn - planned}


def _planned(model: nn.Module, inputs: Any) -> fanin.Plan:
    try:
        return fanin.plan(model, inputs)
    except fanin.FaninError:  # a parameter that nobody places: name all of them
        return fanin.plan(model, inputs, unplaced="keep")


def _bare(model: nn.Module, inputs: Any) -> dict[str, Any]:
    """From the module tree alone; the inputs are for the passes."""
    plan = _planned(model, None)
    plan.apply(model, SEED)
    return {**judge(model, inputs, None), **_coverage(plan)}


def _coverage(plan: fanin.Plan) -> dict[str, Any]:
    unplaced = [row.name for row in plan.rows if row.why.startswith("no rule")]
    return {"unplaced": unplaced, "rows": len(plan.rows)}


def _anyinit(model: nn.Module, inputs: Any) -> dict[str, Any]:
    """AnyInit in its analytic mode, which takes positional tensors; one alone where it can."""
    import anyinit

    spec = inputs
    if isinstance(inputs, dict):
        wanted = [one for key, one in inputs.items() if key != "attention_mask"]
        spec = wanted[0] if len(wanted) == 1 else list(inputs.values())
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    start = time.perf_counter()
    report = anyinit.initialize(model, "analytic", spec, seed=SEED)
    spent = time.perf_counter() - start
    weights = [(name, tensor) for name, tensor in model.named_parameters() if tensor.ndim > 1]
    drawn = sum(not torch.equal(before[name], tensor) for name, tensor in weights)
    found = judge(model, inputs, None)
    graph = report.graph_fidelity
    return {**found, "seconds": spent, "covered": [drawn, len(weights)], "fidelity": graph}


def _attempt(what: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    try:
        return what(*given)
    except Exception as error:  # whatever a peer raises is its result
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def _printed(one: dict[str, Any], spent: float) -> str:
    if "error" in one:
        return f"{one['model']:32} FAIL {one['error']}"
    auto = one["auto"]
    low, high = auto["ratios"] or (math.nan, math.nan)
    lines = [
        f"{one['model']:32} {spent:4.0f} s, plan {auto['plan_s']:.1f} s; RMS / plan {low:.2f} to "
        f"{high:.2f}, {len(auto['outside'])} of {2 * auto['planned']} outside; gradients: streams "
        f"{auto['stream'][0]:.3g}, chains {auto['branch'][0]:.3g} at {auto['branch'][1]}"
    ]
    lines += [f"    {kind}: not finite" for kind in ("auto", "bare") if not one[kind]["finite"]]
    lines += [
        f"    {kind}: unplaced {one[kind]['unplaced']}"
        for kind in ("auto", "bare")
        if one[kind]["unplaced"]
    ]
    lines += [
        f"    {weight} in {mode} mode: {ratio:.3f} of the plan; {why}"
        for weight, mode, ratio, why in auto["outside"]
    ]
    return "\n".join(lines)


def _finished(file: Path) -> dict[str, dict[str, Any]]:
    """What a file holds, by model; the last line of a model counts."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {one["model"]: one for one in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="all where none is given")
    parser.add_argument("--out", type=Path, default=Path("zoo.jsonl"))
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--docs", action="store_true")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    done = _finished(arguments.out)
    for name in arguments.names or NAMES:
        if name in done and not arguments.again:
            continue
        start = time.perf_counter()
        try:
            one = measure(name, arguments.peers)
        except Exception as error:  # the others are to be measured all the same
            one = {"model": name, "error": f"{type(error).__name__}: {error}"[:200]}
        done[name] = done.get(name, {}) | one
        if "error" not in one:
            done[name].pop("error", None)
        with arguments.out.open("a") as file:
            file.write(json.dumps(done[name]) + "\n")
        print(_printed(one, time.perf_counter() - start), flush=True)
    if arguments.docs:
        lists = LISTS.items()
        zoo_table.write(
            {key: [done[one] for one in models.NAMES if one in done] for key, models in lists}
        )


if __name__ == "__main__":
    main()
