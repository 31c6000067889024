"""Write docs/check/F01.md ..., a page for each rule of `fanin check`, from the rules themselves.

python tools/check_pages.py

It also writes the table of rules and the output of the first example into docs/check/index.md.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fanin.checks import RULES, Rule

FOLDER = Path(__file__).parents[1] / "docs" / "check"
INDEX = FOLDER / "index.md"
BLOCK = "```{}\n(.*?)```"


def pages() -> dict[str, str]:
    """The text of every rule's page, by file name."""
    return {f"{rule.id}.md": _page(rule) for rule in RULES.values()}


def table() -> str:
    """The table of all rules."""
    lines = ["| rule | name | what it finds | warning | error |", "| --- | --- | --- | --- | --- |"]
    for rule in RULES.values():
        cells = (rule.name, rule.summary, rule.warning, rule.error)
        lines.append(f"| [{rule.id}]({rule.id}.md) | {' | '.join(map(_escaped, cells))} |")
    return "\n".join(lines) + "\n"


def example(text: str) -> str:
    """What the first command of a page prints for the model of its first block of Python."""
    code, command = (
        re.findall(BLOCK.format(kind), text, re.DOTALL)[0] for kind in ("python", "sh")
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "models.py").write_text(code, "utf-8")
        words = [sys.executable, "-m", *command.split()]
        done = subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 1:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return f"```text\n{done.stdout}```\n"


def between(name: str, made: str, text: str) -> str:
    """A page with what was made between the marks of this name."""
    before, _, rest = text.partition(f"<!-- {name} -->\n")
    mark = f"<!-- /{name} -->\n"
    return f"{before}<!-- {name} -->\n{made}{mark}{rest.partition(mark)[2]}"


def _page(rule: Rule) -> str:
    facts = [
        ("Measured", rule.measured),
        ("Warning", rule.warning),
        ("Error", rule.error),
        ("Reason", rule.reason),
        ("Allowed", rule.allowed),
        ("Remedy", rule.remedy),
        ("Source", rule.source),
    ]
    parts = [f"# {rule.id} {rule.name}", f"Finds that {_escaped(rule.summary)}."]
    parts += [f"**{name}.** {_sentence(_escaped(text))}" for name, text in facts if text]
    parts.append(f"Made by `tools/check_pages.py`; `fanin check --explain {rule.id}` prints it.")
    return "\n\n".join(parts) + "\n"


def _sentence(text: str) -> str:
    capital = text[0].upper() + text[1:] if text.split()[0].isalpha() else text
    return capital if capital.endswith((".", ")")) else f"{capital}."


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("|", "\\|").replace("<", "\\<")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")
    text = INDEX.read_text("utf-8")
    text = between("rules", table(), between("example", example(text), text))
    INDEX.write_text(text, "utf-8")
    print(f"wrote {len(made)} pages, and {INDEX.name}, to {FOLDER}")


if __name__ == "__main__":
    main()
