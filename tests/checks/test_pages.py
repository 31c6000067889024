"""docs/check is what the rules say, and fanin check prints the same."""

import re
import runpy
from pathlib import Path

import pytest

from fanin import cli
from fanin.checks import RULES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "check"
INDEX = (FOLDER / "index.md").read_text("utf-8")
TOOL = runpy.run_path(str(ROOT / "tools" / "check_pages.py"))


def test_every_rule_has_its_page() -> None:
    made = TOOL["pages"]()
    assert set(made) == {f"{id}.md" for id in RULES}
    for name, text in made.items():
        assert (FOLDER / name).read_text("utf-8") == text, "run tools/check_pages.py"


def test_there_is_no_page_of_a_rule_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("F*.md")} == set(RULES)


def test_the_index_has_the_table_of_rules() -> None:
    assert TOOL["between"]("rules", TOOL["table"](), INDEX) == INDEX, "run tools/check_pages.py"


def masked(text: str) -> str:
    """Numbers and bars may differ on another CPU, and with them where lines are broken."""
    return " ".join(re.sub(r"[▁-█]+|\d[\d.,]*(e[+-]?\d+|\+c\w+)?", "#", text).split())


def test_the_example_of_the_index_is_what_the_command_prints() -> None:
    shown = INDEX.partition("<!-- example -->\n")[2].partition("<!-- /example -->")[0]
    assert "F02 error" in shown
    assert masked(shown) == masked(TOOL["example"](INDEX)), "run tools/check_pages.py"


def test_the_links_of_the_index_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", INDEX)
    assert len(links) > len(RULES)
    assert [link for link in links if not (FOLDER / link).exists()] == []


@pytest.mark.parametrize("id", RULES)
def test_explain_prints_the_rule(id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--explain", id]) == 0
    assert capsys.readouterr() == (f"{RULES[id].explanation}\n", "")
