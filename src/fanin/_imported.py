"""Objects that a user names as package.module:object."""

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fanin.errors import FaninError


def imported(text: str, what: str) -> Callable[..., Any]:
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
        told = (str(error).splitlines() or [""])[0].rstrip(".")[:200]
        raise FaninError(
            f"{what} {text!r} cannot be imported: {type(error).__name__}: {told}. Write "
            "package.module:function."
        ) from error
    if not colon or not callable(found):
        raise FaninError(f"{what} {text!r} is no function; write package.module:function.")
    function: Callable[..., Any] = found
    return function
