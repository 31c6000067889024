"""Factory: the function or class that a command line names, called for a model."""

import inspect
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

from fanin._imported import imported
from fanin.errors import FaninError


def factory(text: str, **offered: Any) -> Callable[[], Any]:
    """The function that the text names, which gets those of the offered arguments that it takes.

    What it raises, and what it needs, comes as a FaninError in one line.
    """
    made = imported(text, "factory")
    accepted: Collection[str] = ()
    with suppress(TypeError, ValueError):  # of what is not written in Python
        accepted = inspect.signature(made).parameters
    given = {name: value for name, value in offered.items() if name in accepted}
    how = f"with {' and '.join(given)} alone" if given else "without arguments"

    def make() -> Any:
        try:
            return made(**given)
        except FaninError:
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {error}".rstrip(".")
            raise FaninError(
                f"factory {text!r} failed: {told}. It is called {how} and returns a model."
            ) from error

    return make


@contextmanager
def users_code(done: str) -> Iterator[None]:
    """What the user's modules print is no result, and their sys.exit(0) is no success."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit as stop:
        raise FaninError(
            f"nothing {done}: the factory or its module called sys.exit({stop.code!r}). Put what a "
            "script does under if __name__ == '__main__'."
        ) from stop
