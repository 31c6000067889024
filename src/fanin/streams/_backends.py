"""Which code draws: the compiled kernel at the best level of this CPU, or the reference.

FANIN_BACKEND names one (`backends()` lists them); unset, the fastest is chosen.
FANIN_NUM_THREADS sets the default number of threads.
"""

import operator
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import SupportsIndex, cast

from fanin.errors import FaninError
from fanin.streams import _reference

try:
    from fanin import _native  # type: ignore[attr-defined, unused-ignore]

    _missing = ""
except ModuleNotFoundError:  # the pure wheel, or built where there was no compiler
    _native = None
    _missing = "fanin was installed without its compiled kernel"
except ImportError as error:  # of another platform, or of another Python
    _native = None
    _missing = f"fanin's compiled kernel does not load here ({error})"

Fill = Callable[..., None]


def _available(call: str) -> dict[str, Fill]:
    levels = _native.levels() if _native else ()
    return {level: partial(getattr(_native, call), level) for level in levels} | {
        "reference": getattr(_reference, call)
    }


_WORTH_THREADS = 1 << 17  # the kernel does not share fewer values anyway
_MOST_THREADS = 4096

_BACKENDS = _available("fill")  # the fastest first
_OF_MANY = _available("fill_many")
_chosen: str | None = None


def backends() -> tuple[str, ...]:
    """The back ends that work on this machine, the fastest first."""
    return tuple(_BACKENDS)


def backend() -> str:
    """The name of the back end that draws."""
    global _chosen
    if _chosen is None:
        _chosen = _check(os.environ.get("FANIN_BACKEND") or backends()[0], "FANIN_BACKEND")
        if _native is None:
            warnings.warn(
                f"{_missing}: the NumPy reference draws, with the same bits and some 100 times "
                "slower. Install this platform's wheel, or reinstall where a C++ compiler is.",
                RuntimeWarning,
                stacklevel=5,  # the line that draws
            )
    return _chosen


def _check(name: str, what: str) -> str:
    if name not in _BACKENDS:
        raise FaninError(f"{what} is {name!r}; this machine has {', '.join(backends())}.")
    return name


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Draw with the named back end inside a `with` block, in all threads of the process."""
    global _chosen
    before, _chosen = backend(), _check(name, "back end")
    try:
        yield
    finally:
        _chosen = before


def current_fill() -> Fill:
    """The `fill` of the back end that draws; see `_reference.fill` for its arguments."""
    return _BACKENDS[_chosen or backend()]


def current_fill_many() -> Fill:
    """The `fill_many` of the back end that draws; see `_reference.fill_many`."""
    return _OF_MANY[_chosen or backend()]


def check_threads(threads: int | None, values: int) -> int:
    """The number of threads to draw with: as asked, FANIN_NUM_THREADS, or the process's CPUs."""
    setting = None
    if threads is None:
        if values < _WORTH_THREADS:
            return 1
        setting = os.environ.get("FANIN_NUM_THREADS")
        if not setting:
            return _cpus()
    try:
        count = int(setting) if setting else operator.index(cast(SupportsIndex, threads))
    except (TypeError, ValueError):
        count = 0
    if count < 1:
        what = "FANIN_NUM_THREADS" if setting else "threads"
        raise FaninError(f"{what} is {setting or threads!r}; give an integer >= 1.")
    return min(count, _MOST_THREADS)


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: respects taskset and containers' CPU sets
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
