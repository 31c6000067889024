"""Initializers by name, by the expression that they print as, and as plain data."""

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from fanin._expression import parse_expression
from fanin.errors import FaninError, quote, suggestion
from fanin.initializers import (
    _bias,
    _blocks,
    _computed,
    _constant,
    _factorization,
    _mimetic,
    _orthogonal,
    _periodic,
    _present,
    _presets,
    _random,
    _scaling,
    _sparse,
    _states,
    _structured,
    _upsampling,
)
from fanin.initializers._base import Initializer, expression
from fanin.initializers._entry import Entry
from fanin.initializers._named import name_initializer

FAMILIES = {
    "constant": _constant.ENTRIES,
    "random": _random.ENTRIES,
    "scaling": _scaling.ENTRIES + _presets.ENTRIES,
    "periodic": _periodic.ENTRIES,
    "orthogonal": _orthogonal.ENTRIES,
    "structured": _structured.ENTRIES,
    "pairs": _mimetic.ENTRIES + _factorization.ENTRIES,
    "upsampling": _upsampling.ENTRIES,
    "states": _states.ENTRIES,
    "sparse": _sparse.ENTRIES,
    "bias": _bias.ENTRIES,
    "blocks": _blocks.ENTRIES,
}
ENTRIES: dict[str, Entry] = {row.name: row for rows in FAMILIES.values() for row in rows}

_REGISTERED: dict[str, Entry] = {}  # by users, in this process

# What a plan alone can draw, of values that a model has: by name, and in no catalogue.
BOUND = {"present_rows": _present.ENTRY, "computed": _computed.ENTRY}

_ALIASES = {"xavier": "glorot", "kaiming": "he"}
# In just this spelling: who writes "zero" means zeros.
_SYNONYMS = {"eye": "identity", "ZerO": "zero_hadamard"}
# "he_normal", "He Normal", "kaiming_normal_", "keras.initializers.HeNormal": and its arguments
_SPELLED = re.compile(r"\s*((?:\w+\.)*)([A-Za-z][\w -]*?)\s*(\(.*\))?\s*", re.DOTALL)
_TRUNCATES = ("keras", "tf", "tensorflow", "jax", "flax")  # in whose words normal is truncated


class UnknownInitializerError(FaninError):
    """A name that no rule has, in this process."""


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def names() -> tuple[str, ...]:
    """The names that `get` knows, aliases (xavier, kaiming) included, `register`'s aside."""
    aliases = (
        name.replace(own, alias, 1)
        for alias, own in _ALIASES.items()
        for name in ENTRIES
        if name.startswith(f"{own}_")
    )
    return (*ENTRIES, *aliases)


