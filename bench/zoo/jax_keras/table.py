"""The tables of docs/zoo_jax_keras.md, from what `bench.zoo.jax_keras.measure` wrote.

python -m bench.zoo.jax_keras.table    # writes the page again
"""

import json
from pathlib import Path
from typing import Any

from bench.zoo.judge import SPAN

RESULTS = Path(__file__).parent / "results.jsonl"
PAGE = Path(__file__).parents[3] / "docs" / "zoo_jax_keras.md"
START, END = "<!-- tables -->\n", "<!-- /tables -->"
COLUMNS = ("model", "parameters", "unplaced", "RMS / plan", "outside", "streams", "chains")
PEERS = ("own", "AnyInit")


def main() -> None:
    """Write the sums and the table between the marks."""
    found = {}
    for line in RESULTS.read_text().splitlines():
        each = json.loads(line)
        found[each["model"], each["back_end"]] = each  # the last one counts
    rows = [each for _, each in sorted(found.items())]
    columns = (*COLUMNS, *PEERS)
    lines = [*_sum(rows), "", f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    before, rest = PAGE.read_text().split(START)
    text = "\n".join([*lines, *map(_row, rows)])
    PAGE.write_text(f"{before}{START}{text}\n{END}{rest.split(END)[1]}")


def _sum(rows: list[dict[str, Any]]) -> list[str]:
    """What is true of all of them."""
    autos = [each["auto"] for each in rows if "auto" in each]
    inside = sum(not auto["outside"] for auto in autos)
    outside = sum(len(auto["outside"]) for auto in autos)
    told = [
        f"- {len({each['model'] for each in rows})} models, {len(rows)} runs; "
        f"{len(rows) - len(autos)} failed.",
        f"- `auto`: {sum(bool(each.get('unplaced')) for each in rows)} with an unplaced parameter, "
        f"{sum(not auto['finite'] for auto in autos)} not finite; every weight inside in {inside}, "
        f"{outside} of {sum(2 * auto['planned'] for auto in autos)} outputs outside; "
        f"{_over(autos)} where gradients differ by more than {SPAN:g} along a stream or chain.",
    ]
    for name, key in (("The models' own", "own"), ("AnyInit", "anyinit")):
        ran = [each[key] for each in rows if "rms_train" in each.get(key, {})]
        refused = sum("error" in each.get(key, {}) for each in rows)
        told.append(
            f"- {name}: {len(ran)} ran, {refused} failed or refused; {_over(ran)} where gradients "
            f"differ by more than {SPAN:g}, {sum(_spread(one) > 100 for one in ran)} where the "
            "largest RMS is more than 100 times the smallest "
            f"(`auto`: {sum(_spread(auto) > 100 for auto in autos)})."
        )
    return told


def _over(found: list[dict[str, Any]]) -> int:
    return sum(max(one["stream"][0], one["branch"][0]) > SPAN for one in found)


def _spread(one: dict[str, Any]) -> float:
    low, high = one["rms_train"]
    return high / low if low else 0.0


def _row(each: dict[str, Any]) -> str:
    cells = [f"`{each['model']}`{', on JAX' if _is_second(each) else ''}"]
    if "auto" not in each:
        return f"| {cells[0]} | {each['error'][:120]} |{'  |' * (len(COLUMNS) + len(PEERS) - 2)}"
    auto = each["auto"]
    ratios = " to ".join(f"{ratio:.2g}" for ratio in auto["ratios"])
    cells += [f"{each['parameters'] / 1e6:.1f} M", str(len(each["unplaced"])), ratios]
    cells += [f"{len(auto['outside'])} of {2 * auto['planned']}"]
    cells += [f"{auto['stream'][0]:.3g}", f"{auto['branch'][0]:.3g}"]
    return f"| {' | '.join([*cells, *(_peer(each.get(key)) for key in ('own', 'anyinit'))])} |"


def _is_second(each: dict[str, Any]) -> bool:
    return each["back_end"] == "jax" and each["model"].startswith("keras")


def _peer(found: dict[str, Any] | None) -> str:
    """The RMS of weights' outputs, and the largest ratio of gradients."""
    if found is None:
        return ""
    if "rms_train" not in found:
        return found["error"].partition(":")[0]
    low, high = found["rms_train"]
    return f"{low:.2g} to {high:.2g}; {max(found['stream'][0], found['branch'][0]):.3g}"


if __name__ == "__main__":
    main()
