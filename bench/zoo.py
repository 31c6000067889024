"""Initialize many models that others wrote, run them, and look at every weight's output.

    python bench/zoo.py [NAME ...] [--out FILE] [--peers]

Needs timm, transformers and anyinit beside fanin (pip install --no-deps timm torchvision anyinit;
pip install transformers). Models are built from configuration, nothing is downloaded. For
each: the plan of `auto`; one real pass in train and one in eval mode on noise of variance one (or
random tokens); the ratio of every weight's output RMS to the plan's; and the norms of the gradient
along every residual stream and every chain between normalizations. `--peers` measures the model's
own initialization and AnyInit beside it. FILE (JSON lines) keeps finished models.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import zoo_models
from torch import Tensor, nn

import fanin
from fanin.frameworks.torch import Observation, observe, tensors_of
from fanin.recipes import Graph, Structure

SEED = 0


def finite_width(nodes: Iterable[Any], train: bool) -> list[float]:
    """For every node, how far ln RMS may be from theory by chance: 1.25 beta + sqrt(5 beta).

    beta is the sum of 1/width along the path since the last normalization (Hanin & Rolnick
    2018); batch normalization is none in eval mode.
    """
    betas: list[float] = []
    for node in nodes:
        beta = max((betas[source] for source in node.inputs), default=0.0)
        if node.op == "linear":
            beta += 1 / max(node.shape[1] if len(node.shape) == 4 else node.shape[-1], 1)
        if node.op == "normalize" and (train or node.over == "features"):
            beta = 0.0
        betas.append(beta)
    return [1.25 * beta + math.sqrt(5 * beta) for beta in betas]


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


def gradient_span(seen: Observation) -> float:
    """The largest ratio of gradient norms along a stream or a chain between normalizations."""
    structure = Structure(Graph(seen.nodes, ()))
    groups: dict[object, list[float]] = {}
    chain: list[int] = []
    for position, node in enumerate(seen.nodes):
        new = node.op in ("normalize", "mean", "pool", "max", "input", "lookup", "concat")
        chain.append(position if new or not node.inputs else chain[node.inputs[0]])
        gradient = seen.gradients[position]
        if gradient:
            if position in structure.residuals:
                groups.setdefault(("stream", structure.chains[position]), []).append(gradient)
            elif node.op in ("linear", "shift"):
                groups.setdefault(chain[-1], []).append(gradient)
    return max((max(norms) / min(norms) for norms in groups.values()), default=1.0)


def projected(output: Any) -> Tensor:
    """A random projection of all outputs, as a loss."""
    generator = torch.Generator().manual_seed(SEED)
    return sum(
        (one * torch.randn(one.shape, generator=generator)).sum()
        for one in tensors_of(output)
        if one.is_floating_point() and one.requires_grad
    )


def run(model: nn.Module, inputs: Any, train: bool) -> Observation:
    model.train(train)
    model.zero_grad()
    return observe(model, inputs, projected if train else None)


def judge(model: nn.Module, inputs: Any, plan: fanin.Plan | None) -> dict[str, Any]:
    """The signal of an initialized model; against the plan, where there is one."""
    result: dict[str, Any] = {"finite": True, "outside": []}
    ratios: list[float] = []
    for train in (True, False):
        seen = run(model, inputs, train)
        bands = finite_width(seen.nodes, train)
        sizes = outputs(seen)
        result["finite"] &= all(math.isfinite(rms) for _, rms in sizes.values())
        mode = "train" if train else "eval"
        result[f"rms_{mode}"] = [
            min(r for _, r in sizes.values()),
            max(r for _, r in sizes.values()),
        ]
        result["weights"] = len(sizes)
        if train:
            result["gradients"] = gradient_span(seen)
        for name, (position, rms) in sizes.items() if plan else ():
            row = plan[name]
            if row.output:
                ratio = rms / math.sqrt(row.output)
                low = 0.5 / math.exp(bands[position]) / (math.sqrt(1024) if row.averaged else 1)
                ratios.append(ratio)
                if not low <= ratio <= 2 * math.exp(bands[position]):
                    result["outside"].append([name, mode, ratio, row.why])
    result["ratios"] = [min(ratios), max(ratios)] if ratios else []
    return result


def measure(name: str, peers: bool) -> dict[str, Any]:
    torch.manual_seed(SEED)
    factory, inputs = zoo_models.build(name)
    start = time.perf_counter()
    model = factory()
    built = time.perf_counter() - start
    one: dict[str, Any] = {"model": name, "built": built}
    one["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    if peers:
        one["own"] = judge(model, inputs, None)
        one["anyinit"] = anyinit(factory(), inputs)
    start = time.perf_counter()
    plan = fanin.plan(model, inputs)
    planned = time.perf_counter()
    plan.apply(model, SEED)
    one["planned"], one["drawn"] = planned - start, time.perf_counter() - planned
    one["unplaced"] = [row.name for row in plan.rows if row.why.startswith("no rule")]
    one["kept"] = sum(row.initializer is None for row in plan.rows)
    one["rows"] = len(plan.rows)
    one["auto"] = judge(model, inputs, plan)
    bare = fanin.plan(factory())  # without inputs
    bare.apply(model, SEED)
    one["without inputs"] = judge(model, inputs, None)
    return one


def anyinit(model: nn.Module, inputs: Any) -> dict[str, Any]:
    import anyinit as peer

    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    start = time.perf_counter()
    try:
        peer.initialize(model, mode="analytic", input_spec=inputs, seed=SEED)
        spent = time.perf_counter() - start
        weights = [(name, t) for name, t in model.named_parameters() if t.ndim > 1]
        changed = sum(not torch.equal(before[name], tensor) for name, tensor in weights)
        found = judge(model, inputs, None)
    except Exception as error:  # whatever a peer raises is its result
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    return {**found, "seconds": spent, "covered": [changed, len(weights)]}


def table(done: list[dict[str, Any]]) -> str:
    """The rows of docs/zoo.md."""
    lines = [
        "| model | parameters | plan s | RMS / plan, train and eval | outside | gradient | "
        "own: RMS, gradient | AnyInit: weights, RMS, gradient |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in done:
        auto = one["auto"]
        cells = [
            one["model"],
            f"{one['parameters'] / 1e6:.1f} M",
            f"{one['planned']:.1f}",
            f"{auto['ratios'][0]:.2f} to {auto['ratios'][1]:.2f}",
            f"{len(auto['outside'])} of {2 * auto['weights']}",
            f"{auto['gradients']:.3g}",
            _peer(one.get("own")),
            _peer(one.get("anyinit")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _peer(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    if "error" in found:
        return f"failed: {found['error'].partition(':')[0]}"
    low, high = found["rms_train"]
    cells = [f"{low:.2g} to {high:.2g}", f"{found['gradients']:.3g}"]
    if "covered" in found:
        cells.insert(0, "{} of {}".format(*found["covered"]))
    return ", ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=zoo_models.NAMES)
    parser.add_argument("--out", type=Path, default=Path("zoo.jsonl"))
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    out: Path = arguments.out
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    finished = {one["model"] for one in done}
    for name in arguments.names:
        if name in finished:
            continue
        one = measure(name, arguments.peers)
        done.append(one)
        with out.open("a") as file:
            file.write(json.dumps(one) + "\n")
        print(table([one]).splitlines()[-1], flush=True)
        for weight, mode, ratio, why in one["auto"]["outside"]:
            print(f"    {weight} in {mode} mode: {ratio:.3f} of the plan; {why}", flush=True)
    print(table(done))


if __name__ == "__main__":
    main()
