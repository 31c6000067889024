"""The wheel that fits this interpreter, in an environment of its own, held to the golden values.

    python tools/wheel_test.py dist [LEVEL ...]

NumPy and pytest come from pip's registry, as wheels; no compiler is asked for. Every level of this
CPU and the NumPy reference must draw what tests/golden has; with levels named, this CPU must have
these, such as "x86-64-v3 x86-64".
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

COMPARE = """
import sys
sys.path.insert(0, sys.argv[1])
import fanin, test_golden
from fanin.streams import backends, use_backend
assert len(backends()) > 1, "the wheel has no kernel"
if sys.argv[2:]:
    assert backends() == (*sys.argv[2:], "reference"), backends()
for level in backends():
    with use_backend(level):
        test_golden.test_every_back_end_draws_the_golden_values(level)
        if level != "reference":  # millions of values
            test_golden.test_every_back_end_draws_the_golden_hashes(level)
python = sys.version.split()[0]
print("fanin", fanin.__version__, "on Python", python, "draws the golden values:", *backends())
"""


def main() -> None:
    dist = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        environment = os.environ | {"CC": "none", "CXX": "none", "PYTHONPATH": ""}
        pip = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, "numpy", "pytest"], check=True, env=environment)
        ours = ["--no-index", "--no-deps", "--find-links", dist, "fanin"]
        subprocess.run([*pip, *ours], check=True, env=environment)
        compare = [python, "-c", COMPARE, ROOT / "tests" / "streams", *sys.argv[2:]]
        subprocess.run(compare, check=True, env=environment, cwd=folder)


if __name__ == "__main__":
    main()
