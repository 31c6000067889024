"""The tutorial: its cells run, what is stored is theirs, and nothing in it is of one machine."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
CELLS: list[dict[str, Any]] = json.loads(TUTORIAL.read_text("utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
ABSOLUTE = re.compile(r"""(?<![\w<.:/])/(?:[\w.-]+/)+[\w.-]+|[A-Z]:\\\\\w""")


def test_its_cells_run(tmp_path: Path) -> None:
    script = "\n".join(CODE)
    done = subprocess.run(
        [sys.executable, "-W", "error::fanin.FaninWarning", "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    printed = dict(re.findall(r"(.*?):? +(?:loss|have) ([\d.]+)$", done.stdout, re.MULTILINE))
    assert float(printed["the plan"]) < 0.5 < 2 < float(printed["PyTorch's default"])
    assert 0.2 < float(printed["the head's outputs"]) < 5


def test_every_cell_was_run_in_order_and_without_errors() -> None:
    run = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in run] == [*range(1, len(run) + 1)]
    kinds = [output["output_type"] for cell in run for output in cell["outputs"]]
    assert {*kinds} == {"execute_result", "stream"}
    names = {output["name"] for cell in run for output in cell["outputs"] if "name" in output}
    assert names == {"stdout"}  # no warnings


def test_tables_are_stored_as_html() -> None:
    shown = [
        "".join(output["data"].get("text/html", ""))
        for cell in CELLS
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    for title in ("plan: recipe auto, 40 parameters", "audit: 40", "F03 error", "gains at mean 0"):
        assert sum(f">{title}" in text for text in shown) == 1, title


def test_it_holds_no_absolute_paths() -> None:
    assert ABSOLUTE.search("in /home/me/x.py") is not None
    assert ABSOLUTE.search(r"C:\\me") is not None
    text = TUTORIAL.read_text("utf-8")
    assert ABSOLUTE.findall(text) == []


def test_its_links_lead_somewhere() -> None:
    text = "".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)#]+)", text)
    assert len(links) > 3
    assert all((TUTORIAL.parent / link).exists() for link in links)
