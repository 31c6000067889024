from pathlib import Path

import pytest

from fanin import FaninError
from fanin.lab.files import check_folder, write_files


def test_checking_a_folder_creates_nothing(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "deep")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(FaninError, match=r"taken.* cannot be written \(Not a directory\)"):
            check_folder(folder)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0byte", ""])
def test_names_that_no_folder_can_have(name: str) -> None:
    with pytest.raises(FaninError, match="folder"):
        check_folder(name)


def test_files_replace_earlier_ones(tmp_path: Path) -> None:
    for text in ("old", "new"):
        paths = write_files(tmp_path / "out", {"a.txt": text, "b.txt": text})
    assert paths == [tmp_path / "out" / "a.txt", tmp_path / "out" / "b.txt"]
    assert sorted(tmp_path.joinpath("out").iterdir()) == paths
    assert paths[0].read_text() == "new"


def test_all_files_or_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(FaninError, match="cannot be written"):
        write_files(tmp_path, {"a.txt": "new", "no/such/b.txt": "new"})
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
