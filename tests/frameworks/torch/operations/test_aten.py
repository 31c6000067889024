"""Aten: the tables of operations, each of which is translated in one way."""

import itertools

from fanin.frameworks.torch.operations import (
    _aten,
    _elementwise,
    _following,
    _moves,
    _products,
    _reductions,
    _windows,
)


def test_every_operation_is_in_one_table() -> None:
    tables = {
        "moves": frozenset(_moves.TABLE),
        "plain views": _moves.PLAIN_VIEWS,
        "elementwise": frozenset(_elementwise.TABLE),
        "products": frozenset(_products.TABLE),
        "reductions": frozenset(_reductions.TABLE),
        "windows": frozenset(_windows.TABLE),
        "pointwise": frozenset(_following._UNMARKED),
        "factories": _aten.FACTORIES,
    }
    both = {
        (first, second): tables[first] & tables[second]
        for first, second in itertools.combinations(tables, 2)
    }
    assert not any(both.values()), {pair: names for pair, names in both.items() if names}
