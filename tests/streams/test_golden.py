"""The drawn values are those of the golden file, on every back end."""

import ast
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import fanin
from fanin import Stream

GOLDEN = Path(__file__).parents[1] / "golden" / "streams_v1.txt"
LINES = GOLDEN.read_text("utf-8").splitlines()
DRAW = re.compile(r'draw (\w+) (\d+) (".*") (\d+) (\w+)\((.*)\) : (.*)')
BITS = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def lines(kind: str) -> list[str]:
    return [line for line in LINES if line.startswith(f"{kind} ")]


def drawn(line: str) -> tuple[str, str]:
    """The bits on a `draw` line, and those drawn now."""
    match = DRAW.fullmatch(line)
    assert match, line
    dtype, seed, name, start, kind, arguments, golden = match.groups()
    stream, first, count = Stream(int(seed), json.loads(name)), int(start), len(golden.split())
    if kind == "words":
        values = stream.words(count, first)
    else:
        parameters = [float(argument) for argument in arguments.split(",")]
        values = getattr(stream, kind)(
            2**62, *parameters, dtype=dtype, index=slice(first, first + count)
        )
    digits = 2 * values.itemsize
    bits = values.view(BITS[values.itemsize]).tolist()
    return golden, " ".join(f"{item:0{digits}x}" for item in bits)


def test_the_golden_file_covers_every_kind_and_dtype() -> None:
    found = {match.group(5, 1) for line in lines("draw") if (match := DRAW.fullmatch(line))}
    dtypes = ("float32", "float64", "bfloat16", "float16")
    kinds = ("uniform", "normal", "truncated_normal")
    assert found == {("words", "uint32")} | {(kind, dtype) for kind in kinds for dtype in dtypes}


def test_every_back_end_draws_the_golden_values(backend: str) -> None:
    different = [
        f"{line}\n   drew: {now}"
        for line in lines("draw")
        for golden, now in [drawn(line)]
        if golden != now
    ]
    assert not different, "\n".join(different[:10])


def hashed(line: str) -> tuple[str, str]:
    """The digest on a `hash` line, and that of the values drawn now."""
    match = DRAW.fullmatch(line.replace("hash", "draw", 1))
    assert match, line
    dtype, seed, name, count, kind, arguments, golden = match.groups()
    parameters = [float(argument) for argument in arguments.split(",")]
    values = getattr(Stream(int(seed), json.loads(name)), kind)(
        int(count), *parameters, dtype=dtype
    )
    return golden, hashlib.sha256(values).hexdigest()


def test_every_back_end_draws_the_golden_hashes(backend: str) -> None:
    assert len(lines("hash")) == 52
    different = [line for line in lines("hash") for golden, now in [hashed(line)] if golden != now]
    assert not different, "\n".join(different[:10])


@pytest.mark.parametrize("line", lines("sha256"))
def test_the_coefficients_are_the_golden_ones(line: str) -> None:
    _, name, digest = line.split()
    assert hashlib.sha256(files("fanin.streams").joinpath(name).read_bytes()).hexdigest() == digest


def test_child_labels_in_use_are_the_golden_ones() -> None:
    """A label in use is the second argument of stream_number, wherever the package calls it."""
    in_use: set[str] = set()
    for path in Path(fanin.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "stream_number":
                in_use.update(ast.literal_eval(label) for label in node.args[1:])
    assert sorted(in_use) == [line.split()[1] for line in lines("child")]
