"""Write docs/catalogue: a page for each family of initializers, and an index.

    python tools/catalogue.py [--check]

The pages are made from the registry: entries and their docstrings; presets, which are rows of
data, from formula and row. --check compares instead of writing.
"""

import argparse
import inspect
import re
import sys
from pathlib import Path

from fanin.initializers import get
from fanin.initializers._entry import Entry
from fanin.initializers._presets import PRESETS
from fanin.initializers._registry import FAMILIES

FOLDER = Path(__file__).parents[1] / "docs" / "catalogue"
TITLES = {
    "constant": "Constants",
    "random": "Distributions of fixed parameters",
    "scaling": "The scaling family: variance = scale / fan",
    "periodic": "Networks of sines",
    "orthogonal": "Orthogonal maps and unit rows",
    "structured": "Structured maps, the same for every seed",
    "pairs": "Weights that share a draw with another parameter",
    "upsampling": "Upsampling: interpolation and sub-pixels",
    "states": "Time scales, gates and state spaces",
    "sparse": "Sparse maps",
    "bias": "Biases",
    "blocks": "Packed blocks and gates",
}
ALIASES = {"glorot": "xavier", "he": "kaiming"}
LABEL = re.compile(r"^(Formula|Reads|Preserves|Units|Source|Differs): ", re.MULTILINE)
SHAPE = (64, 32, 3, 3)


def pages() -> dict[str, str]:
    """The text of every page, by file name."""
    made = {f"{family}.md": _page(family, rows) for family, rows in FAMILIES.items()}
    return {"README.md": _index(), **made}


def _index() -> str:
    lines = [
        "# The catalogue of initializers",
        "",
        "Made by `tools/catalogue.py` from the registry; `fanin init --list` prints this table.",
        "`reads` names the axis roles that decide the values, `preserves` what they keep. The",
        "examples are run by the tests. Families:",
        "",
        *(f"- [{title}]({family}.md)" for family, title in TITLES.items()),
        "",
        "| initializer | values | reads | preserves | source |",
        "| --- | --- | --- | --- | --- |",
    ]
    for family, rows in FAMILIES.items():
        for row in rows:
            link = f"[{row.name}]({family}.md#{row.name})"
            facts = map(_escaped, (row.values(), row.reads, row.preserves, row.source))
            lines.append(f"| {link} | {' | '.join(facts)} |")
    return "\n".join(lines) + "\n"


def _page(family: str, rows: tuple[Entry, ...]) -> str:
    parts = [f"# {TITLES[family]}"]
    for row in rows:
        parts += [f"## {row.name}", _preset(row) if row.name in PRESETS else _documented(row)]
    return "\n\n".join(parts) + "\n"


def _preset(row: Entry) -> str:
    facts = [
        ("Formula", row.formula),
        ("Reads", row.reads),
        ("Preserves", row.preserves),
        ("Units", "the variance is that after truncation, at two standard deviations before it")
        if "truncated" in row.formula
        else ("Units", "variance; std is its root"),
        ("Source", row.source),
    ]
    who, _, rest = row.name.partition("_")
    if who in ALIASES:
        facts.append(("Also called", f"{ALIASES[who]}_{rest}"))
    lines = [f"- **{label}:** {_escaped(text)}" for label, text in facts]
    call = f"{row.name}().std({SHAPE})"
    return "\n".join(lines) + f"\n\n```python\n>>> {call}\n{get(row.name).std(SHAPE)!r}\n```"


def _documented(row: Entry) -> str:
    """The signature and the docstring, its examples as blocks of Python."""
    signature = str(inspect.signature(row.make)).partition(" ->")[0]
    text, _, examples = (inspect.getdoc(row.make) or "").partition("\n>>> ")
    prose = LABEL.sub(r"- **\1:** ", _escaped(text.strip()))
    prose = re.sub(r"(?<!\n)\n(?=\n- \*\*)", "\n", prose)
    return f"`{row.name}{signature}`\n\n{prose}\n\n```python\n>>> {examples.strip()}\n```"


def _escaped(text: str) -> str:
    return re.sub(r"([*|<])", r"\\\1", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    made = pages()
    if check:
        different = [name for name, text in made.items() if text != _stored(name)]
        print(f"docs/catalogue: {', '.join([*different, 'DIFFERENT']) if different else 'same'}")
        return int(bool(different))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")
    print(f"wrote {len(made)} pages to {FOLDER}")
    return 0


def _stored(name: str) -> str:
    path = FOLDER / name
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
