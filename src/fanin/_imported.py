"""Objects that a user names as package.module:object, and what they may be called with."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from fanin.errors import FaninError, one_line


def import_object(text: str, what: str) -> Callable[..., Any]:
    """The callable that "package.module:object" names; modules of the working folder count.

    `what` says in errors what the text is: a factory, an activation.
    """
    module, colon, path = text.partition(":")
    with suppress(ValueError):
        sys.path.remove("")
    if os.getcwd() not in sys.path:  # as `python -m` does
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except Exception as error:  # an import runs whatever the user wrote
        raise FaninError(
            f"{what} {text!r} cannot be imported: {one_line(error, named=True)}. Write "
            "package.module:function."
        ) from error
    if not colon or not callable(found):
        raise FaninError(f"{what} {text!r} is no function; write package.module:function.")
    function: Callable[..., Any] = found
    return function


def select_accepted(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the offered arguments that a function names as its own."""
    names: Collection[str] = ()
    with suppress(TypeError, ValueError):  # of what is not written in Python
        names = inspect.signature(function).parameters
    return {name: value for name, value in offered.items() if name in names}
