"""The same models in every library: the same rows, the same bits, the same loss.

    python -m bench.libraries.compare            # prints the table
    python -m bench.libraries.compare --docs     # and writes it into docs/libraries.md

Keras runs in a process for each back end.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.libraries.port import LIBRARIES, Drawn, draw

MODELS = ("mlp", "cnn", "resnet", "gpt", "lstm", "moe", "vit")
BACK_ENDS = ("jax", "torch")
TOLERANCE = 2e-6  # of a loss in float32
COLUMNS = (*LIBRARIES[1:-1], *(f"keras_on_{back_end}" for back_end in BACK_ENDS))
TITLES = ("Equinox", "Flax NNX", "Flax Linen", "Keras on JAX", "Keras on torch")
PAGE = Path(__file__).parents[2] / "docs" / "libraries.md"
MARK = ("<!-- table -->\n", "<!-- /table -->")


class Comparison(NamedTuple):
    """A model of one library beside torch's: of `rows` parameters, how many are alike.

    `planned` counts rows with one initializer, `same` parameters with the same bits; `loss` is the
    difference, and `told` says what else differs.
    """

    rows: int
    planned: int
    same: int
    loss: float
    told: list[str]


def compare(model: str, library: str) -> Comparison:
    """The model as this library has it beside the one of torch."""
    ports = importlib.import_module(f"bench.libraries.{model}").PORTS
    theirs, mine = draw(ports, "torch"), draw(ports, library)
    own = {row.name: row for row in mine.plan.rows}
    shared = [row for row in theirs.plan.rows if row.name in own]
    planned = [row for row in shared if str(row.initializer) == str(own[row.name].initializer)]
    same = [row for row in shared if np.array_equal(theirs.values[row.name], mine.values[row.name])]
    told = [f"{row.name}: another initializer" for row in shared if row not in planned]
    told += [f"{row.name}: other values" for row in shared if row not in same]
    told += _say_words(theirs, mine)
    told += [f"torch alone has {row.name}" for row in theirs.plan.rows if row.name not in own]
    loss = mine.loss
    if library in ports.packs:
        loss = _loss_of(ports, ports.packs[library](mine.values))
        told.append("its kernels, packed as torch packs them, give torch's model its loss")
        return Comparison(len(own), len(planned), len(same), mine.loss - loss, told)
    return Comparison(len(own), len(planned), len(same), loss - theirs.loss, told)


def _say_words(theirs: Drawn, mine: Drawn) -> list[str]:
    """Where the two plans say one thing in other words."""
    own = {row.name: row for row in mine.plan.rows}
    pairs = [(row, own[row.name]) for row in theirs.plan.rows if row.name in own]
    found = [
        f"{row.name}: torch calls it a {row.role}, and it a {other.role}"
        for row, other in pairs
        if row.role != other.role
    ]
    return found + [
        f"{row.name}: the reason of torch has {_differing(row.why, other.why)}"
        for row, other in pairs
        if row.why != other.why
    ]


def _differing(one: str, other: str) -> str:
    """The words of one text that another lacks."""
    words = [word for word in one.split() if word not in other.split()]
    return repr(" ".join(words) or one)


def _loss_of(ports: Any, weights: dict[str, np.ndarray]) -> float:
    """The loss of torch's model with these weights."""
    import torch

    model = ports.make["torch"]()
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    with torch.no_grad():
        logits = model(torch.from_numpy(ports.inputs))
    return float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(ports.labels).long()))


def compare_keras(back_end: str, models: tuple[str, ...] = MODELS) -> dict[str, Comparison]:
    """All models in Keras, in a process whose back end is this one."""
    code = (
        "import json, warnings; warnings.simplefilter('ignore');"
        "from bench.libraries.compare import compare;"
        f"print(json.dumps({{name: compare(name, 'keras') for name in {models!r}}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": back_end},
        capture_output=True,
        text=True,
        check=False,
        cwd=PAGE.parents[1],
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: Comparison(*items) for name, items in found.items()}


def tabulate(found: dict[str, dict[str, Comparison]]) -> str:
    """The table, and below it what differs, a line for each."""
    lines = [f"| model | {' | '.join(TITLES)} |", f"|{' --- |' * (len(TITLES) + 1)}"]
    for model in MODELS:
        cells = [_cell(found[column][model]) for column in COLUMNS]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    said: dict[str, list[str]] = {}
    for column, title in zip(COLUMNS, TITLES, strict=True):
        for model in MODELS:
            for line in found[column][model].told:
                said.setdefault(f"{model}: {line}", []).append(title)
    lines += ["", *(f"- {line} ({', '.join(titles)})" for line, titles in said.items())]
    return "\n".join(lines) + "\n"


def _cell(one: Comparison) -> str:
    return f"{one.planned} of {one.rows}; {one.same} of {one.rows}; {abs(one.loss):.1g}"


def main() -> None:
    """Compare all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", action="store_true")
    given = parser.parse_args()
    found = {
        library: {model: compare(model, library) for model in MODELS} for library in LIBRARIES[1:-1]
    }
    found |= {f"keras_on_{back_end}": compare_keras(back_end) for back_end in BACK_ENDS}
    table = tabulate(found)
    print(table)
    if given.docs:
        before, rest = PAGE.read_text().split(MARK[0])
        behind = rest.split(MARK[1])[1]
        PAGE.write_text(f"{before}{MARK[0]}{table}{MARK[1]}{behind}")


if __name__ == "__main__":
    main()
