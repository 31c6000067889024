"""Write the tables of gains into docs/gains.md.

python tools/gains_table.py
"""

from pathlib import Path

from fanin.gains import table

PAGE = Path(__file__).parents[1] / "docs" / "gains.md"


def blocks() -> dict[str, str]:
    """The tables of the page in Markdown, by the name in their marks."""
    return {"gains": _gains(), "torch": _torch()}


def marked(name: str, text: str) -> str:
    """A table between its marks."""
    return f"<!-- {name} -->\n{text}<!-- /{name} -->\n"


def _gains() -> str:
    lines = ["| activation | parameters | forward | backward | torch's |", "|---|---|---|---|---|"]
    for row in table():
        names = ", ".join(f"`{name}`" for name in (row.name, *row.aliases))
        values = " | ".join(map(digits, (row.forward, row.backward, row.torch)))
        lines.append(f"| {names} | {row.parameters} | {values} |")
    return "\n".join(lines) + "\n"


def _torch() -> str:
    lines = [
        "| | torch's | forward | backward | variance after a layer | gradient's square after it |",
        "|---|---|---|---|---|---|",
    ]
    for row in table():
        if row.torch and row.forward and row.backward and abs(row.torch / row.forward - 1) > 1e-9:
            after = (row.torch / row.forward) ** 2, (row.torch / row.backward) ** 2
            values = (row.torch, row.forward, row.backward, *after)
            lines.append(f"| {row.name} | {' | '.join(f'{value:.4f}' for value in values)} |")
    return "\n".join(lines) + "\n"


def digits(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def main() -> None:
    text = PAGE.read_text("utf-8")
    for name, found in blocks().items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        text = before + marked(name, found) + rest.partition(f"<!-- /{name} -->\n")[2]
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
