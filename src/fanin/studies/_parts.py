"""Finished parts of a study on disk: one JSON file each, there at once or not at all."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fanin.errors import FaninError, one_line
from fanin.lab.files import write_files
from fanin.studies._study import StudyPart

FOLDER = "parts"


@dataclass(frozen=True)
class Finished:
    """What a part measured, in how many seconds, by the clock and of one CPU.

    `load` is how many processes wanted a CPU before it.
    """

    measured: Any
    seconds: float
    cpu_seconds: float
    load: float


class Parts:
    """The finished parts of one study below `folder`; None keeps nothing."""

    def __init__(self, folder: Path | None, study: str, versions: Mapping[str, str]) -> None:
        self.folder = None if folder is None else folder / study / FOLDER
        self._context = [study, dict(versions)]

    def load(self, part: StudyPart) -> Finished | None:
        """What is kept of a part with these settings and versions, if anything is."""
        path = self._path(part)
        if path is None or not path.exists():
            return None
        try:
            content = json.loads(path.read_text("utf-8"))
            times = (float(content[name]) for name in ("seconds", "cpu_seconds", "load"))
            return Finished(content["measured"], *times)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise FaninError(
                f"{path} is damaged ({type(error).__name__}). Remove it, or start anew with "
                "--fresh."
            ) from error

    def save(self, part: StudyPart, finished: Finished) -> Finished:
        """Keep a part; it is on disk when this returns.

        Returns it as it will be loaded, so that a run that goes on where another was cut off ends
        with the very same result.
        """
        content = {
            "part": part.name,
            "settings": part.settings,
            "made_with": self._context,
            **dataclasses.asdict(finished),
        }
        text = json.dumps(content, allow_nan=False) + "\n"
        path = self._path(part)
        if path is not None:
            write_files(path.parent, {path.name: text})
        return dataclasses.replace(finished, measured=json.loads(text)["measured"])

    def forget(self) -> None:
        """Remove what is kept of the study."""
        if self.folder is None or not self.folder.exists():
            return
        try:
            for path in self.folder.glob("*.json"):
                path.unlink()
        except OSError as error:
            raise FaninError(f"{self.folder} cannot be emptied: {one_line(error)}.") from error

    def _path(self, part: StudyPart) -> Path | None:
        if self.folder is None:
            return None
        decides = json.dumps([self._context, part.name, part.settings], sort_keys=True)
        key = hashlib.sha256(decides.encode()).hexdigest()[:16]
        plain = "".join(sign if sign.isalnum() else "-" for sign in part.name)
        return self.folder / f"{plain}-{key}.json"
