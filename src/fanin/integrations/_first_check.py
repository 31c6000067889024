"""FirstCheck: a model is checked on the first batch that it trains on, and training may stop."""

import inspect
from collections.abc import Mapping
from typing import Any

from fanin._arguments import check_choice
from fanin.checks import SEVERITIES, Checkup, Severity, check
from fanin.errors import FaninError, suggestion
from fanin.integrations._start import is_sharded

_OWN = {"model", "inputs", "targets", "params", "shape", "draws", "optimizer", "lr"}


class FirstCheck:
    """What is asked of the check; wrong arguments are told at once."""

    def __init__(self, level: Severity, options: Mapping[str, Any]) -> None:
        check_choice("level", level, SEVERITIES)
        known = [name for name in inspect.signature(check).parameters if name not in _OWN]
        for name in options:
            if name not in known:
                raise FaninError(f"unknown argument {name!r}{suggestion(name, known)}")
        self._level: Severity = level
        self._options = dict(options)

    def run(self, model: Any, inputs: Any, targets: Any, optimizer: Any) -> Checkup | None:
        """The checkup; FaninError with its report for a finding of the level or above.

        None of a model of which this process holds a part alone.
        """
        if is_sharded(model):
            return None
        found = check(model, inputs, targets, optimizer=optimizer, **self._options)
        if not found.ok(self._level):
            raise FaninError(f"training was stopped before its first step.\n\n{found}")
        return found
