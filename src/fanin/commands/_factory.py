"""Factory: the function or class that a command line names, called for a model."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, redirect_stdout
from typing import Any

from fanin._imported import import_object, select_accepted
from fanin.errors import FaninError, one_line
from fanin.frameworks import framework_of


def factory(text: str, **offered: Any) -> Callable[[], Any]:
    """The function that the text names, which gets those of the offered arguments that it takes.

    What it raises, and what it needs, comes as a FaninError in one line.
    """
    made = import_object(text, "factory")
    given = select_accepted(made, offered)
    how = f"with {' and '.join(given)} alone" if given else "without arguments"
    told = f"It is called {how} and returns a model."
    if framework_of(made) is not None:
        told = f"It is a model, {type(made).__name__}: name its class, or a function that makes it."

    def make() -> Any:
        try:
            return made(**given)
        except FaninError:
            raise
        except Exception as error:
            raise FaninError(
                f"factory {text!r} failed: {one_line(error, named=True)}. {told}"
            ) from error

    return make


def users_code() -> AbstractContextManager[Any]:
    """Around what runs code of the user: what that prints is no result."""
    return redirect_stdout(sys.stderr)
