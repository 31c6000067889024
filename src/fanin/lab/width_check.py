"""WidthCheck: what a coordinate check found, as a verdict, a table and a drawing."""

import math
from dataclasses import dataclass

from fanin._columns import align

# Powers of the width are multiples of 1/2 in theory: this is nearer to none.
_STEADY = 0.25


@dataclass(frozen=True, slots=True)
class WidthRow:
    """One layer: RMS of its output at each width at the start, and of its change after training."""

    name: str
    starts: tuple[float, ...]
    changes: tuple[float, ...]
    start_power: float  # of the width that the sizes grow by
    change_power: float

    @property
    def verdict(self) -> str:
        """What the change does with the width, or the start where that grows."""
        if not (math.isfinite(self.change_power) and math.isfinite(self.start_power)):
            return "no change" if any(map(math.isfinite, self.starts)) else "not finite"
        if self.start_power > _STEADY:
            return "starts larger"
        if abs(self.change_power) <= _STEADY:
            return "keeps its size"
        return "grows" if self.change_power > 0 else "shrinks"


@dataclass(frozen=True, slots=True)
class WidthCheck:
    """A coordinate check: what `check_widths` found; prints as a table."""

    widths: tuple[int, ...]
    steps: int
    rows: tuple[WidthRow, ...]

    @property
    def ok(self) -> bool:
        """Whether every layer keeps its size."""
        return all(row.verdict == "keeps its size" for row in self.rows)

    @property
    def verdict(self) -> str:
        """In a sentence."""
        bad = [row for row in self.rows if row.verdict != "keeps its size"]
        if not bad:
            return "All layers keep the size of their changes: learning rates hold for every width."
        names = ", ".join(f"{row.name or 'the model'} {row.verdict}" for row in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        return f"Not the same at every width: {names}{more}."

    def __str__(self) -> str:
        when = "after 1 step" if self.steps == 1 else f"after {self.steps} steps"
        widths = [str(width) for width in self.widths]
        head = ["layer", *(f"at {width}" for width in widths), "power"]
        head += [*(f"change {width}" for width in widths), "power", "verdict"]
        cells = [head]
        for row in self.rows:
            starts, changes = ([f"{item:.3g}" for item in of] for of in (row.starts, row.changes))
            start, change = f"{row.start_power:+.2f}", f"{row.change_power:+.2f}"
            cells.append([row.name, *starts, start, *changes, change, row.verdict])
        title = f"RMS of outputs by width, at the start and of the change {when}"
        lines = align(cells, right=range(1, len(head) - 1))
        return "\n".join([f"{self.verdict}", "", title, *lines])

    def plot(self) -> str:
        """The changes over the width as an SVG; needs the lab's libraries."""
        from fanin.lab.report.drawing import SERIES, drawing

        with drawing("change of each layer's output by width", (5.0, 3.4)) as made:
            for number, row in enumerate(self.rows):
                color = SERIES[number % len(SERIES)]
                made.axes.plot(self.widths, row.changes, "o-", color=color, label=row.name)
            made.axes.set(xscale="log", yscale="log", xlabel="width", ylabel="RMS of the change")
            made.axes.set_xticks(self.widths, [str(width) for width in self.widths], minor=False)
            if len(self.rows) <= len(SERIES):
                made.axes.legend(frameon=False, fontsize="small")
        return made.svg
