"""What notebooks show: every text escaped, no script, the colours of the page."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from torch import nn

import fanin
from fanin import _html
from fanin.plans import Account, Audit

HOSTILE = "<script>alert(1)</script>&\"'</table>"


class _Reader(HTMLParser):
    """Tags and text of a piece of HTML; fails where tags do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(shown: Any) -> _Reader:
    reader = _Reader()
    reader.feed(shown._repr_html_())
    reader.close()
    assert reader.open == []
    return reader


class Hostile(nn.Module):
    """A network whose names would break a page."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("a<b>", nn.Linear(4, 8))
        self.add_module("</td><script>", nn.Linear(8, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.children()
        return second(torch.relu(first(x)))


def hostile_plan() -> fanin.Plan:
    return fanin.initialize(Hostile(), 3, torch.zeros(1, 4))


def hostile_audit() -> Audit:
    model = Hostile()
    plan = fanin.initialize(model, 3, torch.zeros(1, 4))
    with torch.no_grad():
        [*model.parameters()][2].mul_(3)
    return plan.audit(model)


def hostile_checkup() -> fanin.checks.Checkup:
    model = Hostile()
    fanin.initialize(model, 3, initializer="zeros")
    return fanin.check(model, torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))


SHOWN: dict[str, Callable[[], Any]] = {
    "plan": hostile_plan,
    "audit": hostile_audit,
    "checkup": hostile_checkup,
    "gains": fanin.gains.table,
}
TAGS = {"div", "style", "p", "b", "pre", "table", "tr", "th", "td"}


@pytest.mark.parametrize("name", SHOWN)
def test_it_is_html_without_scripts(name: str) -> None:
    reader = read(SHOWN[name]())
    assert reader.tags <= TAGS
    assert {"table", "tr", "td"} < reader.tags
    assert reader.attributes <= {"class"}


@pytest.mark.parametrize("name", [name for name in SHOWN if name != "gains"])
def test_names_are_shown_as_they_are(name: str) -> None:
    text = " ".join(read(SHOWN[name]()).text)
    assert "a<b>" in text
    assert "</td><script>" in text


def test_a_comparison_is_shown() -> None:
    found = fanin.lab.compare(
        ["zeros", "he_normal"], data="digits", seeds=2, train=60, test=60, epochs=1, batch_size=20
    )
    reader = read(found)
    assert reader.tags <= TAGS
    text = " ".join(reader.text)
    assert "he_normal" in text
    assert "2 seeds are too few to tell initializers apart" in text


@pytest.mark.parametrize(
    "make",
    [
        lambda: _html.paragraph(HOSTILE, HOSTILE),
        lambda: _html.preformat(HOSTILE),
        lambda: _html.table([HOSTILE], [[HOSTILE]]),
    ],
)
def test_every_part_is_escaped(make: Callable[[], str]) -> None:
    reader = _Reader()
    reader.feed(make())
    assert "script" not in reader.tags
    assert HOSTILE in "".join(reader.text)


def test_what_is_wrong_stands_out() -> None:
    accounts = (Account("a", "zeros()"), Account("b", "zeros()", fault="NOT AS PLANNED"))
    lines = Audit(accounts)._repr_html_().splitlines()
    assert [line.partition(">")[0] for line in lines if "<td>" in line] == [
        '<tr class=""',
        '<tr class="error"',
    ]
    assert "1 not as planned" in " ".join(lines)


def test_the_page_decides_on_light_and_dark() -> None:
    """Colours of our own have a contrast above 4 with white and with near black."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    colours = set(re.findall("#[0-9a-f]{6}", _html.join_parts([])))
    assert len(colours) == 2
    for colour in colours:
        for page in ("#ffffff", "#111111"):
            dark, light = sorted((luminance(colour), luminance(page)))
            assert (light + 0.05) / (dark + 0.05) > 4
