"""Samples of the lab's data, for a checkup."""

from fanin._samples import Sample
from fanin.errors import FaninError
from fanin.lab.data.dataset import Dataset, split


def examples(data: Dataset, batch: int, seed: int) -> Sample:
    """`batch` training inputs (batch, ...) that the seed chooses, with their labels."""
    own = len(data.labels) - data.own_test
    if not 1 <= batch <= own - (not data.own_test):
        raise FaninError(
            f"batch is {batch}; {data.name} has {own} {data.unit} to choose from. Use 1 or more, "
            "and not all of them."
        )
    chosen = split(data, batch, 1, 1, seed).order[0]
    described = f"{batch} {data.unit} of {data.name}"
    return Sample(data.inputs[chosen], described, targets=data.labels[chosen])
