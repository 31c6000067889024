"""Initialize models that others wrote for Keras and JAX, run them, and judge every weight's output.

    KERAS_BACKEND=jax python -m bench.zoo.jax_keras.measure --only keras [--again]
    KERAS_BACKEND=torch python -m bench.zoo.jax_keras.measure --only keras

Needs keras_hub 0.32, with kagglehub and kagglesdk, and anyinit 0.4.0 beside fanin's own `dev`. A
line of JSON in RESULTS for each model and back end; what has one is not measured again. Nothing is
downloaded.
"""

import argparse
import importlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras

from bench.zoo.jax_keras.models import Model, count
from bench.zoo.jax_keras.table import RESULTS
from bench.zoo.judge import judge_runs

# The lists, and whether their models run on either back end of Keras.
LISTS = {
    "applications": True,
    "hub": True,
    "linen": False,
    "equinox": False,
    "nnx": False,
    "haiku": False,
}

Make = Callable[[], Model]


def measure(make: Make) -> dict[str, Any]:
    """One model: its plan, and its signal under `auto`, its own initializers and AnyInit."""
    model = make()
    start = time.perf_counter()
    plan = model.plan()
    planned = time.perf_counter() - start
    model.draw(plan)
    found: dict[str, Any] = {
        "parameters": count(plan),
        "rows": len(plan.rows),
        "unplaced": [row.name for row in plan.rows if row.why.startswith("no rule")],
        "guessed": [row.name for row in plan.rows if row.guessed],
        "plan_s": planned,
        "auto": judge_runs(model.look, plan),
    }
    found["own"] = _attempt(lambda: judge_runs(make().look, None))
    found["anyinit"] = _attempt(lambda: _judge_anyinit(make()))
    return found


def _judge_anyinit(model: Model) -> dict[str, Any]:
    start = time.perf_counter()
    layers = model.draw_by_anyinit()
    spent = time.perf_counter() - start
    return {"seconds": spent, "layers": layers, **judge_runs(model.look, None)}


def _attempt(what: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return what()
    except Exception as error:  # whatever a library raises is its result
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def list_models() -> Iterator[tuple[str, str, Make]]:
    """Every model that this process can run: its name, its back end and what makes it."""
    for name, is_keras in LISTS.items():
        for model, make in importlib.import_module(f"bench.zoo.jax_keras.{name}").MODELS.items():
            yield model, keras.config.backend() if is_keras else "jax", make


def main() -> None:
    """Measure what RESULTS does not have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[""], help="the start of names")
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    known = {(each["model"], each["back_end"]) for each in map(json.loads, lines)}
    for name, back_end, make in list_models():
        if not name.startswith(tuple(given.only)) or (
            (name, back_end) in known and not given.again
        ):
            continue
        start = time.perf_counter()
        found = _attempt(lambda make=make, back_end=back_end: measure(make))
        found = {"model": name, "back_end": back_end, **found}
        found["total_s"] = time.perf_counter() - start
        with RESULTS.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(name, back_end, json.dumps(found)[:400], flush=True)


if __name__ == "__main__":
    main()
