"""Which initializer a parameter gets."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from fanin.errors import FaninError
from fanin.initializers import Initializer, get, ones, zeros
from fanin.param import Param


def choose(
    params: Iterable[Param],
    initializer: str | Initializer,
    overrides: Mapping[str, str | Initializer] | None = None,
) -> dict[str, Initializer]:
    """An initializer for every parameter, by name.

    Weights get `initializer`; biases and shifts zeros, scales ones. `overrides` maps a
    parameter's name or a glob pattern to an initializer and wins; the last match counts.
    """
    if overrides is not None and not isinstance(overrides, Mapping):
        raise FaninError(f"overrides is {overrides!r}; it maps names or patterns to initializers.")
    by_kind = {"weight": get(initializer), "bias": zeros(), "shift": zeros(), "scale": ones()}
    given = {pattern: get(spec) for pattern, spec in (overrides or {}).items()}
    unused = dict.fromkeys(given)
    chosen: dict[str, Initializer] = {}
    for param in params:
        matches = [
            pattern
            for pattern in given
            if pattern == param.name or fnmatchcase(param.name, pattern)
        ]
        for pattern in matches:
            unused.pop(pattern, None)
        if matches:
            chosen[param.name] = given[matches[-1]]
        elif param.kind in by_kind:
            chosen[param.name] = by_kind[param.kind]
        else:
            raise FaninError(
                f"{param.name} has shape {param.shape} in a {param.owner}, for which there is no "
                f"rule. Pass overrides={{{param.name!r}: 'normal(std=0.02)'}}, say."
            )
    if unused:
        raise FaninError(f"overrides names {', '.join(unused)}: the model has no such parameter.")
    return chosen
