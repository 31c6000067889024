"""Every example in the documentation runs and gives what it shows."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

import fanin

README = Path(__file__).parents[1] / "README.md"
FRONT = README.parent / "docs" / "index.md"
PAGES = sorted(
    page
    for page in (README, *(README.parent / "docs").rglob("*.md"))
    if page.parent.name != "api"  # whose examples are those of docstrings
)
ELLIPSIS = doctest.ELLIPSIS  # `...` stands for the end of a long message
FENCE = re.compile(r"^```.*$", re.MULTILINE)
PRINTING = re.compile(r"(?sm)^```python\n(?!>>>)(.*?)^```\n\n```text\n(.*?)^```")
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(fanin.__path__, "fanin.")
    if not found.name.startswith(("fanin._native", "fanin.__main__"))
)


def import_or_skip(name: str) -> ModuleType:
    """The module; `integrations` and adapters need libraries that fanin is tested without, too."""
    if name.startswith("fanin.integrations.") or name == "peft":
        return cast(ModuleType, pytest.importorskip(name))
    return importlib.import_module(name)


@pytest.mark.parametrize("name", ["fanin", *MODULES])
def test_examples_in_docstrings(name: str) -> None:
    failures = io.StringIO()
    module = import_or_skip(name)
    runner = doctest.DocTestRunner(optionflags=ELLIPSIS)
    for test in doctest.DocTestFinder().find(module, name):
        runner.run(test, out=failures.write)
    assert runner.summarize(verbose=False).failed == 0, failures.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_examples_in_pages(page: Path) -> None:
    """The >>> lines of README and docs; the pages of the catalogue use initializers by name."""
    known = vars(importlib.import_module("fanin.initializers")) if "catalogue" in str(page) else {}
    failures = io.StringIO()
    text = FENCE.sub("", page.read_text("utf-8"))  # doctest would take a fence for output
    for name in re.findall(r"(?:from|import) .*?\b(fanin\.integrations\.\w+|peft)\b", text):
        import_or_skip(name)
    test = doctest.DocTestParser().get_doctest(text, dict(known), page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=ELLIPSIS)
    runner.run(test, out=failures.write)
    assert runner.summarize(verbose=False).failed == 0, failures.getvalue()


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = [
        example
        for name in MODULES
        if not name.startswith("fanin.integrations.")
        for test in finder.find(importlib.import_module(name), name)
        for example in test.examples
    ]
    assert len(examples) >= 10


@pytest.mark.parametrize("page", [README, FRONT], ids=["readme", "front"])
def test_a_python_block_prints_the_text_block_below_it(page: Path) -> None:
    """One after the other, as a reader would run them."""
    names: dict[str, object] = {"__name__": "__main__"}
    found = PRINTING.findall(page.read_text("utf-8"))
    assert found
    for code, shown in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(page), "exec"), names)
        assert printed.getvalue().strip() == shown.strip()
