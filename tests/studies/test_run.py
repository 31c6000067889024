"""The framework: parts on disk, resuming, claims' verdicts, the page and the JSON."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fanin.errors import FaninError
from fanin.studies._page import json_text, markdown, write_json, write_page
from fanin.studies._run import run
from fanin.studies._study import Advance, Claim, Figure, Findings, Scale, Study, StudyPart, Table

Measure = Callable[[Advance], Any]
FIGURE = Figure("dots", "Dots | lines", lambda: "<svg/>", "A caption.")


def conclude(found: Mapping[str, Any], scale: Scale) -> Findings:
    return Findings(
        [
            Claim("x is above 1", "Someone 2000", f"x = {found['x']}.", found["x"] > 1),
            Claim("it is fast", "Someone 2000", f"{found['time']} s.", None, "No clock.", {}, True),
        ],
        [Table("Values", ("name", "value"), [("a|b", str(found["x"]))])],
        [FIGURE],
        ["seed 0"],
    )


def study(**measures: Measure) -> Study:
    def parts(scale: Scale) -> list[StudyPart]:
        return [
            StudyPart(name, {"scale": scale}, measure, steps=4, timed=name == "time")
            for name, measure in measures.items()
        ]

    return Study("toy", "A toy", "Is it so?", "Someone 2000.", parts, conclude)


def value(number: Any) -> Measure:
    return lambda advance: number


def untimed(text: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(text)
    del content["run"]
    return content


def test_a_claim_follows_its_measurement() -> None:
    for x, verdict in ((2, "holds"), (0, "refuted")):
        found = run(study(x=value(x), time=value(1.5)), "quick").findings
        assert [claim.verdict for claim in found.claims] == [verdict, "undecided"]


def test_an_undecided_claim_says_why() -> None:
    with pytest.raises(ValueError, match="undecided and does not say why"):
        Claim("x", "y", "z", None)


def test_a_table_has_as_many_cells_as_columns() -> None:
    with pytest.raises(ValueError, match="another number of cells"):
        Table("t", ("a", "b"), [("1",)])


def test_two_parts_may_not_share_a_name() -> None:
    one = StudyPart("x", {}, value(1))
    twice = Study("toy", "", "", "", lambda scale: [one, one], conclude)
    with pytest.raises(ValueError, match="same name"):
        run(twice)


def test_finished_parts_are_not_measured_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def counted(advance: Advance) -> int:
        calls.append("x")
        return 2

    toy = study(x=counted, time=value(1.5))
    first = run(toy, "quick", folder=tmp_path)
    again = run(toy, "quick", folder=tmp_path)
    assert (first.run["found_finished"], again.run["found_finished"]) == (0, 2)
    assert calls == ["x"]
    run(toy, "full", folder=tmp_path)  # other settings: another part
    run(toy, "quick", folder=tmp_path, fresh=True)
    assert calls == ["x"] * 3


def test_resumed_after_an_interruption_the_result_is_the_same(tmp_path: Path) -> None:
    def interrupted(advance: Advance) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(study(x=value(3), time=interrupted), "quick", folder=tmp_path)
    assert len(list((tmp_path / "toy" / "parts").iterdir())) == 1
    resumed = run(study(x=value(4), time=value(1.5)), "quick", folder=tmp_path)
    whole = run(study(x=value(3), time=value(2.5)), "quick")
    assert resumed.run["found_finished"] == 1
    assert untimed(json_text(resumed)) == untimed(json_text(whole))


def test_measurements_pass_through_json_even_where_nothing_is_kept() -> None:
    toy = study(x=value(2), time=value({"a": (1, 2)}))
    assert run(toy).measured["time"] == {"a": [1, 2]}


def test_a_measurement_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        run(study(x=value(float("nan")), time=value(1)), folder=tmp_path)
    assert not (tmp_path / "toy").exists()


def test_a_damaged_part_is_one_clear_line(tmp_path: Path) -> None:
    toy = study(x=value(2), time=value(1))
    run(toy, folder=tmp_path)
    part = next((tmp_path / "toy" / "parts").glob("x-*.json"))
    for text in ("", "[]", '{"measured": 1}', "\x00"):
        part.write_text(text)
        with pytest.raises(FaninError, match=r"is damaged .* start anew with --fresh"):
            run(toy, folder=tmp_path)
    run(toy, folder=tmp_path, fresh=True)


def test_progress_adds_up_to_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    def eager(advance: Advance) -> int:
        for _ in range(10):
            advance(1)
        return 2

    run(study(x=eager, time=value(1)), show=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("study toy: 100 %")
    assert len(lines) <= 10


def test_the_page_has_claims_tables_pictures_and_keeps_times_apart() -> None:
    page = markdown(run(study(x=value(2), time=value(1.5)), "quick"))
    lasting, times = page.split("## Times")
    assert "| x is above 1 (Someone 2000) | x = 2. | holds |" in lasting
    assert "| a\\|b | 2 |" in lasting
    assert "![Dots | lines](toy-dots.svg)" in lasting
    assert "| it is fast (Someone 2000) | 1.5 s. No clock. | undecided |" in times
    assert "it is fast" not in lasting
    assert "`fanin study toy --quick`" in lasting


def test_json_keeps_times_in_run_alone() -> None:
    content = json.loads(json_text(run(study(x=value(2), time=value(1.5)), "quick")))
    assert [claim["verdict"] for claim in content["claims"]] == ["holds"]
    assert content["measured"] == {"x": 2}
    assert content["run"]["measured"] == {"time": 1.5}
    assert [claim["statement"] for claim in content["run"]["claims"]] == ["it is fast"]


def test_files_are_written(tmp_path: Path) -> None:
    result = run(study(x=value(2), time=value(1)))
    names = [path.name for path in write_page(result, tmp_path) + write_json(result, tmp_path)]
    assert names == ["toy.md", "toy-dots.svg", "result.json"]
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
