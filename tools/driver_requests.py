"""Write the requests that native/driver.cpp compares a kernel with, resolved for a dumb reader.

    python tools/driver_requests.py GOLDEN.txt LONG.txt

GOLDEN.txt: every draw of tests/golden/streams_v1.txt, the answers of philox4x32_10.txt that
addresses reach, and the witness that fma rounds once. LONG.txt: thousands of values of every
distribution and dtype of the golden file, drawn here by the NumPy reference: those that the
file has the hashes of, after a look whether these agree, and others that begin inside a block.
So whole tiles, their ends, several threads and rare rows of the tables are compared too.

A line is

    ENCODING SEED STREAM LOW BASE KIND CONSTANT... : BITS...

STREAM and LOW are the numbers of the name and of its child `low`, BASE the first address, the
constants hexadecimal floats, the bits those of the values at BASE, BASE + 1, ...
"""

import argparse
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import golden
import numpy as np

from fanin import Stream
from fanin.streams import Normal, TruncatedNormal, Uniform, use_backend
from fanin.streams._address import stream_number

Parameters = tuple[float, ...]
FOLDER = golden.GOLDEN.parent
DRAW = re.compile(r'draw (\w+) (\d+) (".*") (\d+) (\w+)\((.*)\) : (.*)')
HASH = re.compile(r'hash (\w+) (\d+) (".*") (\d+) (\w+)\((.*)\) : (.*)')
DISTRIBUTIONS = {one.kind: one for one in (Uniform, Normal, TruncatedNormal)}
TILE, SHARED = 2048, 300_000  # values in a tile of the kernel; enough for two threads to share


def request(
    encoding: str,
    seed: int,
    name: str,
    base: int,
    kind: str,
    constants: tuple[float, ...],
    bits: str,
) -> str:
    """A line for a draw of the stream of this name."""
    numbers = f"{stream_number(name)} {stream_number(name, 'low')}"
    what = " ".join([kind, *map(float.hex, constants)])
    return f"{encoding} {seed} {numbers} {base} {what} : {bits}"


def constants_of(kind: str, parameters: Parameters, dtype: str) -> Parameters:
    precision = "float64" if dtype == "float64" else "float32"
    return DISTRIBUTIONS[kind](*parameters).constants(precision)


def golden_draws() -> Iterator[str]:
    for line in golden.GOLDEN.read_text("utf-8").splitlines():
        if not (match := DRAW.fullmatch(line)):
            continue
        dtype, seed, name, start, kind, arguments, bits = match.groups()
        constants: Parameters = ()
        if kind != "words":
            constants = constants_of(kind, tuple(map(float, arguments.split(","))), dtype)
        yield request(dtype, int(seed), json.loads(name), int(start), kind, constants, bits)


def known_answers() -> Iterator[str]:
    for line in (FOLDER / "philox4x32_10.txt").read_text().splitlines():
        if not line.startswith("philox4x32 10 "):
            continue
        c0, c1, c2, c3, k0, k1, *_ = (int(word, 16) for word in line.split()[2:])
        if c1 < 2**30:  # addresses have 64 bits, a block has four of them
            numbers = f"{k1 << 32 | k0} {c3 << 32 | c2} 0 {(c1 << 32 | c0) * 4}"
            yield f"uint32 {numbers} words : {' '.join(line.split()[8:])}"


def witness() -> Iterator[str]:
    """float32 fma(4097, 4097, 2**-30) = 16785410: a draw whose x is 4097 * 2**-24."""
    address = 17879798
    assert Stream(0, "witness").words(1, address)[0] >> 8 == 2**23 + 2048
    constants = (4097 * 2.0**24, 2.0**-30, -(2.0**30), 2.0**30)
    bits = golden.hexadecimal(np.array([16785410], np.float32))
    yield request("float32", 0, "witness", address, "uniform", constants, bits)


def drawn(
    dtype: str, seed: int, name: str, start: int, count: int, kind: str, parameters: Parameters
) -> tuple[str, np.ndarray]:
    values = getattr(Stream(seed, name), kind)(
        2**62, *parameters, dtype=dtype, index=slice(start, start + count)
    )
    constants = constants_of(kind, parameters, dtype)
    bits = golden.hexadecimal(values)
    return request(dtype, seed, name, start, kind, constants, bits), values


def hashed_draws() -> Iterator[str]:
    for line in golden.GOLDEN.read_text("utf-8").splitlines():
        if match := HASH.fullmatch(line):
            dtype, seed, name, count, kind, arguments, digest = match.groups()
            parameters = tuple(map(float, arguments.split(",")))
            where = dtype, int(seed), json.loads(name), 0, int(count)
            one, values = drawn(*where, kind, parameters)
            assert hashlib.sha256(values.tobytes()).hexdigest() == digest, line
            yield one


def long_draws() -> Iterator[str]:
    for kind, parameters in golden.DISTRIBUTIONS:
        for dtype in golden.DTYPES:
            # Two tiles and a part of a vector, from inside a block; the carry of its number.
            where = dtype, 1, "long", 2**34 - TILE + 1, 2 * TILE + 44
            yield drawn(*where, kind, parameters)[0]
    for dtype in ("float32", "float64"):
        yield drawn(dtype, 1, "long", 2**40 + 3, SHARED, "normal", (0.0, 1.0))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("golden", type=Path, metavar="GOLDEN.txt")
    parser.add_argument("long", type=Path, metavar="LONG.txt")
    files = parser.parse_args()
    with use_backend("reference"):
        lines = [*golden_draws(), *known_answers(), *witness()]
        files.golden.write_text("".join(f"{line}\n" for line in lines))
        files.long.write_text("".join(f"{line}\n" for line in (*hashed_draws(), *long_draws())))


if __name__ == "__main__":
    main()
