"""Computed: what a constructor makes of no random numbers, as a decay rate or a LayerScale is."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core


def find_computed(make: Callable[..., Sequence[Any]], *given: Any) -> list[int]:
    """The positions of the results that do not depend on what is given: no key, no inputs.

    `make` is traced; nothing is computed.
    """
    jaxpr = jax.make_jaxpr(make)(*given).jaxpr
    depends = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        if any(not isinstance(item, core.Literal) and item in depends for item in equation.invars):
            depends.update(equation.outvars)
    return [
        at
        for at, item in enumerate(jaxpr.outvars)
        if isinstance(item, core.Literal) or item not in depends
    ]
