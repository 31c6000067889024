"""JSON that every reader takes: what is not finite, for which JSON has no number, has a name."""

import json
import math
from typing import Any


def json_text(content: Any, indent: int | None = None) -> str:
    """Content as JSON and a line break; "nan", "inf" and "-inf" stand for what is not finite."""
    text = json.dumps(_name(content), indent=indent, allow_nan=False, default=_plain)
    return f"{text}\n"


def _name(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _name(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_name(item) for item in value]
    return str(float(value)) if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's."""
    return _name(value.item())
