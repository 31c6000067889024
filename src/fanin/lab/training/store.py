"""Finished trials on disk, in SQLite: each trial group is there at once, or not at all."""

import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fanin.errors import FaninError, one_line
from fanin.lab.setup import TrialSpec
from fanin.lab.training.signals import Signals
from fanin.lab.training.trial import Trial

NAME = "trials.sqlite"
APPLICATION = 0x66616E69  # "fani": tells our file from any other database
VERSION = 1
TABLE = """
CREATE TABLE trials (
    key TEXT PRIMARY KEY,  -- a hash of everything that decides the trial
    initializer TEXT NOT NULL, seed TEXT NOT NULL, lr REAL NOT NULL, setup TEXT NOT NULL,
    verdict TEXT NOT NULL, score REAL NOT NULL, finished TEXT NOT NULL,
    scores TEXT NOT NULL, signals TEXT NOT NULL, window INTEGER NOT NULL,
    losses BLOB NOT NULL  -- float32, little endian, zlib
)
"""
Returned = TypeVar("Returned")


class Store:
    """Trials by key. `path` None keeps them in memory; a file is made when the first is saved."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._base: sqlite3.Connection | None = None
        if path is None or path.exists():
            self._guard(self._open)

    def load(self, keys: Iterable[str]) -> dict[str, Trial]:
        """Those of the trials that are there."""
        return self._guard(lambda: self._load(keys)) if self._base else {}

    def save(self, trials: Sequence[tuple[TrialSpec, str, Trial]]) -> None:
        """Add trials with their specifications and keys, all or none; on disk when it returns."""
        self._guard(lambda: self._save(trials))

    @staticmethod
    def remove(path: Path) -> None:
        """Forget all trials of a file, whatever it is: it goes."""
        try:
            for suffix in ("", "-journal"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise FaninError(f"{path} cannot be removed: {one_line(error)}.") from error

    def close(self) -> None:
        """Let go of the file."""
        if self._base is not None:
            self._base.close()
            self._base = None

    def __del__(self) -> None:
        self.close()

    def _open(self) -> None:
        new = self.path is None or not self.path.exists() or os.path.getsize(self.path) == 0
        base = sqlite3.connect(self.path or ":memory:", timeout=60)
        try:
            if new:
                base.execute(f"PRAGMA application_id = {APPLICATION}")
                base.execute(f"PRAGMA user_version = {VERSION}")
                base.execute(TABLE)
                base.commit()
            self._check(base)
        except BaseException:
            base.close()
            raise
        self._base = base

    def _check(self, base: sqlite3.Connection) -> None:
        if base.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            raise FaninError(f"{self.path} is not a file of trials. {_WAYS_OUT}")
        found = base.execute("PRAGMA user_version").fetchone()[0]
        if found != VERSION:
            raise FaninError(
                f"{self.path} has version {found}; this fanin reads version {VERSION}. {_WAYS_OUT}"
            )
        problem = base.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)

    def _load(self, keys: Iterable[str]) -> dict[str, Trial]:
        assert self._base is not None
        query = "SELECT seed, losses, scores, verdict, window, signals FROM trials WHERE key = ?"
        found = {}
        for key in keys:
            row = self._base.execute(query, (key,)).fetchone()
            if row is not None:
                found[key] = _trial(*row)
        return found

    def _save(self, trials: Sequence[tuple[TrialSpec, str, Trial]]) -> None:
        if self._base is None:
            assert self.path is not None
            with _nothing_half_made(self.path):
                self._open()
                self._insert(trials)
        else:
            self._insert(trials)

    def _insert(self, trials: Sequence[tuple[TrialSpec, str, Trial]]) -> None:
        assert self._base is not None
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [_row(spec, key, trial, finished) for spec, key, trial in trials]
        with self._base:
            marks = ", ".join("?" * 12)
            self._base.executemany(f"INSERT OR REPLACE INTO trials VALUES ({marks})", rows)

    def _guard(self, work: Callable[[], Returned]) -> Returned:
        try:
            return work()
        except sqlite3.OperationalError as error:  # a full disk, a lock, a folder without rights
            raise FaninError(
                f"{self.path} cannot be used ({one_line(error)}). What was stored before is kept; "
                "make room or choose another folder, then run the same command again."
            ) from error
        except (sqlite3.DatabaseError, ValueError, TypeError, KeyError, zlib.error) as error:
            if isinstance(error, FaninError):
                raise
            raise FaninError(f"{self.path} is damaged ({one_line(error)}). {_WAYS_OUT}") from error
        except OSError as error:
            raise FaninError(f"{self.path} cannot be written ({one_line(error)}).") from error


@contextmanager
def _nothing_half_made(path: Path) -> Iterator[None]:
    """Make the file's folder; if the block fails, neither is there that was not there before."""
    is_new = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        Store.remove(path)
        if is_new:
            with suppress(OSError):
                path.parent.rmdir()
        raise


_WAYS_OUT = "Move it away, or start anew with --fresh."


def _row(spec: TrialSpec, key: str, trial: Trial, finished: str) -> tuple[Any, ...]:
    return (
        key,
        spec.initialization,
        str(trial.seed),  # SQLite's integers end at 2**63
        spec.lr,
        json.dumps(asdict(spec.setup)),
        trial.verdict,
        trial.score,
        finished,
        json.dumps(trial.scores),
        json.dumps(asdict(trial.signals)),
        trial.window,
        zlib.compress(trial.losses.astype("<f4").tobytes()),
    )


def _trial(seed: str, losses: bytes, scores: str, verdict: Any, window: int, signals: str) -> Trial:
    values = np.frombuffer(zlib.decompress(losses), "<f4").astype(np.float32)
    if verdict not in ("learned", "stuck", "diverged", "nan") or not 0 < window <= len(values):
        raise ValueError(f"a trial of seed {seed} has verdict {verdict!r} and window {window!r}")
    parts = {name: tuple(part) for name, part in json.loads(signals).items()}
    history = tuple(map(float, json.loads(scores)))
    return Trial(int(seed), values, history, verdict, window, Signals(**parts))
