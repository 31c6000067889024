"""Loops: what a scan holds, carries and reads row by row, in every JAX that is supported."""

from collections.abc import Mapping
from typing import Any


def count_held(params: Mapping[str, Any]) -> tuple[int, int]:
    """How many arguments of a scan stay the same, and how many it carries; rows come last."""
    if "num_consts" in params:
        return int(params["num_consts"]), int(params["num_carry"])
    held, carried, _ = params["ft_in"].unpack()  # from JAX 0.12 on
    return len(held), len(carried)
