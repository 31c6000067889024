"""Sets of nodes are those of Python, faster; what is reached is what a walk through all finds."""

from hypothesis import given
from hypothesis import strategies as st

from fanin.graph import NodeSet, reach

POSITIONS = st.sets(st.integers(0, 300))


@given(POSITIONS, POSITIONS)
def test_a_node_set_is_a_set(a: set[int], b: set[int]) -> None:
    mine, other = NodeSet(a), NodeSet(b)
    assert list(mine) == sorted(a)
    assert set(mine | other) == a | b
    assert set(mine & other) == a & b
    assert set(mine - other) == a - b
    assert (len(mine), bool(mine)) == (len(a), bool(a))
    assert (mine == other) == (a == b)
    assert all((at in mine) == (at in a) for at in range(301))


@given(st.dictionaries(st.integers(0, 20), st.lists(st.integers(0, 20), max_size=3), min_size=1))
def test_reach_is_the_closure_each_once(edges: dict[int, list[int]]) -> None:
    start = next(iter(edges))
    found = list(reach([start], lambda at: edges.get(at, ())))
    closure = {start}
    while more := {b for a in closure for b in edges.get(a, ())} - closure:
        closure |= more
    assert sorted(found) == sorted(closure)
    assert found[0] == start
