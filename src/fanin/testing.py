"""Testing: what a project's own tests say of its networks."""

from collections.abc import Callable
from typing import Any

from fanin._columns import list_names
from fanin.checks import SEVERITIES, Checkup, Severity, check

__all__ = ["assert_healthy"]


def assert_healthy(
    model: Any,
    inputs: Any = None,
    targets: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    *,
    level: Severity = "error",
    **options: Any,
) -> Checkup:
    """Fail, with all findings in the message, if a network has one of this level or above.

    Args:
        model, inputs, targets, loss: as of `fanin.check`.
        level: "note", "warning" or "error".
        options: further arguments of `fanin.check`, such as `draws=4` or `ignore="F12"`.

    Returns the checkup. Raises AssertionError for findings, and FaninError, as `fanin.check`
    does, for what cannot be checked.

    >>> import fanin, torch
    >>> from fanin.testing import assert_healthy
    >>> wide = torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3)
    >>> model, inputs = torch.nn.Sequential(*wide), torch.randn(128, 64)
    >>> _ = fanin.initialize(model, seed=0, inputs=inputs)
    >>> assert_healthy(model, inputs).ok()
    True
    """
    __tracebackhide__ = True  # pytest then shows the call that failed
    found = check(model, inputs, targets, loss, **options)
    if not found.ok(level):
        raise AssertionError(f"{_name_all(found, level)}\n\n{found}")
    return found


def _name_all(found: Checkup, level: Severity) -> str:
    """The findings in one line, which is all that a summary of tests shows."""
    severe = SEVERITIES[SEVERITIES.index(level) :]
    names = [
        f"{finding.id} at {finding.place}"
        for finding in found.findings
        if finding.severity in severe
    ]
    return f"{list_names(names, 3)} (findings of level {level!r} or above)"
