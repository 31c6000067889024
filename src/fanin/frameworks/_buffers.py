"""Buffers: what is said of those of a model."""

from collections.abc import Iterable
from typing import NamedTuple

from fanin.errors import FaninError


class BufferProof(NamedTuple):
    """What one buffer is, in words, and what is wrong with it; "" for nothing.

    `line` is what a hash over all buffers is made of, "" where there is nothing to hash.
    """

    name: str
    told: str = "buffer"
    fault: str = ""
    line: str = ""


def list_unproved(names: Iterable[str], build: object) -> list[BufferProof]:
    """Buffers of arrays that do not say how they were made."""
    if build is not None:
        raise FaninError(
            "build is given, and buffers are built once more for models of PyTorch alone. Leave it "
            "out."
        )
    return [BufferProof(name) for name in names]
