"""Text in columns, and names in a row."""

from collections.abc import Collection, Iterable, Sequence


def align(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Lines of cells, each column as wide as its widest; those in `right` end below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def list_once(words: Iterable[str]) -> str:
    """Different words in their order: "float32, float16"; "none" of none."""
    return ", ".join(dict.fromkeys(words)) or "none"


def format_number(value: float | None) -> str:
    """Three digits; nothing of None."""
    return "" if value is None else f"{value:.3g}"


def format_share(value: float | None) -> str:
    """Whole percents; nothing of None."""
    return "" if value is None else f"{value:.0%}"


def list_names(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
