"""Write the golden file of the streams: values that every back end must draw.

    python tools/golden.py [--check]

Writes tests/golden/streams_v1.txt from the NumPy reference; --check compares instead.
The file is the stream's version: whoever changes it changes everybody's weights.
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from fanin import Stream
from fanin.streams import (
    ComplexNormal,
    ComplexTruncatedNormal,
    ComplexUniform,
    Distribution,
    Laplace,
    Signs,
    use_backend,
)
from fanin.streams._output import COMPLEX
from fanin.streams._scales import InverseSoftplus, LogOfUniform, LogUniform, RingRate

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "streams_v1.txt"
TABLES = ("normal_float32.inc", "normal_float64.inc")
CHILDREN = ("imag", "imag:low", "low", "phase", "phase:low", "zeros")  # labels in use

HEADER = """\
# What stream version 1 draws. Frozen: this file *is* the version. A change here would be a change
# of everybody's weights; other values need a version 2, and a file of their own.
# Made by tools/golden.py from the NumPy reference; every back end is tested against it.
#
# sha256 FILE DIGEST                             the coefficients, in src/fanin/streams
# child LABEL                                    a child stream in use: the hash of name NUL label
# draw DTYPE SEED NAME START DISTRIBUTION : ...  bits of the values at START, START + 1, ...
# hash DTYPE SEED NAME COUNT DISTRIBUTION : ...  SHA-256 of the first COUNT values, little-endian
# made ..., sum ...                              as draw and hash, of distributions that are made
#                                                on the host from words; real, imaginary parts
"""

ADDRESSES = (
    (0, "a", 0),
    (0, "слой.0.weight", 2**40 + 3),
    (1, "слой.0.weight", 2**32 + 1),
    (2**64 - 1, "a", 2**32 + 1),
    (2**64 - 1, "layers.0.weight", 2**40 + 3),
)
DTYPES = ("float32", "float64", "bfloat16", "float16")
DISTRIBUTIONS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("uniform", (0.0, 1.0)),
    ("uniform", (-0.5, 0.5)),
    ("uniform", (-0.1, 0.7)),
    ("normal", (0.0, 1.0)),
    ("normal", (0.1, 0.02)),
    ("truncated_normal", (0.0, 1.0, -2.0, 2.0)),
    ("truncated_normal", (0.1, 0.02, -0.3, 0.7)),
    ("truncated_normal", (0.0, 1.0, 10.0, 11.0)),
    ("truncated_normal", (0.0, 1.0, 0.5, 0.500001)),
    ("truncated_normal", (0.0, 1.0, 2.47, 2.4700002)),  # so narrow that bounds decide
    ("truncated_normal", (0.0, 1.0, -1000.0, 1000.0)),
    ("truncated_normal", (0.0, 1.0, -math.inf, -12.5)),
    ("truncated_normal", (0.0, 1.0, 1.0, math.inf)),
)
HOST_DRAWN: tuple[tuple[Distribution, tuple[str, ...]], ...] = (
    (Laplace(0.0, 1.0), DTYPES),
    (Laplace(0.1, 0.02), DTYPES),
    (Signs(1.0, 0.5), DTYPES),
    (Signs(0.5, 0.3), DTYPES),
    (LogUniform(1e-3, 0.1), DTYPES),
    (InverseSoftplus(1e-3, 0.1), DTYPES),
    (InverseSoftplus(0.5, 90.0), DTYPES),
    (LogOfUniform(1.0, 99.0), DTYPES),
    (RingRate(0.5, 0.99), DTYPES),
    (ComplexNormal(1.0), COMPLEX),
    (ComplexUniform(0.5), COMPLEX),
    (ComplexTruncatedNormal(1.0, 2.0), COMPLEX),
    (ComplexTruncatedNormal(1.0, math.inf), COMPLEX),
)
COUNT = 8
HASHED = 100_003
BITS = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def hexadecimal(values: np.ndarray) -> str:
    """The bits of the values, one hexadecimal number each."""
    digits = 2 * values.itemsize
    return " ".join(f"{bits:0{digits}x}" for bits in values.view(BITS[values.itemsize]).tolist())


def host_drawn() -> Iterator[str]:
    """The lines of what the host makes of words."""
    for seed, name, start in ADDRESSES:
        where = f"{seed} {json.dumps(name, ensure_ascii=False)} {start}"
        for one, dtypes in HOST_DRAWN:
            for dtype in dtypes:
                index = slice(start, start + COUNT)
                values = Stream(seed, name).draw(one, 2**62, dtype, index)
                yield f"made {dtype} {where} {call_of(one)} : {hexadecimal(real(values))}\n"
    for one, dtypes in HOST_DRAWN:
        for dtype in dtypes:
            digest = hashlib.sha256(Stream(0, "a").draw(one, HASHED, dtype))
            yield f'sum {dtype} 0 "a" {HASHED} {call_of(one)} : {digest.hexdigest()}\n'


def real(values: np.ndarray) -> np.ndarray:
    """Complex values as pairs of their parts; others as they are."""
    return values.view(values.real.dtype) if np.iscomplexobj(values) else values


def call_of(distribution: Any) -> str:
    """A distribution as the file spells it."""
    return f"{distribution.kind}({', '.join(map(repr, astuple(distribution)))})"


def text() -> str:
    lines = [HEADER]
    for name in TABLES:
        digest = hashlib.sha256((ROOT / "src/fanin/streams" / name).read_bytes()).hexdigest()
        lines.append(f"sha256 {name} {digest}\n")
    lines += [f"child {label}\n" for label in CHILDREN]
    for seed, name, start in ADDRESSES:
        stream = Stream(seed, name)
        where = f"{seed} {json.dumps(name, ensure_ascii=False)} {start}"
        lines.append(f"draw uint32 {where} words() : {hexadecimal(stream.words(COUNT, start))}\n")
        for kind, parameters in DISTRIBUTIONS:
            for dtype in DTYPES:
                values = getattr(stream, kind)(
                    2**62, *parameters, dtype=dtype, index=slice(start, start + COUNT)
                )
                call = f"{kind}({', '.join(map(repr, parameters))})"
                lines.append(f"draw {dtype} {where} {call} : {hexadecimal(values)}\n")
    stream = Stream(0, "a")
    for kind, parameters in DISTRIBUTIONS:
        for dtype in DTYPES:
            digest = hashlib.sha256(getattr(stream, kind)(HASHED, *parameters, dtype=dtype))
            call = f"{kind}({', '.join(map(repr, parameters))})"
            lines.append(f'hash {dtype} 0 "a" {HASHED} {call} : {digest.hexdigest()}\n')
    return "".join((*lines, *host_drawn()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    with use_backend("reference"):
        content = text()
    if not check:
        GOLDEN.write_text(content, "utf-8")
        print(f"wrote {GOLDEN}")
        return 0
    same = GOLDEN.read_text("utf-8") == content
    print(f"{GOLDEN.name}: {'same' if same else 'DIFFERENT'}")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
