"""docs/bits.md: how many values were compared, and how many differ."""

from collections.abc import Sequence
from pathlib import Path

from bench.values.bits.counts import ROOT, Count
from bench.values.bits.pieces import DTYPES, KINDS
from fanin.lab.files import write_files

DOCS = ROOT / "docs"
_HEAD = """\
# Bits, compared

Values that were drawn in two ways, and how many differ; [streams](streams.md#bits-compared) says
how they are drawn. *Code* is a digest of the sources that make bits of addresses.

Made by `make proof-bits`; do not edit this page by hand.
"""


def write_page(counts: Sequence[Count], docs: Path) -> None:
    differences = sum(count.differences for count in counts)
    parts = [
        _HEAD,
        f"In all: {_values(counts)} values compared, {differences} differ.\n",
        *_by_comparison(counts),
    ]
    for count in counts:
        if count.first:
            parts.append(f"\n{count.comparison}, {count.draw}, {count.code}: {count.first}")
    write_files(docs, {"bits.md": "\n".join(parts) + "\n"})


def _by_comparison(counts: Sequence[Count]) -> list[str]:
    """A row for each comparison under each code, its values by dtype."""
    rows = [
        f"| comparison | {' | '.join(DTYPES)} | pieces | differences | hours | code |",
        "| --- " * (len(DTYPES) + 5) + "|",
    ]
    for code, name in dict.fromkeys((count.code, count.comparison) for count in counts):
        some = [count for count in counts if (count.code, count.comparison) == (code, name)]
        values = [
            _values(
                [count for count in some if count.draw in {f"{kind} {dtype}" for kind in KINDS}]
            )
            for dtype in DTYPES
        ]
        pieces = sum(count.pieces for count in some)
        differences = sum(count.differences for count in some)
        hours = sum(count.seconds for count in some) / 3600
        rows.append(
            f"| {name} | {' | '.join(values)} | {pieces} | {differences} | {hours:.2f} | {code} |"
        )
    return rows


def _values(counts: Sequence[Count]) -> str:
    return f"{sum(count.elements for count in counts):.3g}"
