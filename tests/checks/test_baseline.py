"""A baseline hides what it knows, no more: not at another layer, and not where it got severer."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fanin.checks import Checkup, Conditions, Finding
from fanin.checks._baseline import Baseline
from fanin.errors import FaninError

CONDITIONS = Conditions("Net", 1, "2", "float32", "cpu", "train", 8, "given", "given", 1, 0)


def finding(id: str, severity: Any, layer: str) -> Finding:
    return Finding(id, severity, layer, "m", "e", "l", "why", "fix")


def checkup(*findings: Finding) -> Checkup:
    return Checkup(findings, (), ("a note",), CONDITIONS)


KNOWN = checkup(
    finding("F02", "error", "a"), finding("F02", "warning", "a"), finding("F12", "note", "")
)


def test_what_is_known_is_not_reported_again() -> None:
    left = Baseline.of(KNOWN).remaining(KNOWN)
    assert left.findings == ()
    assert left.ok("note")
    assert left.verdict == "No finding is new. The baseline knows 3 more."
    assert (left.notes, left.conditions) == (KNOWN.notes, KNOWN.conditions)


def test_what_is_new_or_severer_is_reported() -> None:
    new = finding("F02", "error", "b"), finding("F12", "warning", ""), finding("F03", "note", "a")
    left = Baseline.of(KNOWN).remaining(checkup(*KNOWN.findings, *new))
    assert left.findings == new
    assert not left.ok("error")
    verdict = checkup(*new).verdict
    assert left.verdict == f"{verdict} The baseline knows 3 more."
    assert json.loads(left.to_json())["verdict"] == left.verdict


def test_milder_findings_stay_known() -> None:
    assert Baseline.of(KNOWN).remaining(checkup(finding("F02", "note", "a"))).findings == ()


def test_a_baseline_that_knows_nothing_leaves_the_verdict_alone() -> None:
    assert Baseline.of(checkup()).remaining(KNOWN).verdict == KNOWN.verdict


def test_what_is_gone_is_told() -> None:
    assert Baseline.of(KNOWN).find_gone(checkup(finding("F12", "note", ""))) == (("F02", "a"),)


def test_a_file_holds_it_and_is_the_same_for_the_same_findings(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    Baseline.of(KNOWN).save(path)
    assert Baseline.load(path) == Baseline.of(KNOWN)
    first = path.read_bytes()
    Baseline.of(checkup(*reversed(KNOWN.findings))).save(path)
    assert json.loads(first)["findings"][0] == {"id": "F02", "layer": "a", "severity": "error"}
    assert path.read_bytes() == first
    assert os.listdir(tmp_path) == ["baseline.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cannot be read \(No such file"),
        ("{", "cannot be read"),
        ("[]", "is not one of this version"),
        ("{}", "is not one of this version"),
        ('{"fanin_baseline": 2, "findings": []}', r"not one of this version \(version 2\)"),
        (
            '{"fanin_baseline": 1, "findings": [{"id": "F99", "layer": "", "severity": "note"}]}',
            "unknown rule 'F99'",
        ),
        (
            '{"fanin_baseline": 1, "findings": [{"id": "F02", "layer": "", "severity": "bad"}]}',
            "unknown severity 'bad'",
        ),
        ('{"fanin_baseline": 1, "findings": [3]}', "is not one of this version"),
    ],
)
def test_other_files_are_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FaninError, match=message):
        Baseline.load(path)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FaninError, match="cannot write the baseline"):
        Baseline.of(KNOWN).save(tmp_path / "none" / "baseline.json")
