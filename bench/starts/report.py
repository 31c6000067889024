"""Write docs/starts.md and its pictures from bench/starts/runs.

    python -m bench.starts.report

While runs are missing the page says how much is there, shows the first half as far as it is, judges
no goal and tells nothing of the second half.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from bench.starts.architecture import Architecture
from bench.starts.architectures import ALL
from bench.starts.judge import Case, Comparison, Goal, compare, format_ratio, judge, read_cases
from bench.starts.protocol import CHECKPOINTS
from bench.starts.records import FOLDER
from bench.starts.starts import STARTS
from fanin.lab.files import write_files
from fanin.lab.report.drawing import FAINT
from fanin.studies._drawing import PALETTE, panels, plain_ticks

DOCS = Path(__file__).parents[2] / "docs"
OTHERS = [start for start in STARTS if start != "auto"]
NAMES = {
    "own": "the model's own",
    "torch": "torch's defaults",
    "xavier": "Xavier",
    "lsuv": "`lsuv`",
    "anyinit": "AnyInit 0.4.0",
}
_HEAD = """\
# A hundred architectures from six starts

Does `auto` start models better than what they come with? A hundred architectures, each at the
learning rate that suits each start best, six fresh seeds at that rate and six at its neighbour. How
it is done, and what *better*, *failed* and *chance* mean, was written down before the first run, in
[bench/starts](../bench/starts/README.md).

    make starts     # hours; goes on where it was left; makes this page

