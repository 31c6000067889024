"""The page of keras.applications from what `bench.zoo.keras_measure` wrote.

python -m bench.zoo.keras_table build/zoo_keras.jsonl > docs/zoo_jax_keras.md
"""

import json
import sys
from pathlib import Path
from typing import Any

COLUMNS = ("model", "parameters", "unplaced", "RMS / plan", "outside", "streams", "chains", "JAX")


def main() -> None:
    """Print the table."""
    lines = map(json.loads, Path(sys.argv[1]).read_text().splitlines())
    found: dict[str, dict[str, Any]] = {}
    for each in lines:
        found.setdefault(each["model"], {})[each["back_end"]] = each
    columns = (*COLUMNS, "own", "AnyInit")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for name, both in sorted(found.items()):
        print(_row(name, both))


def _row(name: str, both: dict[str, Any]) -> str:
    torch, jax = both.get("torch", {}), both.get("jax", {})
    known = torch if "auto" in torch else jax
    cells = [f"`{name}`"]
    if "auto" not in known:
        return f"| {' | '.join([*cells, known.get('error', ''), *[''] * 8])} |"
    cells += [f"{known['parameters'] / 1e6:.1f} M", str(len(known["unplaced"]))]
    cells += [*_judged(torch), _outputs(jax.get("auto")), _rms(jax.get("own"))]
    return "| " + " | ".join([*cells, _rms(jax.get("anyinit"))]) + " |"


def _judged(found: dict[str, Any]) -> list[str]:
    if "auto" not in found:
        return [found.get("error", "")[:60], "", "", ""]
    auto = found["auto"]
    low, high = auto["ratios"]
    count = f"{len(auto['outside'])} of {2 * auto['planned']}"
    return [
        f"{low:.2g} to {high:.2g}",
        count,
        f"{auto['stream'][0]:.3g}",
        f"{auto['branch'][0]:.3g}",
    ]


def _outputs(found: dict[str, Any] | None) -> str:
    if found is None or "rms" not in found:
        return "" if found is None else found["error"]
    where = "" if found["inside"] else ", outside"
    silent = f", {found['silent']} without gradient" if found["silent"] else ""
    return f"{found['ratio']:.2g}{where}{silent}{'' if found['finite'] else ', not finite'}"


def _rms(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{found['rms']:.2g}" if "rms" in found else found["error"].partition(":")[0]


if __name__ == "__main__":
    main()
