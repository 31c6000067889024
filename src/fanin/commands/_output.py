"""Output: a report on stdout, or in a file that is whole or not there."""

import sys
import tempfile
from pathlib import Path

from fanin._replacing import replacing
from fanin.errors import FaninError, one_line


def check_writable(name: str) -> None:
    """Raise for what cannot be written as a file, before the work starts."""
    path = Path(name)
    try:
        # A device such as /dev/null would be replaced by a file.
        if not path.name or (path.exists() and not path.is_file()):
            raise OSError(None, "it is not a file")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except (OSError, ValueError) as error:
        raise _unwritable(name, error) from error


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name that none can have is told."""
    try:
        return path.is_dir()
    except OSError as error:
        raise _unwritable(str(path), error) from error


def write(text: str, name: str) -> None:
    """Write a file whole, as UTF-8."""
    try:
        with replacing([Path(name)]) as (temporary,):
            temporary.write_text(text, "utf-8", "backslashreplace")
    except OSError as error:
        raise _unwritable(name, error) from error


def show(text: str) -> None:
    """Print to stdout; characters that its encoding lacks are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def tell(command: str, text: str) -> None:
    """Print a line about the work of a command to stderr."""
    print(f"fanin {command}: {text}", file=sys.stderr)


def _unwritable(name: str, error: Exception) -> FaninError:
    return FaninError(
        f"cannot write {name!r} ({one_line(error)}). Name a file in a folder that exists."
    )