def register(name: str, make: Callable[..., Initializer], source: str = "the user's") -> None:
    """Let `get`, overrides and plans know an initializer of your own by a name.

    Args:
        name: an identifier; no name, alias or spelling that is taken.
        make: a function of literals that returns an Initializer; what `get` makes of the name
            prints as its expression, "small(0.5)".
        source: where the rule is from, for `about`.

    The name is known in this process: register it wherever plans with it are loaded, which say so
    otherwise. The same function may be registered again. Raises FaninError for a name that is
    taken or no identifier, and for what cannot be called.

    >>> from fanin.initializers import variance_scaling
    >>> def half(gain=0.5):
    ...     return variance_scaling(gain**2, "fan_in", "normal")
    >>> register("half_fan_in", half)
    >>> get("half_fan_in(0.3)"), get("half_fan_in").std((10, 100))
    (half_fan_in(0.3), 0.05)
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise FaninError(f"name is {quote(name)}; register takes an identifier, such as 'small'.")
    if not callable(make):
        raise FaninError(f"make is {quote(make)}; give a function that returns an Initializer.")
    known = _REGISTERED.get(name)
    if known is not None and known.make is make:
        return
    if _squeeze(name) in map(_squeeze, (*names(), *BOUND, *_SYNONYMS, *_REGISTERED)):
        raise FaninError(f"name {name!r} is taken, as an initializer; register another one.")
    first = (inspect.getdoc(make) or "a rule of the user's").partition("\n")[0]
    _REGISTERED[name] = Entry(
        name, make, "what it reads", "not said", source, f"{name}()", (), first
    )


def _entry(name: str, module: str = "") -> Entry:
    """The entry of a name in any spelling; `module` is what stood before it, to its last dot."""
    spelled = module + name
    name = _SYNONYMS.get(name, name)
    known = {_squeeze(name): name for name in (*names(), *BOUND, *_REGISTERED)}
    found = known.get(_squeeze(name))
    if found is None:
        raise UnknownInitializerError(
            f"unknown initializer {spelled!r}{suggestion(name, (*names(), *_REGISTERED))}"
        )
    alias, _, rest = found.partition("_")
    found = f"{_ALIASES[alias]}_{rest}" if alias in _ALIASES and found not in ENTRIES else found
    if module.partition(".")[0] in _TRUNCATES and found.endswith("_normal"):
        found = found.replace("_normal", "_truncated_normal")
        found = found if found in ENTRIES else found.replace("_truncated", "", 1)
    return (ENTRIES | BOUND | _REGISTERED)[found]


def get(spec: str | Initializer) -> Initializer:
    """The initializer of a name ("he_normal") or an expression ("uniform(-0.5, 0.5)").

    A name may be spelled as other libraries do: "HeNormal", "kaiming_normal_", "xavier-uniform",
    "keras.initializers.GlorotUniform". With Keras's, JAX's or Flax's module before it, a
    scaled normal is truncated, as theirs are. Arguments are literals or further expressions, by
    position or keyword, and mean what fanin's do. An Initializer is returned as it is.

    >>> get("Kaiming Normal")
    he_normal()
    >>> get("truncated_normal(std=0.02)")
    truncated_normal(0.0, 0.02, -2.0, 2.0)
    """
    if isinstance(spec, Initializer):
        return spec
    if not isinstance(spec, str):
        raise FaninError(
            f"initializer is {quote(spec)}; give a name, an expression such as "
            "'normal(std=0.02)', or an Initializer."
        )
    entry, positional, keywords = _read(spec)
    return _make(entry, positional, keywords, spec)


def _read(spec: str) -> tuple[Entry, list[Any], dict[str, Any]]:
    spelled = _SPELLED.fullmatch(spec)
    module, name, arguments = spelled.groups() if spelled else ("", "", None)
    # The name may be no identifier; what follows it is read as the arguments of a call.
    call = spec if not spelled else f"{name.replace(' ', '_').replace('-', '_')}{arguments or ''}"
    _, positional, keywords = parse_expression(
        call, "initializer", "'he_normal' or 'uniform(-0.5, 0.5)'", get
    )
    return _entry(name, module), positional, keywords


def _make(entry: Entry, positional: list[Any], keywords: dict[str, Any], spec: Any) -> Initializer:
    try:
        inspect.signature(entry.make).bind(*positional, **keywords)
        made = entry.make(*positional, **keywords)
    except FaninError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise FaninError(f"initializer {quote(spec)} cannot be made: {error}.") from None
    if entry.name not in _REGISTERED:
        return made
    if not isinstance(made, Initializer):
        raise FaninError(
            f"{entry.name} made {quote(made)}; it was registered to make Initializers."
        )
    return name_initializer(made, expression(entry.name, *positional, **keywords))


def about(initializer: str | Initializer) -> Entry:
    """What the catalogue knows of an initializer: the axes it reads, what it preserves, its source.

    >>> about("He Normal").preserves
    'forward variance'
    """
    return _read(get(initializer)._expression())[0]


def to_dict(initializer: Initializer) -> dict[str, Any]:
    """An initializer as plain data, which JSON can hold: its name and arguments by keyword.

    Infinite numbers are the strings "inf" and "-inf"; initializers inside are such data too.

    >>> to_dict(get("normal(std=0.02)"))
    {'name': 'normal', 'arguments': {'mean': 0.0, 'std': 0.02}}
    """
    if not isinstance(initializer, Initializer):
        raise FaninError(f"initializer is {quote(initializer)}; to_dict takes an Initializer.")
    entry, positional, keywords = _read(initializer._expression())
    bound = inspect.signature(entry.make).bind(*positional, **keywords)
    arguments = {name: _plain(value) for name, value in bound.arguments.items()}
    return {"name": entry.name, "arguments": arguments}


def from_dict(data: Mapping[str, Any]) -> Initializer:
    """The initializer of what `to_dict` gave.

    >>> from_dict({"name": "normal", "arguments": {"std": 0.02}})
    normal(0.0, 0.02)
    """
    if not isinstance(data, Mapping) or set(data) != {"name", "arguments"}:
        raise FaninError(f"initializer is {quote(data)}; from_dict takes a name and its arguments.")
    entry, given = _entry(str(data["name"])), data["arguments"]
    if not isinstance(given, Mapping):
        raise FaninError(
            f"arguments is {quote(given)}; from_dict takes them by keyword, as a mapping."
        )
    positional: list[Any] = []
    keywords = {str(name): _read_plain(value) for name, value in given.items()}
    for name, parameter in inspect.signature(entry.make).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(keywords.pop(name, ()))
    return _make(entry, positional, keywords, dict(data))


def _plain(value: Any) -> Any:
    if isinstance(value, Initializer):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def _read_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return from_dict(value)
    if isinstance(value, list):
        return tuple(_read_plain(item) for item in value)
    return {"inf": math.inf, "-inf": -math.inf}.get(value, value) if type(value) is str else value
