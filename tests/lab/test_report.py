import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

from fanin.lab import Comparison, report

Make = Callable[..., Comparison]

NASTY = "<script>alert('$x_1$ & \"y\"')</script>"


class Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def test_the_page_is_self_contained_and_escapes_what_users_wrote(make: Make) -> None:
    page = report.html(make({NASTY: [0.9, 0.8], "b": [0.5, 0]}))
    collector = Collector()
    collector.feed(page)
    assert "script" not in collector.tags
    assert all(link.startswith("#") for link in collector.links)
    assert "url(http" not in page
    assert "@import" not in page
    assert collector.tags.count("svg") == 3  # one of dots, one of curves for each row


def test_every_plot_is_well_formed_and_takes_its_colours_from_the_page(make: Make) -> None:
    page = report.html(make({NASTY: [0.9, 0.8], "b": [0, 0]}))
    plots = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    texts = [" ".join(ElementTree.fromstring(plot).itertext()) for plot in plots]
    assert NASTY in texts[0]
    assert "every run diverged" in texts[2]
    assert "var(--accent)" in plots[0]
    assert "var(--failed)" in plots[0]
    assert not re.search(r"#0[1-4]0[1-4]0[1-4]", page)


def test_the_same_comparison_gives_the_same_page(make: Make) -> None:
    rows = {"a": [0.9, 0.8], "b": [0.5, 0]}
    assert report.html(make(rows)) == report.html(make(rows))


def test_json_is_valid_and_complete(make: Make) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    comparison = make({"a": [0.9, 0]})
    content = json.loads(report.json_text(comparison), parse_constant=refuse)
    assert content["settings"]["train"] == 20
    assert content["command"] == comparison.settings.command
    assert content["versions"] == {"fanin": "0"}
    (row,) = content["rows"]
    assert (row["initializer"], row["failed"], row["reached_target"]) == ("a", 1, 1)
    learned, diverged = row["trials"]
    assert (learned["seed"], learned["verdict"]) == (0, "learned")
    assert len(learned["losses"]) == len(content["loss_steps"])
    assert diverged["losses"][-1] is None


def test_one_seed_has_null_for_its_interval(make: Make) -> None:
    content = json.loads(report.json_text(make({"a": [0.9]})))
    assert content["rows"][0]["accuracy"] == {"mean": 0.9, "low": None, "high": None}
