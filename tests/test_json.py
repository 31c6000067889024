"""JSON: what is not finite is written by name, in all that fanin writes."""

import json

import numpy as np

from fanin._json import json_text


def test_numbers_that_are_not_finite_have_names() -> None:
    content = {
        "floats": [float("nan"), float("inf"), (-float("inf"), 0.5)],
        "numpy": [np.float64("nan"), np.float32("-inf"), np.float32(0.25), np.int64(3)],
        "others": [None, True, 7, "nan", {"deep": [float("inf")]}],
    }
    assert json.loads(json_text(content)) == {
        "floats": ["nan", "inf", ["-inf", 0.5]],
        "numpy": ["nan", "-inf", 0.25, 3],
        "others": [None, True, 7, "nan", {"deep": ["inf"]}],
    }
