"""Streams: what the values of a weight are (the contract is in docs/streams.md)."""

import typing as _typing

from fanin.streams._address import Index as Index
from fanin.streams._backends import backend as backend
from fanin.streams._backends import backends as backends
from fanin.streams._backends import use_backend as use_backend
from fanin.streams._complex import ComplexNormal as ComplexNormal
from fanin.streams._complex import ComplexTruncatedNormal as ComplexTruncatedNormal
from fanin.streams._complex import ComplexUniform as ComplexUniform
from fanin.streams._distributions import Constant as Constant
from fanin.streams._distributions import Distribution as Distribution
from fanin.streams._distributions import Normal as Normal
from fanin.streams._distributions import TruncatedNormal as TruncatedNormal
from fanin.streams._distributions import Uniform as Uniform
from fanin.streams._inversion import Laplace as Laplace
from fanin.streams._inversion import Signs as Signs
from fanin.streams._output import Array as Array
from fanin.streams._output import DTypeLike as DTypeLike
from fanin.streams._stream import Stream as Stream

# Public by accident until 0.1; gone in 0.2.
_INTERNAL = {
    "fanin._arguments": ("check_seed", "check_shape"),
    "fanin.streams._address": ("selected", "stream_number"),
    "fanin.streams._elementary": ("log_of",),
    "fanin.streams._output": ("COMPLEX", "REAL", "check_out", "dtype_name", "is_complex", "write"),
}

if not _typing.TYPE_CHECKING:  # which would take any name for one of this package

    def __getattr__(name: str) -> object:
        from importlib import import_module
        from warnings import warn

        home = next((home for home, names in _INTERNAL.items() if name in names), None)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        warn(
            f"fanin.streams.{name} is internal, and goes in 0.2.", DeprecationWarning, stacklevel=2
        )
        return getattr(import_module(home), name)
