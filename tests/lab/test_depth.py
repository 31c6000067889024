import numpy as np
import pytest

from fanin.lab.depth import DepthRow, deepest
from fanin.lab.training.trial import Trial


def row(name: str, learned: list[int], of: int = 4) -> DepthRow:
    """Depths 2, 4, 8, ... at which so many runs learned."""
    trials = {
        2**power: tuple(
            Trial(n, np.ones(3, np.float32), (0.5,), "learned" if n < count else "stuck", 1)
            for n in range(of)
        )
        for power, count in enumerate(learned, 1)
    }
    return DepthRow(name, trials)


@pytest.mark.parametrize(
    ("learned", "depth"),
    [([4, 4, 4], 8), ([4, 2, 1], 4), ([1, 4, 4], None), ([4, 1, 4], 2), ([0, 0, 0], None)],
)
def test_training_starts_down_to_where_half_of_the_runs_learn(
    learned: list[int], depth: int | None
) -> None:
    assert row("a", learned).starts_to == depth


def test_the_deepest() -> None:
    rows = [row("a", [4, 0]), row("b", [4, 3]), row("c", [4, 4])]
    assert [one.name for one in deepest(rows)] == ["b", "c"]
    assert deepest([row("a", [0, 4])]) == []
