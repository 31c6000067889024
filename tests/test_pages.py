"""The pages: links lead somewhere, every page can be reached, docs/api is what the code says."""

import pkgutil
import re
import runpy
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README, INDEX = ROOT / "README.md", ROOT / "docs" / "pages.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^(`{3,}).*?^\1`*$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
LINK = re.compile(r"\]\(<?([^()\s>]+)>?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
MARKUP = re.compile(r"`|\*|\\|!?\[([^]]*)\]\([^)]*\)")


def links(page: Path) -> list[str]:
    """The relative links of a page; what code shows is none."""
    found = LINK.findall(CODE.sub("", FENCE.sub("", page.read_text("utf-8"))))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(FENCE.sub("", page.read_text("utf-8"))):
        words = re.sub(r"[^\w\- ]", "", MARKUP.sub(r"\1", heading).strip().lower())
        slug = words.replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b.c`: d, *e*\n```\n# no\n```\n## [x](y) - z_1\n## x - z_1\n", "utf-8")
    assert anchors(page) == {"a-bc-d-e", "x---z_1", "x---z_1-1"}
    page.write_text("[a](b.md#c) `[d](e)` [f](http://g)\n```\n[h](i)\n```\n![j](k.svg)", "utf-8")
    assert links(page) == ["b.md#c", "k.svg"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    front, seen = [README], {README}
    while front:
        page = front.pop()
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target not in seen:
                seen.add(target)
                front.append(target)
    assert [page for page in PAGES if page not in seen] == []


def test_the_readme_is_short_and_soon_at_its_point() -> None:
    lines = README.read_text("utf-8").splitlines()
    assert len(lines) <= 120
    assert "pip install" in " ".join(lines[:3])
    assert "```python" in lines[:10]


def test_what_the_readme_shows_of_a_command_is_on_a_page() -> None:
    """The first block is run by tests/test_examples.py; the pages say how the others were made."""
    shown = re.findall(r"^```text\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    pages = "".join(page.read_text("utf-8") for page in PAGES if page != README)
    assert len(shown) > 2
    assert [text for text in shown[1:] if text not in pages] == []


def test_the_index_has_the_pages_of_docs() -> None:
    linked = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in links(INDEX)}
    assert {page for page in (ROOT / "docs").glob("*.md") if page != INDEX} <= linked


def test_the_reference_is_what_the_code_says() -> None:
    """If this fails: python tools/api.py"""
    for library in ("lightning", "transformers", "keras"):  # whose integrations have pages
        pytest.importorskip(library)
    made = runpy.run_path(str(ROOT / "tools" / "api.py"))["pages"]()
    folder = ROOT / "docs" / "api"
    assert {path.name for path in folder.iterdir()} == set(made)
    for name, text in made.items():
        assert (folder / name).read_text("utf-8") == text, name


GLOSSARY = re.compile(r"^\| ([^|]+) \| [^|]+ \|([^|]*)\|$", re.MULTILINE)


def test_the_glossary_has_one_meaning_a_term_and_names_what_is_there() -> None:
    rows = GLOSSARY.findall((ROOT / "docs" / "glossary.md").read_text("utf-8"))
    terms = [
        term for names, _ in rows if names not in ("term", "---") for term in names.split(", ")
    ]
    assert len(terms) > 40
    assert len(set(terms)) == len(terms)
    for path in re.findall(r"`([\w.]+)`", " ".join(code for _, code in rows)):
        assert pkgutil.resolve_name(path), path