Made by `python -m bench.starts.report`; do not edit this page by hand.
"""
_NOTES = {
    "first": "Rules of `auto` are tuned on these; they prove nothing.\n",
    "second": "No rule of `auto` was tuned on these; they were looked at once, at the end.\n",
}


def write(architectures: Sequence[Architecture], runs: Path, docs: Path) -> list[Path]:
    """Write the page and its pictures, all or none; return their paths."""
    halves = {
        half: [one for one in architectures if one.half == half] for half in ("first", "second")
    }
    cases = {half: read_cases(mine, runs) for half, mine in halves.items()}
    wanted = {half: sum(len(one.optimizers) for one in mine) for half, mine in halves.items()}
    complete = all(len(cases[half]) == wanted[half] for half in halves)
    parts, pictures = [_HEAD, _state(cases, wanted, complete)], {}
    for half, shown in (("first", bool(cases["first"])), ("second", complete)):
        if shown:
            text, pictures[f"starts-{half}.svg"] = _half(half, cases[half])
            parts.append(text)
    if complete:
        parts.insert(2, _goals(judge(cases["second"])))
    return write_files(docs, {"starts.md": "\n".join(parts), **pictures})


def _state(cases: dict[str, list[Case]], wanted: dict[str, int], complete: bool) -> str:
    there = {half: f"{len(cases[half])} of {wanted[half]}" for half in wanted}
    lines = [
        "## How much is there\n",
        f"First half: {there['first']} cases (an architecture under an optimizer), second half: "
        f"{there['second']}.",
    ]
    if not complete:
        lines.append(
            "The trial is not complete: no goal is judged, and nothing of the second half is told."
        )
    return "\n".join(lines) + "\n"


def _goals(goals: Sequence[Goal]) -> str:
    rows = [(goal.text, goal.found, "holds" if goal.holds else "does not hold") for goal in goals]
    return "## Goals, on the second half\n\n" + _table("goal | found | verdict", rows)


def _half(half: str, cases: Sequence[Case]) -> tuple[str, str]:
    """The section of a half, and its picture."""
    found = {
        other: [compare(cases, other, place) for place in range(len(CHECKPOINTS))]
        for other in OTHERS
        if any(other in case.losses for case in cases)
    }
    caption = f"Loss of auto over that of other starts, {half} half"
    text = "\n".join(
        [
            f"## The {half} half\n",
            _NOTES[half],
            _overall(cases, found),
            _failures(cases),
            "### Case by case\n",
            f"![{caption}](starts-{half}.svg)\n",
            "Ratio of losses, geometric mean of twelve seeds; left of the line `auto` is lower. A "
            "full dot: told apart.\n",
            _each(cases, found),
        ]
    )
    return text, _draw(caption, found)


def _overall(cases: Sequence[Case], found: dict[str, list[Comparison]]) -> str:
    rows = []
    for other, comparisons in found.items():
        for one in comparisons:
            counts = [str(one.words.count(word)) for word in ("better", "same", "worse")]
            raised = sum(other in case.raised for case in cases)
            rows.append(
                (NAMES[other], str(one.steps), *counts, format_ratio(one.ratio), str(raised))
            )
    head = "`auto` beside | steps | better | same | worse | loss ratio (95 %) | raised"
    return _table(head, rows)


def _failures(cases: Sequence[Case]) -> str:
    rows = []
    for start in STARTS:
        ran = [case for case in cases if start in case.losses]
        runs = sum(len(case.losses[start]) for case in ran)
        failed = sum(case.count_failed(start) for case in ran)
        lost = sum(case.fails(start) for case in ran)
        share = f"{failed / runs:.1%}" if runs else "-"
        rows.append((NAMES.get(start, f"`{start}`"), share, f"{lost} of {len(ran)}"))
    return _table("start | runs that failed | cases where most did", rows)


def _each(cases: Sequence[Case], found: dict[str, list[Comparison]]) -> str:
    """Loss of every start at the end, and how `auto` compares at both checkpoints."""
    verdicts = {
        (other, case.name): f" {'/'.join(words)}"
        for other, comparisons in found.items()
        for case, *words in zip(
            comparisons[0].cases, *(one.words for one in comparisons), strict=True
        )
    }
    rows = []
    for case in cases:
        row = [f"`{case.name}`", f"{case.chance:.3g}"]
        for start in STARTS:
            word = verdicts.get((start, case.name), "")
            row.append(_mean(case, start) + word)
        rows.append(row)
    return _table(f"case | chance | {' | '.join(STARTS)}", rows)


def _mean(case: Case, start: str) -> str:
    """The mean loss at the end, of the runs that are finite."""
    if start in case.raised:
        return "raised"
    ends = [row[-1] for row in case.losses[start] if row[-1] is not None]
    return f"{fmean(ends):.3g}" if ends else "not finite"


def _draw(caption: str, found: dict[str, list[Comparison]]) -> str:
    shown = {"own": PALETTE[0], "anyinit": PALETTE[1]}
    names = list(dict.fromkeys(case.name for one in found.values() for case in one[0].cases))

    def draw(axes: Sequence[Axes]) -> None:
        for place, one in enumerate(axes):
            one.axvline(1, color=FAINT, linewidth=0.8)
            for other, colour in shown.items():
                if other in found:
                    _dots(one, found[other][place], names, colour)
            one.set_xscale("log")
            one.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            plain_ticks(one.xaxis)
            one.set_ylim(len(names) - 0.5, -0.5)
            one.set_yticks(range(len(names)), names if place == 0 else [""] * len(names))
            one.set_title(f"{CHECKPOINTS[place]} steps", fontsize=10)
            one.set_xlabel("loss of auto / other")
        axes[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))

    return panels(caption, len(CHECKPOINTS), draw, (4.4, 1.2 + 0.19 * len(names)))


def _dots(axes: Axes, comparison: Comparison, names: Sequence[str], colour: str) -> None:
    places = [names.index(case.name) for case in comparison.cases]
    ratios = [math.exp(one.interval.mean) for one in comparison.differences]
    full = [colour if one.found else "none" for one in comparison.differences]
    axes.scatter(ratios, places, s=22, facecolors=full, edgecolors=colour, label=comparison.other)


def _table(head: str, rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {head} |", "|---" * len(head.split(" | ")) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def main(say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=FOLDER)
    parser.add_argument("--docs", type=Path, default=DOCS)
    arguments = parser.parse_args()
    for path in write(ALL, arguments.runs, arguments.docs):
        say(f"wrote {path}")


if __name__ == "__main__":
    main()
