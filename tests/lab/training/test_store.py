import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from fanin import FaninError
from fanin.lab.settings import CompareSettings
from fanin.lab.setup import TrialSpec
from fanin.lab.training.signals import Signals
from fanin.lab.training.store import Store
from fanin.lab.training.trial import Trial

SPEC = TrialSpec(CompareSettings().setup, "he_normal", 2**64 - 1, 0.001)
TRIAL = Trial(
    seed=2**64 - 1,
    losses=np.array([2.5, np.nan, np.inf, 0.1], np.float32),
    scores=(0.1, 1 / 3),
    verdict="nan",
    window=2,
    signals=Signals(("conv1",), (1.5,), (float("inf"),)),
)


def saved(path: Path) -> Store:
    store = Store(path)
    store.save([(SPEC, "a", TRIAL), (SPEC, "b", TRIAL)])
    return store


def test_a_trial_comes_back_to_the_bit(tmp_path: Path) -> None:
    saved(tmp_path / "new" / "t.sqlite").close()
    found = Store(tmp_path / "new" / "t.sqlite").load(["a", "c", "b"])
    assert sorted(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"].losses, TRIAL.losses)
    assert asdict(found["a"]) | {"losses": 0} == asdict(TRIAL) | {"losses": 0}


def test_no_file_before_the_first_trial(tmp_path: Path) -> None:
    assert Store(tmp_path / "t.sqlite").load(["a"]) == {}
    assert list(tmp_path.iterdir()) == []
    memory = Store(None)
    memory.save([(SPEC, "a", TRIAL)])
    assert list(memory.load(["a"])) == ["a"]


def test_a_key_changes_with_all_that_decides_a_trial() -> None:
    context = {"data": "d", "torch": "2"}
    specs = [
        SPEC,
        replace(SPEC, seed=1),
        replace(SPEC, lr=0.01),
        replace(SPEC, initialization="torch"),
        *(replace(SPEC, setup=replace(SPEC.setup, **{name: "x"})) for name in asdict(SPEC.setup)),
    ]
    keys = {spec.key(context) for spec in specs} | {SPEC.key(context | {"data": "e"})}
    assert len(keys) == len(specs) + 1
    assert SPEC.key(context) == replace(SPEC).key(dict(reversed(context.items())))


def write_damaged(kind: str, path: Path) -> None:
    if kind == "text":
        path.write_text("no database, but long enough to be one" * 50)
    elif kind == "cut off":
        saved(path).close()
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "another":
        with closing(sqlite3.connect(path)) as base, base:
            base.execute("CREATE TABLE t (a)")
    elif kind == "newer":
        saved(path).close()
        with closing(sqlite3.connect(path)) as base, base:
            base.execute("PRAGMA user_version = 99")
    elif kind == "row":
        saved(path).close()
        with closing(sqlite3.connect(path)) as base, base:
            base.execute("UPDATE trials SET losses = 'x'")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "is damaged"),
        ("cut off", "is damaged"),
        ("another", "is not a file of trials"),
        ("newer", "has version 99; this fanin reads version 1"),
        ("row", "is damaged"),
    ],
)
def test_a_file_that_is_not_what_we_wrote(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "t.sqlite"
    write_damaged(kind, path)
    before = path.read_bytes()
    with pytest.raises(FaninError, match=rf"t\.sqlite {message}.*--fresh") as error:
        Store(path).load(["a"])
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    Store.remove(path)
    saved(path).close()
    assert len(Store(path).load(["a", "b"])) == 2


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    store = saved(path)
    assert store._base is not None
    pages = store._base.execute("PRAGMA page_count").fetchone()[0]
    store._base.execute(f"PRAGMA max_page_count = {pages}")
    noise = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
    with pytest.raises(FaninError, match=r"full\). What was stored before is kept; make room"):
        store.save([(SPEC, "c", replace(TRIAL, losses=noise)), (SPEC, "d", TRIAL)])
    store.close()
    assert sorted(Store(path).load("abcd")) == ["a", "b"]


def test_a_disk_that_is_full_at_the_first_trial_has_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: Store, trials: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "_insert", full)
    with pytest.raises(FaninError, match="disk is full"):
        saved(tmp_path / "new" / "t.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    store = Store(tmp_path / "taken" / "t.sqlite")
    with pytest.raises(FaninError, match=r"t\.sqlite cannot be"):
        store.save([(SPEC, "a", TRIAL)])
