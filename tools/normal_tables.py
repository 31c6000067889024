"""Make the coefficient tables of the normal quantile (streams version 1).

    python tools/normal_tables.py [--check]

Writes src/fanin/streams/normal_float32.inc and normal_float64.inc, the files that the
NumPy reference reads and the C++ kernel includes; --check compares instead of writing.
The tables *are* the stream version: this script documents where they come from.

A row covers the octave 2**e <= p < 2**(e+1) of p = u * 2**BITS, u <= 1/2 the tail
probability. There |z| = x * P(f), with x = 2**(BITS-1) - p the distance from the centre
(so that z keeps its relative accuracy where it passes through zero) and f the mantissa of p
minus the middle of its interval. The quantile's only singularity, u = 0, is the same three
half-widths away in every octave, so one degree serves all of them.
"""

import argparse
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
from scipy.special import ndtri

STREAMS = Path(__file__).parents[1] / "src" / "fanin" / "streams"
# The rows reach down to u = Phi(-12.5) * 2**-BITS, the smallest tail a truncated draw can ask for.
LOWEST_EXPONENT = -120

mp.mp.dps = 50


def quantile(u: mp.mpf) -> mp.mpf:
    """|z| with Phi(-|z|) = u, for 0 < u < 1/2, to about 45 digits."""
    z = mp.mpf(-ndtri(float(u)))
    for _ in range(3):  # Halley: cubic convergence from 16 digits
        error = mp.erfc(z / mp.sqrt(2)) / 2 - u
        step = error / mp.npdf(z)
        z += step / (1 - z * step / 2)
    return z


def ratio(p: mp.mpf, bits: int) -> mp.mpf:
    """|z| / x at the tail coordinate p."""
    half = mp.mpf(2) ** (bits - 1)
    return quantile(p / (2 * half)) / (half - p)


def chebyshev(n: int, half_width: mp.mpf) -> list[mp.mpf]:
    return [half_width * mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]


def float32_row(exponent: int, degree: int = 7, points: int = 64) -> list[float]:
    """Coefficients of 1, f, ..., f**degree, each rounded to float32 in turn, highest first,
    the lower ones fitted again to what the rounding left (relative least squares on
    Chebyshev nodes)."""
    nodes = chebyshev(points, mp.mpf(1) / 2)
    f = np.array([float(node) for node in nodes])
    scale = mp.mpf(2) ** exponent
    target = np.array([float(ratio(scale * (mp.mpf("1.5") + node), 32)) for node in nodes])
    rounded: list[float] = []
    rest = target.copy()
    for power in range(degree, -1, -1):
        basis = f[:, None] ** np.arange(power + 1) / target[:, None]
        solution = np.linalg.lstsq(basis, rest / target, rcond=None)[0]
        rounded.append(float(np.float32(solution[power])))
        rest = rest - rounded[-1] * f**power
    return rounded[::-1]


def float64_row(exponent: int, part: int, degree: int = 15) -> list[float]:
    """Interpolation on Chebyshev nodes of one half of an octave, rounded to float64."""
    nodes = chebyshev(degree + 1, mp.mpf(1) / 4)
    middle = 1 + mp.mpf(2 * part + 1) / 4
    scale = mp.mpf(2) ** exponent
    matrix = mp.matrix([[node**power for power in range(degree + 1)] for node in nodes])
    target = mp.matrix([ratio(scale * (middle + node), 64) for node in nodes])
    return [float(c) for c in mp.lu_solve(matrix, target)]


def text(title: str, rows: list[list[float]]) -> str:
    lines = [
        f"// {title}",
        "// Made by tools/normal_tables.py; these numbers are the stream version.",
    ]
    lines += [", ".join(c.hex() for c in row) + "," for row in rows]
    return "\n".join(lines) + "\n"


def tables() -> dict[str, str]:
    single = [float32_row(e) for e in range(LOWEST_EXPONENT, 31)]
    double = [float64_row(e, part) for e in range(LOWEST_EXPONENT, 63) for part in range(2)]
    rows = "|z|/x, {} for 2**e <= u * 2**{} < 2**(e+1), e from {} to {}; terms 1, f, ..."
    return {
        "normal_float32.inc": text(
            rows.format("a row", 32, LOWEST_EXPONENT, 30),
            single,
        ),
        "normal_float64.inc": text(
            rows.format("two rows", 64, LOWEST_EXPONENT, 62),
            double,
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the files instead of writing them"
    )
    check = parser.parse_args().check
    different = 0
    for name, content in tables().items():
        path = STREAMS / name
        if check:
            same = path.read_text() == content
            print(f"{name}: {'same' if same else 'DIFFERENT'}")
            different += not same
        else:
            path.write_text(content)
            print(f"wrote {path}")
    return different


if __name__ == "__main__":
    sys.exit(main())
