"""Plans, recipes and checks need no framework but its adapter: a toy's, with torch out of reach."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys

sys.modules["torch"] = None  # importing it fails
sys.path.insert(0, sys.argv[1])
import numpy as np
import pytest
import toy

import fanin
from fanin.frameworks import Adapter
from fanin.frameworks._detect import FRAMEWORKS, Framework


def adapter() -> Adapter:
    return toy


FRAMEWORKS["toy"] = Framework("Model", adapter)
x = np.random.default_rng(0).standard_normal((512, 64))
model = toy.Model(64, 256, 256, 10)

plan = fanin.plan(model, x)
assert [str(row.initializer) for row in plan.values()] == EXPECTED, [*plan.values()]
applied = fanin.initialize(model, 7, x)
applied.verify(model)
assert applied.audit(model).ok
assert abs(model(x).std() - 1) < 0.2, model(x).std()
whole = fanin.initializers.get("lecun_normal")((64, 256), seed=7, name="0.kernel", axes="in out",
    dtype="float64")
assert (model.weights["0.kernel"] == whole).all()

goals = np.zeros((512, 10))
assert fanin.check(model, x, goals).ok("warning"), fanin.check(model, x, goals)
for name in model.weights:
    model.weights[name] = 30 * model.weights[name]
found = {finding.id for finding in fanin.check(model, x, goals).findings}
assert "F05" in found, found  # tanh saturates
report = str(fanin.check(model, x, goals))
assert "toy 1.0" in report

with pytest.raises(fanin.FaninError, match="holds? other values than seed 7"):
    applied.verify(model)
applied.apply(model)
applied.verify(model)
for recipe in ("orthogonal", "keras", "flax"):
    assert len(fanin.plan(model, x, recipe)) == 3
assert not [name for name in sys.modules if name.startswith("fanin.frameworks.torch")]
"""
BEHIND_TANH = "variance_scaling(2.53617543, 'fan_in', 'normal')"  # 1 / E[tanh(z)**2]
EXPECTED = ["lecun_normal()", BEHIND_TANH, BEHIND_TANH]


def test_a_second_framework_is_a_folder_with_the_same_verbs() -> None:
    script = SCRIPT.replace("EXPECTED", repr(EXPECTED))
    ran = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
