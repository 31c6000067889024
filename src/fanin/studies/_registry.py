"""The studies by name. This file imports no library, so that `--help` can print the names."""

import importlib

from fanin.errors import FaninError
from fanin.studies._study import Study

NAMES = ("saturation", "rng", "symmetry", "depth", "mnist", "classics", "transformers")
"""Modules of this package, each of which defines STUDY."""


def find(name: str) -> Study:
    """The study of a name."""
    if name not in NAMES:
        raise FaninError(f"unknown study {name!r}. Known are {', '.join(NAMES)}.")
    study: Study = importlib.import_module(f"fanin.studies.{name}").STUDY
    return study
