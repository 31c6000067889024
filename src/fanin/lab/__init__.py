"""The lab: train real networks from several initializations and report what happened.

Names are looked up on first use, so that `fanin compare --help` needs none of the lab's libraries.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fanin.lab.comparison import Comparison as Comparison
    from fanin.lab.comparison import compare as compare
    from fanin.lab.interrupted import Interrupted as Interrupted
    from fanin.lab.width_check import WidthCheck as WidthCheck
    from fanin.lab.widths import check_widths as check_widths

__all__ = ["Comparison", "Interrupted", "WidthCheck", "check_widths", "compare"]
_WIDTHS = ("WidthCheck", "check_widths")  # which need no library beside torch


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _WIDTHS:
        from fanin.lab import widths

        return getattr(widths, name)
    from fanin.lab import comparison

    return getattr(comparison, name)


def __dir__() -> list[str]:
    return list(__all__)
