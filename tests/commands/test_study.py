from pathlib import Path

import pytest

from fanin import cli
from fanin.studies import _registry, saturation


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_prints_its_claims_and_writes_its_files(
    in_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["study", "saturation", "--quick", "--out", "o", "--page", "p"]) == 0
    out, err = capsys.readouterr()
    assert "claim" in out
    assert "holds" in out
    assert "wrote o/saturation/result.json" in out
    assert err.splitlines()[-1].startswith("study saturation: 100 %")
    assert sorted(path.name for path in Path("p").iterdir()) == [
        "saturation-error.svg",
        "saturation.md",
    ]
    for path in Path("p").iterdir():
        assert path.read_bytes() == Path("o/saturation", path.name).read_bytes()
        assert path.stat().st_size < 100_000


def test_list_names_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "--list"]) == 0
    out = capsys.readouterr().out
    for name in _registry.NAMES:
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("study", "give a study, one of saturation, rng,"),
        ("study --list depth", "give a study, one of saturation, rng,"),
        ("study satuation", "unknown study 'satuation'. Known are saturation, rng,"),
        ("study depth satuation", "unknown study 'satuation'. Known are saturation, rng,"),
        ("study depth --out taken", "the folder taken cannot be written (Not a directory)"),
        ("study depth --page taken", "the folder taken cannot be written (Not a directory)"),
        ("study depth --quik", "unrecognized arguments: --quik"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    in_folder: Path, capfd: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    (in_folder / "taken").touch()
    assert cli.main(arguments.split()) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert [path.name for path in in_folder.iterdir()] == ["taken"]


def test_ctrl_c_keeps_finished_parts_and_is_status_130(
    in_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, calls = saturation.measure, []

    def third_interrupts(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(saturation, "measure", third_interrupts)
    assert cli.main(["study", "saturation", "--quick"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "fanin: interrupted"
    assert len(list(Path("fanin-study/saturation/parts").iterdir())) == 2


def test_every_study_of_the_list_is_there() -> None:
    for name in _registry.NAMES:
        study = _registry.find(name)
        assert study.name == name
        for scale in ("quick", "full"):
            assert study.parts(scale)  # type: ignore[arg-type]
