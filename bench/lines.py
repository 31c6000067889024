"""Results as JSON lines, added by one process at a time; what was cut off by a kill is dropped."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file, none where there is no file; a last line that does not end was cut."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text("utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def append(path: Path, record: "DataclassInstance") -> None:
    """Write a line to the disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether no other process of this machine has the file; a kill gives it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        _drop_the_cut_line(path)
        yield True


def _drop_the_cut_line(path: Path) -> None:
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        os.truncate(path, end)
