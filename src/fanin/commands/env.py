"""`fanin env`: what a bug report needs to say of this machine and what is installed on it."""

import argparse
import os
import platform
import warnings
from collections.abc import Callable
from importlib import metadata
from typing import Any

import fanin
from fanin._columns import align
from fanin._json import json_text
from fanin.commands import _output
from fanin.errors import FaninError
from fanin.streams import backend, backends
from fanin.streams._backends import check_threads

# Distributions whose versions decide how a model is read, written or trained.
_PACKAGES = (
    *("numpy", "torch", "triton", "jax", "jaxlib", "flax", "equinox", "dm-haiku"),
    *("keras", "tensorflow", "ml_dtypes", "safetensors", "transformers", "peft", "accelerate"),
    *("lightning", "pytorch-lightning", "deepspeed", "torchtitan"),
)
_SETTINGS = ("FANIN_BACKEND", "FANIN_NUM_THREADS")
_MANY = 1 << 30  # values, of which all threads draw some


def add(commands: Any) -> None:
    """Add the parser of `fanin env`."""
    parser = commands.add_parser(
        "env",
        help="say what is installed, which kernel draws and with how many threads",
        description="Print what a bug report needs: versions of fanin, Python and of the "
        "frameworks that are installed (none of which is imported), the kernel that draws, its "
        "threads, and the settings of the environment. No paths and no names.",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    facts = _collect()
    if arguments.json:
        _output.show(json_text(facts, indent=2))
        return
    listed = facts.pop("packages") | facts.pop("settings")
    cells = {
        name: ", ".join(value) if isinstance(value, list) else str(value)
        for name, value in (facts | listed).items()
    }
    _output.show("\n".join(align([*cells.items()])) + "\n")


def _collect() -> dict[str, Any]:
    """What there is, each under its name; a wrong setting is told in place of what it decides."""
    versions = {name: _find_version(name) for name in _PACKAGES}
    return {
        "fanin": fanin.__version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "back end": _try(backend),
        "back ends": list(backends()),
        "threads": _try(lambda: check_threads(None, _MANY)),
        "packages": {name: version for name, version in versions.items() if version},
        "settings": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
    }


def _find_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _try(find: Callable[[], Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no kernel is told as what it is
            return find()
    except FaninError as error:
        return f"error: {error}"
