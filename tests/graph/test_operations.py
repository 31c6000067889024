"""Operations: every one has a row, and the sets that the rest goes by follow from its traits."""

from typing import get_args

import pytest

from fanin.graph import OPERATIONS, Op, Trait, having


def test_every_operation_has_a_row_and_known_traits() -> None:
    assert set(OPERATIONS) == set(get_args(Op))
    traits = set().union(*(own for _, own in OPERATIONS.values()))
    assert traits == set(get_args(Trait))


def test_every_operation_says_what_it_does() -> None:
    said = [what for what, _ in OPERATIONS.values()]
    assert all(said)


SETS: dict[Trait, str] = {
    "carries": "view dropout",
    "weight": "linear recurrent",
    "breaks": "normalize softmax attention matmul mul recurrent",
    "keeps units": "shift scale normalize pointwise dropout add mul",
    "own size": "input buffer parameter lookup softmax normalize recurrent",
    "sums": "linear shift scale matmul add mul sum mean pool",
}


@pytest.mark.parametrize("trait", SETS)
def test_sets(trait: Trait) -> None:
    assert having(trait) == set(SETS[trait].split())


def test_several_traits_are_a_union() -> None:
    assert having("window", "reduces") == {"pool", "max", "mean", "sum"}
