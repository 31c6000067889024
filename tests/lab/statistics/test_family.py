from fanin.lab.statistics.family import ComparisonFamily

STEADY = {seed: 0.9 + seed / 1000 for seed in range(8)}
LOW = {seed: 0.5 + seed / 1000 for seed in range(8)}
NEAR = {seed: 0.9 - (-1) ** seed / 100 for seed in range(8)}


def family(larger: bool = True, baseline: str | None = None) -> ComparisonFamily:
    return ComparisonFamily("accuracy", larger, {"a": STEADY, "b": LOW, "c": NEAR}, baseline)


def test_all_pairs_around_the_best() -> None:
    found = family()
    assert (found.best, found.center) == ("a", "a")
    assert [(d.first, d.second) for d in found.differences] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert (found.alike, found.worse, found.better) == (["c"], ["b"], [])
    assert not found.powerless


def test_smaller_may_be_better() -> None:
    found = family(larger=False)
    assert found.best == "b"
    assert found.worse == ["a", "c"]


def test_a_baseline_is_compared_with_each_other_row() -> None:
    found = family(baseline="c")
    assert [(d.first, d.second) for d in found.differences] == [("a", "c"), ("b", "c")]
    assert (found.alike, found.worse, found.better) == (["a"], ["b"], [])
    assert family(baseline="b").better == ["a", "c"]


def test_pairs_are_of_the_seeds_that_both_rows_have() -> None:
    cut = ComparisonFamily("accuracy", True, {"a": STEADY, "b": {0: 0.5, 7: 0.5}})
    assert cut.pairs == 2
    assert cut.differences[0].interval.mean == 0.4035
    assert cut.powerless


def test_one_row_has_nothing_to_compare() -> None:
    alone = ComparisonFamily("accuracy", True, {"a": STEADY})
    assert alone.differences == []
    assert alone.best == "a"
