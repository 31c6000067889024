"""Functional: a model that is never written into, with the arrays that it is a function of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Functional:
    """A model and its parameters, of which new ones are made: a module of Equinox, which holds
    them itself (`params` None), one of Flax Linen with its variables, any function with a tree.

    `inputs` are what it is called with, where they are known; of some a run alone tells how
    their arrays lie in memory.
    """

    model: Any
    params: Any = None
    inputs: Any = None
