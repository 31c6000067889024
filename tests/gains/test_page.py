"""docs/gains.md shows what the library computes."""

import math
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import fanin
from fanin import gains

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gains.md").read_text("utf-8")
LINES = [
    line
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for line in code.splitlines()
    if line and not line.startswith(("import", "from"))
]


@pytest.mark.parametrize("name", ["gains", "torch"])
def test_the_tables_are_computed(name: str) -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "gains_table.py"))
    assert tool["marked"](name, tool["blocks"]()[name]) in PAGE, "run tools/gains_table.py"


def test_the_examples_give_what_they_show() -> None:
    """A comment that is numbers is the value, to the digits shown."""
    names = {"fanin": fanin, "gains": gains, "torch": torch}
    shown = 0
    for line in LINES:
        code, _, comment = line.partition("#")
        if " = " in code and "(" not in code.partition(" = ")[0]:
            exec(code, names)
            continue
        values = np.atleast_1d(eval(code, names))
        numbers = re.fullmatch(r"\s*([\d.]+(, [\d.]+)*)", comment.replace("...", ""))
        if numbers:
            shown += 1
            for text, value in zip(numbers[1].split(", "), values, strict=True):
                digit = 10.0 ** -len(text.partition(".")[2])
                assert float(text) == pytest.approx(value, abs=digit)
        assert np.isfinite(values).all()
    assert shown == 4


def test_other_figures_in_the_text() -> None:
    theory = gains.depth_theory("gelu", fanin.gain("gelu") ** 2)
    assert theory.variance == "is unstable"
    assert theory.chi_q == pytest.approx(1.14, abs=0.005)
    assert fanin.gain("tanh", convention="torch") == 5 / 3
    assert math.isclose(gains.critical_weight_variance("relu"), 2)
