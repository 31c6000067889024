"""The site: its map has every page once, and no page asks another host for anything."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TOC: dict[str, Any] = yaml.safe_load((DOCS / "_toc.yml").read_text("utf-8"))
REQUEST = re.compile(r"""\bsrc=["']?(?:https?:)?//|url\(["']?(?:https?:)?//|@import|\bfetch\(""")


def listed(entry: Any) -> Iterator[str]:
    """The pages of a part of the map, without their suffix."""
    if isinstance(entry, list):
        for part in entry:
            yield from listed(part)
    elif isinstance(entry, dict):
        yield from (entry[key] for key in ("root", "file") if key in entry)
        for page in sorted(ROOT.glob(f"{entry['glob']}.md")) if "glob" in entry else ():
            yield str(page.relative_to(ROOT).with_suffix(""))
        yield from listed([entry.get("subtrees", []), entry.get("entries", [])])


def test_the_map_has_every_page_once() -> None:
    """If this fails: add the page to docs/_toc.yml."""
    found = Counter(listed(TOC))
    pages = {*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")}
    names = {str(page.relative_to(ROOT).with_suffix("")) for page in pages}
    assert names - {*found} == set()
    assert [name for name, count in found.items() if count > 1] == []


def test_what_the_site_adds_asks_no_other_host() -> None:
    added = [path for path in (DOCS / "_static").iterdir() if path.suffix in (".css", ".js")]
    assert len(added) > 2
    assert [path.name for path in added if REQUEST.search(path.read_text("utf-8"))] == []
