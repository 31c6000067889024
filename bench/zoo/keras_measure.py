"""Measure keras.applications under fanin, on the back end that KERAS_BACKEND names.

    KERAS_BACKEND=jax python -m bench.zoo.keras_measure --out build/zoo_keras.jsonl
    KERAS_BACKEND=torch python -m bench.zoo.keras_measure --out build/zoo_keras.jsonl

A line of JSON for each model and back end; those that a file has are not measured again.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import fanin
from bench.zoo.keras_models import MODELS
from fanin.checks._width import count_averaged, finite_width
from fanin.frameworks import adapter_for

SEED = 0
SAMPLES = 4
LOW, HIGH = 0.5, 2.0  # of the plan's RMS, without the finite-width band


def measure(name: str) -> dict[str, Any]:
    """One model: its plan, and its signal under `auto`, its own initializers and AnyInit."""
    side = MODELS[name].side
    x = np.random.default_rng(0).standard_normal((SAMPLES, side, side, 3)).astype(np.float32)
    model = MODELS[name].make()
    start = time.perf_counter()
    plan = fanin.plan(model, x)
    planned = time.perf_counter() - start
    plan.apply(model, SEED)
    plan.verify(model)
    found = {
        "model": name,
        "back_end": keras.config.backend(),
        "parameters": int(sum(math.prod(row.shape) for row in plan.rows)),
        "unplaced": [row.name for row in plan.rows if row.why.startswith("no rule")],
        "guessed": [row.name for row in plan.rows if row.guessed],
        "plan_s": planned,
        "auto": judge(model, x, plan),
    }
    if keras.config.backend() == "jax":
        found["own"] = _attempt(lambda: run(MODELS[name].make(), x))
        found["anyinit"] = _attempt(lambda: _anyinit(MODELS[name].make(), x))
    return found


def judge(model: Any, x: Any, plan: fanin.Plan) -> dict[str, Any]:
    """The outputs beside the plan; on torch, where modules can be looked into, every weight's."""
    if keras.config.backend() == "torch":
        from bench.zoo.judge import judge as judge_modules
        from fanin.frameworks.keras._on_torch import Shell

        inputs = {"args": (keras.ops.convert_to_tensor(x),), "kwargs": {}}
        return judge_modules(Shell(model), inputs, plan)
    found = run(model, x)
    nodes = adapter_for(model).target(model).trace(x).nodes
    last = max(at for at, node in enumerate(nodes) if node.op == "linear")
    use = nodes[last].param
    assert use is not None
    row = plan[use.name]
    band = math.exp(finite_width(nodes, False)[last])
    low = LOW / band / (math.sqrt(count_averaged(nodes, False)[last]) if row.averaged else 1)
    ratio = found["rms"] / math.sqrt(row.output or 1.0)
    return {**found, "ratio": ratio, "inside": low <= ratio <= HIGH * band}


def run(model: Any, x: Any) -> dict[str, Any]:
    """RMS of outputs in eval mode; gradients of a random projection of those in train mode."""
    import jax

    given = keras.ops.convert_to_tensor(x)
    trained = [variable.value for variable in model.trainable_variables]
    held = [variable.value for variable in model.non_trainable_variables]
    outputs, _ = model.stateless_call(trained, held, given, training=False)
    direction = np.random.default_rng(1).standard_normal(outputs.shape).astype(np.float32)

    def project(values: Any) -> Any:
        made, _ = model.stateless_call(values, held, given, training=True)
        return (made * direction).sum()

    gradients = jax.jit(jax.grad(project))(trained)
    norms = [float(np.linalg.norm(np.asarray(each, np.float64))) for each in gradients]
    return {
        "rms": float(np.sqrt(np.mean(np.asarray(outputs, np.float64) ** 2))),
        "finite": all(map(math.isfinite, norms)),
        "silent": sum(norm == 0 for norm in norms),
        "gradients": [min(norms), max(norms)],
    }


def _anyinit(model: Any, x: Any) -> dict[str, Any]:
    import anyinit

    start = time.perf_counter()
    report = anyinit.initialize(model, "analytic", x, seed=SEED)
    return {"seconds": time.perf_counter() - start, "layers": len(report.layers), **run(model, x)}


def _attempt(what: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return what()
    except Exception as error:  # whatever a peer raises is its result
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def main() -> None:
    """Measure what the file does not have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[*MODELS])
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    lines = given.out.read_text().splitlines() if given.out.exists() else []
    known = {(each["model"], each["back_end"]) for each in map(json.loads, lines)}
    for name in given.only:
        if (name, keras.config.backend()) in known:
            continue
        start = time.perf_counter()
        found = _attempt(lambda name=name: measure(name))
        found = {"model": name, "back_end": keras.config.backend(), **found}
        found["total_s"] = time.perf_counter() - start
        with given.out.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(name, json.dumps(found)[:300], flush=True)


if __name__ == "__main__":
    main()
