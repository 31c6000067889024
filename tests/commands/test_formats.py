"""Every format of `fanin check`, from checkups made by hand: whole, valid, well escaped."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from fanin.checks import RULES, Checkup, Conditions, Finding, Layer
from fanin.commands.formats import FORMATS, ReportSubject, renderer
from fanin.commands.formats._markdown import LONGEST

NASTY = "<script>alert('x')</script>|`b`\n::error::\x1b[31m%, 5"
CONDITIONS = Conditions(
    model="Net",
    parameters=1234,
    framework="torch 2.13.0",
    dtype="float32",
    device="cpu",
    mode="train",
    batch=64,
    inputs="Gaussian, mean 0, variance 1, (64, 784)",
    loss="random projection",
    draws=1,
    seed=0,
)


def layer(number: int, rms: float | None, gradient: float | None, name: str = "") -> Layer:
    name = name or f"layers.{number}"
    return Layer(
        f"{name}.weight",
        name,
        "linear",
        (256, 256),
        "relu",
        "glorot_uniform",
        rms=rms,
        expected_rms=0.7**number,
        gradient=gradient,
        scale=0.71,
        chain=0,
        position=number,
    )


def finding(id: str, severity: Any, layer: str, value: float | None = 1.0) -> Finding:
    said = ("0.71 of it", "all of it", "1.2", "ReLU halves it.", f"he_normal(), says {id}")
    return Finding(id, severity, layer, *said, value)


def checkup(findings: tuple[Finding, ...], depth: int = 3, **changes: Any) -> Checkup:
    made = tuple(layer(number, 0.7**number, 0.1) for number in range(depth))
    return Checkup(findings, **{"layers": made, "notes": (), "conditions": CONDITIONS, **changes})


def subject(**changes: Any) -> ReportSubject:
    return ReportSubject(**{"name": "models:make", "rules": tuple(RULES), **changes})


def rendered(form: str, made: Checkup, of: ReportSubject) -> str:
    return renderer(form)(made, of)


SICK = checkup(
    (
        finding("F02", "error", "layers.2", math.inf),
        finding("F16", "warning", "", 0.6),
        finding("F12", "note", "layers.1"),
        finding("F12", "note", "layers.2"),
    )
)
NASTY_FINDING = Finding("F01", "error", NASTY, NASTY, NASTY, NASTY, NASTY, NASTY, math.nan)
NASTY_LAYERS = (layer(0, math.inf, 0.0, NASTY), layer(1, math.nan, None, NASTY + "1"))
HURT = checkup((NASTY_FINDING,), layers=NASTY_LAYERS, notes=(NASTY,))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("made", [SICK, HURT, checkup(())], ids=["sick", "nasty", "clean"])
def test_every_format_ends_its_text_and_is_the_same_again(form: str, made: Checkup) -> None:
    text = rendered(form, made, subject())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert rendered(form, made, subject()) == text


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_what_it_found_and_the_fix(form: str) -> None:
    text = rendered(form, SICK, subject())
    for word in ("F02", "F16", "F12", "layers.2", "he_normal()", "ReLU halves it"):
        assert word in text, word


def test_text_is_the_printed_checkup() -> None:
    assert rendered("text", SICK, subject()) == f"models:make\n{str(SICK).rstrip()}\n"


def test_json_is_the_checkup() -> None:
    assert json.loads(rendered("json", HURT, subject())) == json.loads(HURT.to_json())


def sarif(made: Checkup, **changes: Any) -> Any:
    log = json.loads(rendered("sarif", made, subject(**changes)), parse_constant=refuse)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    return run


def test_sarif_has_what_its_schema_requires() -> None:
    """SARIF 2.1.0: run.tool, tool.driver, name, rule.id, result.message.text; ruleIndex counts."""
    for made in (SICK, HURT, checkup(())):
        run = sarif(made)
        driver = run["tool"]["driver"]
        assert driver["name"] == "fanin"
        assert [rule["id"] for rule in driver["rules"]] == list(RULES)
        for rule in driver["rules"]:
            assert rule["shortDescription"]["text"]
            assert rule["help"]["text"]
            assert re.fullmatch(r"[A-Z]\w*", rule["name"])
        assert len(run["results"]) == len(made.findings)
        for result, found in zip(run["results"], made.findings, strict=True):
            assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == found.id
            assert result["level"] == found.severity
            assert found.fix in result["message"]["text"]


def test_sarif_places_a_result_at_its_layer_and_at_the_factory() -> None:
    (inside, *_), (outside, *_) = (
        sarif(SICK, **given)["results"] for given in ({"file": "a b/m.py", "line": 7}, {})
    )
    (place,) = inside["locations"]
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "models:make.layers.2"
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/m.py"
    assert place["physicalLocation"]["region"] == {"startLine": 7}
    assert "physicalLocation" not in outside["locations"][0]
    prints = [result["partialFingerprints"]["faninFinding/v1"] for result in sarif(SICK)["results"]]
    assert len(set(prints)) == len(prints)


def test_junit_has_a_case_for_each_rule_and_fails_by_the_level() -> None:
    text = rendered("junit", SICK, subject(rules=("F02", "F03", "F12", "F16")))
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    root = ElementTree.fromstring(text.encode())
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "0")
    cases = {str(case.get("name")): case for case in suite.iter("testcase")}
    assert list(cases) == ["F02 forward-scale", "F03 backward-scale", "F12 gain", "F16 narrow"]
    failure = cases["F02 forward-scale"].find("failure")
    assert failure is not None
    assert failure.get("message", "").startswith("layers.2: ")
    assert "he_normal()" in str(failure.text)
    assert list(cases["F03 backward-scale"]) == []
    assert [child.tag for child in cases["F12 gain"]] == ["system-out"]


def test_junit_fails_milder_findings_where_the_level_is_milder() -> None:
    root = ElementTree.fromstring(rendered("junit", SICK, subject(level="note")).encode())
    assert root.get("failures") == "3"
    messages = [str(one.get("message")) for one in root.iter("failure")]
    told = [[one.partition(": ")[0] for one in message.split("; ")] for message in messages]
    assert told == [["layers.2"], ["layers.1", "layers.2"], ["the model"]]


def test_junit_escapes_what_xml_cannot_hold() -> None:
    everything = "".join(map(chr, (*range(0x20), 0x7F, 0xD800, 0xFFFE, 0x1F600)))
    made = checkup((Finding("F01", "error", everything, "", "", "", everything, ""),))
    root = ElementTree.fromstring(rendered("junit", made, subject()).encode())
    text = "".join(root.itertext())
    assert r"\x00\x01" in text
    assert r"\ud800" in text
    assert "\U0001f600" in text


def test_github_writes_one_command_a_finding() -> None:
    text = rendered("github", SICK, subject(file="a,b:c/models.py", line=7))
    lines = text.splitlines()
    assert lines[0] == (
        "::error file=a%2Cb%3Ac/models.py,line=7,title=F02 forward-scale%2C layers.2::"
        "0.71 of it. ReLU halves it.%0AFix: he_normal(), says F02"
    )
    assert [line.split(" ")[0] for line in lines[1:4]] == ["::warning", "::notice", "::notice"]
    assert lines[4:] == [f"fanin check: {SICK.verdict}"]


def test_github_lets_no_name_become_a_command() -> None:
    lines = rendered("github", HURT, subject()).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("::error title=F01 non-finite%2C <script>")
    assert "%0A%3A%3Aerror%3A%3A" in lines[0]
    assert "%25%2C 5::" in lines[0]
    assert not lines[1].startswith("::")


def test_markdown_groups_what_is_said_of_many_layers() -> None:
    text = rendered("markdown", SICK, subject())
    assert "| note | F12 gain | `layers.1`, `layers.2` | 0.71 of it | all of it | 1.2 |" in text
    assert "| warning | F16 narrow | the model |" in text
    assert text.count("**F12**") == 1


@pytest.mark.parametrize("form", ["markdown", "html", "text"])
def test_what_has_one_remedy_is_told_once(form: str) -> None:
    first = finding("F02", "error", "layers.2")
    other = replace(finding("F03", "error", "layers.0"), fix=f"{first.fix}: so it trains.")
    text = rendered(form, checkup((first, other)), subject())
    assert text.count(first.fix) == 1
    assert "o also: F03 error at layers.0: 0.71 of it" in text


def test_markdown_escapes_names_and_texts() -> None:
    text = rendered("markdown", HURT, subject())
    before, _, folded = text.partition("<details>")
    row = next(line for line in before.splitlines() if "F01 non-finite" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 7  # the six cells
    assert "<script>" not in re.sub(r"``.*?``", "", before)
    assert re.search(r"^```+text$", folded, re.MULTILINE)


def long(depth: int, findings: int) -> str:
    """The markdown of this many layers and findings, which is cut."""
    found = tuple(
        Finding("F12", "note", f"layers.{n}", "m", "e", "l", f"reason {n}", f"fix {n}")
        for n in range(findings)
    )
    text = rendered("markdown", checkup(found, depth), subject())
    assert len(text) < LONGEST + 200
    kept, _, told = text.rpartition("\n\n")
    assert told == "The whole is too long for a comment; --format html has it.\n"
    return kept


def test_markdown_of_many_layers_leaves_them_out_and_nothing_else() -> None:
    kept = long(depth=6000, findings=1)
    assert "<details>" not in kept
    assert "- **F12** reason 0 **Fix:** fix 0" in kept


def test_markdown_of_many_findings_ends_with_a_whole_row() -> None:
    rows = long(depth=3, findings=3000).partition("| --- |\n")[2].splitlines()
    assert len(rows) > 1000
    assert rows == [f"| note | F12 gain | `layers.{n}` | m | e | l |" for n in range(len(rows))]


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.classes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href"):
                self.links.append(value or "")
            if name == "class":
                self.classes += (value or "").split()


@pytest.mark.parametrize("made", [SICK, HURT, checkup(())], ids=["sick", "nasty", "clean"])
def test_the_page_is_self_contained_and_escapes_what_users_wrote(made: Checkup) -> None:
    text = rendered("html", made, subject(name=NASTY))
    page = Page(text)
    assert "script" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    assert "url(http" not in text
    assert "@import" not in text
    assert page.tags.count("svg") == 2
    assert page.tags.count("tr") == 1 + len(made.layers)


def test_the_page_has_verdict_and_plots_first_then_each_finding_with_its_remedy() -> None:
    text = rendered("html", SICK, subject())
    order = [text.index(part) for part in (SICK.verdict, "<svg", "F02 forward-scale", "<table")]
    assert order == sorted(order)
    sections = [name for name in Page(text).classes if name.startswith("is-")]
    assert sections == ["is-error", "is-warning", "is-note"]
    assert text.count("<strong>Fix:</strong>") == 3


def test_the_plots_are_well_formed_and_mark_what_was_found() -> None:
    for made, marked in ((SICK, True), (checkup(()), False)):
        plots = re.findall(r"<svg.*?</svg>", rendered("html", made, subject()), flags=re.DOTALL)
        for plot in plots:
            ElementTree.fromstring(plot)
            assert ("var(--failed)" in plot) == marked
            assert "var(--accent)" in plot
            assert not re.search(r"#0[1-4]0[1-4]0[1-4]", plot)


@pytest.mark.parametrize("value", [None, 0.0, math.nan, math.inf, 5e-324, 1.7e308])
def test_a_layer_that_no_axis_has_a_place_for_is_drawn_all_the_same(value: float | None) -> None:
    made = checkup((), layers=(layer(0, value, value), layer(1, 1.0, 1.0)))
    assert rendered("html", made, subject()).count("</svg>") == 2


def test_many_layers_are_folded() -> None:
    assert "<details open>\n<summary>3 layers" in rendered("html", SICK, subject())
    assert "<details>\n<summary>300 layers" in rendered("html", checkup((), 300), subject())
