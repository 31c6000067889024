"""Factory: the function or class that a command line names, called for a model."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import fanin
from fanin._imported import import_object, select_accepted
from fanin.errors import FaninError, one_line


def factory(text: str, **offered: Any) -> Callable[[], Any]:
    """The function that the text names, which gets those of the offered arguments that it takes.

    What it raises, and what it needs, comes as a FaninError in one line.
    """
    made = import_object(text, "factory")
    given = select_accepted(made, offered)
    how = f"with {' and '.join(given)} alone" if given else "without arguments"

    def make() -> Any:
        try:
            return made(**given)
        except FaninError:
            raise
        except Exception as error:
            raise FaninError(
                f"factory {text!r} failed: {one_line(error, named=True)}. It is called {how} and "
                "returns a model."
            ) from error

    return make


@contextmanager
def users_code(done: str) -> Iterator[None]:
    """What the user's modules print is no result, and their sys.exit(0) is no success.

    What they raise is told with the line of theirs that raised it.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except FaninError as error:
        line = _line_of(error.__cause__)
        if not line:
            raise
        raise FaninError(f"{str(error).rstrip('.')}. Raised at {line}.") from error.__cause__
    except SystemExit as stop:
        raise FaninError(
            f"nothing {done}: the factory or its module called sys.exit({stop.code!r}). Put what a "
            "script does under if __name__ == '__main__'."
        ) from stop


def _line_of(error: BaseException | None) -> str:
    """The last line of the user's own code that an exception came through; "" for none."""
    if error is None:
        return ""
    ours = str(Path(fanin.__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        installed = "site-packages" in frame.filename or frame.filename.startswith((ours, "<"))
        if not installed and "importlib" not in frame.filename:
            return f"{frame.filename}:{frame.lineno}, in {frame.name}"
    return ""
