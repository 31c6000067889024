"""Form: what a network reads of a data set, and what it returns."""

from typing import NamedTuple

from fanin.lab.data.inputs import InputKind


class DataForm(NamedTuple):
    """What a network reads, by kind and shape of one input, and how many numbers it returns."""

    outputs: int = 10
    kind: InputKind = "images"
    shape: tuple[int, ...] = (1, 28, 28)
    tokens: int = 0


MNIST = DataForm()
