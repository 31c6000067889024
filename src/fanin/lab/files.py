"""Writing results: all files or none, and a folder that is checked before the work starts."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fanin._replacing import replacing
from fanin.errors import FaninError, one_line


def check_folder(name: str | Path) -> None:
    """Raise unless the folder can be written, or created; it is not created yet."""
    if not str(name):
        raise FaninError("the output folder is an empty name. Name a folder.")
    folder = Path(name)
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)):
            pass
    except (OSError, ValueError) as error:
        raise unwritable(folder, error) from error


def write_files(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Write texts by name into `folder`: each under a temporary name until all are complete."""
    final = [folder / name for name in contents]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(final) as temporary:
            for place, text in zip(temporary, contents.values(), strict=True):
                place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error) from error
    return final


def _nearest(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    try:
        os.lstat(folder)
    except FileNotFoundError:
        return _nearest(folder.parent)
    return folder


def unwritable(folder: Path, error: Exception) -> FaninError:
    """What to say where a folder cannot be written."""
    return FaninError(
        f"the folder {folder} cannot be written ({one_line(error)}). Make room, or choose another "
        "one."
    )
