"""The catalogue: the pages are those that the registry gives, and the command prints all rows."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from fanin import cli
from fanin.initializers._registry import ENTRIES, FAMILIES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "catalogue"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("catalogue", ROOT / "tools" / "catalogue.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_those_of_the_registry(tool: ModuleType) -> None:
    """If this fails: python tools/catalogue.py"""
    made = tool.pages()
    assert {path.name for path in FOLDER.iterdir()} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text("utf-8") == text, name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_entry_has_a_section_with_an_example(family: str) -> None:
    """tests/test_examples.py runs the examples."""
    sections = re.split(r"^## ", (FOLDER / f"{family}.md").read_text("utf-8"), flags=re.MULTILINE)
    assert [one.partition("\n")[0] for one in sections[1:]] == [
        row.name for row in FAMILIES[family]
    ]
    assert all("```python\n>>> " in one for one in sections[1:])


def test_the_command_lists_every_entry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert cli.main(["init", "--list"]) == 0
    out = capsys.readouterr().out
    for row in ENTRIES.values():
        (line,) = [one for one in out.splitlines() if one.split()[:1] == [row.name]]
        assert row.reads.split(",")[0] in line
        assert row.values().split()[0] in line


def test_without_a_flag_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fanin: error: nothing to do: name a factory and a file, fanin init ")
    assert error.endswith("'fanin init --list' prints the catalogue.\n")


def test_without_a_terminal_no_cell_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert cli.main(["init", "--list"]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    for row in ENTRIES.values():
        (line,) = [one for one in out.splitlines() if one.split()[:1] == [row.name]]
        assert row.values() in line
        assert row.source in line
