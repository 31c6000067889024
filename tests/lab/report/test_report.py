import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

from fanin.lab import Comparison
from fanin.lab.report import report

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
    assert collector.tags.count("svg") == 4  # dots and curves, each in two widths


def test_every_plot_is_well_formed_and_takes_its_colours_from_the_page(make: Make) -> None:
    page = report.html(make({NASTY: [0.9, 0.8], "b": [0, 0]}))
    plots = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    texts = [" ".join(ElementTree.fromstring(plot).itertext()) for plot in plots]
    assert NASTY in texts[0]
    assert "every run met NaN: b" in texts[2]
    assert "learned" not in texts[0]
    assert "b, seed 1: 0.0 %, nan" in texts[0]
    assert f"{NASTY}, seed 0: 90.0 %" in texts[0]
    assert re.search(r"step \d+: loss [\d.]+, seeds from", texts[2])
    for plot in plots:
        assert plot.startswith('<svg role="img" aria-label="')
    assert "var(--series-0)" in plots[2]
    assert "var(--accent)" in plots[0]
    assert "var(--failed)" in plots[0]
    assert not re.search(r"#0[1-5]0[0-4]0[0-9]", page)


def test_rows_stand_in_the_order_of_their_scores_and_none_is_bold_alone(make: Make) -> None:
    rows = {"low": [0.5, 0.52] * 6, "high": [0.9, 0.91] * 6, "near": [0.91, 0.9] * 6}
    page = report.html(make(rows))
    names = re.findall(r'<tr( class="best")?>\s*<th scope="row">(\w+)</th>', page)
    bold = ' class="best"'
    assert names[:3] == [(bold, "high"), (bold, "near"), ("", "low")]
    assert 'class="best"' not in report.html(make({"a": [0.9, 0.91] * 6, "b": [0.91, 0.9] * 6}))


def test_signals_are_a_table(make: Make) -> None:
    page = " ".join(report.html(make({"a": [0.9, 0.8]})).split())
    assert '<td data-label="conv1">1</td> <td data-label="head">0.5</td>' in page
    assert '<td data-label="conv1">0.01</td> <td data-label="head">0.02</td>' in page


def test_differences_are_percentage_points(make: Make) -> None:
    page = report.html(make({"a": [0.9, 0.8], "b": [0.5, 0.4]}))
    assert "40.0 pp</td>" in page
    regression = report.html(make({"a": [0.9, 0.8], "b": [0.5, 0.4]}, task="regression"))
    assert "0.400</td>" in regression


def test_the_same_comparison_gives_the_same_page(make: Make) -> None:
    rows = {"a": [0.9, 0.8], "b": [0.5, 0]}
    assert report.html(make(rows)) == report.html(make(rows))


def test_json_is_valid_and_complete(make: Make) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    comparison = make({"a": [0.9, 0], "b": [0.5, 0.5]})
    content = json.loads(report.json_text(comparison), parse_constant=refuse)
    assert content["settings"]["train"] == 20
    assert content["statistics"] == {
        "alpha": 0.05,
        "level": 0.95,
        "power": 0.8,
        "resamples": 9999,
        "seed": 0,
    }
    assert content["versions"] == {"fanin": "0"}
    row, _ = content["rows"]
    assert (row["initializer"], row["failed"], row["reached_target"]) == ("a", 1, 1)
    learned, failed = row["trials"]
    assert (learned["seed"], learned["verdict"]) == (0, "learned")
    assert len(learned["losses"]) == len(content["loss_steps"])
    assert failed["losses"][-1] == "nan"
    assert learned["signals"]["forward"] == [1.0, 0.5]
    (pair,) = content["differences"]["score"]["comparisons"]
    assert (pair["first"], pair["second"], pair["found"]) == ("a", "b", False)


def test_what_belongs_to_one_run_is_in_run_alone(make: Make) -> None:
    one, two = make({"a": [0.9]}), make({"a": [0.9]})
    two.run["seconds"] = 99.0  # type: ignore[index]
    first, second = (json.loads(report.json_text(each)) for each in (one, two))
    assert first.pop("run") != second.pop("run")
    assert first == second


def test_one_seed_has_no_number_for_its_interval(make: Make) -> None:
    content = json.loads(report.json_text(make({"a": [0.9]})))
    assert content["rows"][0]["score"] == {"mean": 0.9, "low": "nan", "high": "nan"}


def test_csv_has_a_line_for_every_trial(make: Make) -> None:
    lines = report.csv_text(make({"uniform(-0.5, 0.5)": [0.9, 0], "b": [0.5, 0.4]})).splitlines()
    assert lines[0] == "initializer,seed,lr,verdict,score,final_loss,steps_to_target"
    assert len(lines) == 5
    assert lines[1].startswith('"uniform(-0.5, 0.5)",0,0.001,learned,0.9,')
    assert lines[2] == '"uniform(-0.5, 0.5)",1,0.001,nan,0,nan,'


def test_the_page_says_how_it_was_tested(make: Make) -> None:
    page = " ".join(report.html(make({"a": [0.9, 0.8], "b": [0.5, 0.4]})).split())
    assert "Alpha 0.05; 2 seeds" in page
    assert "0 is outside exactly where a difference is found" in page
    assert "fanin compare --initializers a b --seeds 2" in page
