import pytest

from fanin.lab.statistics.statistics import Difference, Interval
from fanin.studies._paired import difference, holm


def given(p: float) -> Difference:
    return Difference("a", "b", Interval(0, 0, 0), p, p, 1.0)


def test_holm_is_the_papers_step_down() -> None:
    adjusted = holm([given(p) for p in (0.01, 0.04, 0.03, 0.005)])
    assert [one.p_adjusted for one in adjusted] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [one.found for one in adjusted] == [True, False, False, True]
    assert holm([given(0.9), given(0.8)])[0].p_adjusted == 1
    assert holm([]) == []


def test_a_paired_difference() -> None:
    first, second = [0.9, 0.8, 0.85, 0.95, 0.9, 0.8], [0.8, 0.75, 0.7, 0.8, 0.85, 0.75]
    found = difference(("a", first), ("b", second), family=1)
    assert found.interval.mean == pytest.approx(0.55 / 6)
    assert 0.05 <= found.interval.low < found.interval.mean < found.interval.high <= 0.15
    assert found.p == 2 / 64
    assert found.found
    assert found == difference(("a", first), ("b", second), family=1)  # a fixed seed
