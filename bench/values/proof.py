"""Statistical proof of the streams, on what the public API returns.

    python -m bench.values.proof [--quick] [--seed 0]

Every row of the table is one test with one p-value. A generator without fault fails the whole
table at most once in 1000 seeds: each of the T rows must have p > 0.001 / T (Bonferroni). The
exit status is 1 if one has not. `--quick` takes a tenth of the samples. The longest array holds
10**8 doubles. A p-value is two-sided where both ends would be a fault (z, chi-square).

The file is not called statistics.py: that would hide the standard module from its neighbours.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import integrate, special, stats

from bench.values.goodness import (
    CHUNK,
    Row,
    anderson_darling_row,
    chi_square_row,
    ks_row,
    normal_row,
)
from fanin import Stream

FALSE_ALARMS = 1e-3  # of the whole table
CELLS = 1024  # a power of two, so that the float32 uniform's 2**24 values share out evenly


def symmetric_moments(bound: float) -> list[float]:
    """E z**k, k = 0..16, of a normal cut to +-bound."""
    edge = 0.0 if math.isinf(bound) else 2 * stats.norm.pdf(bound) / math.erf(bound / 2**0.5)
    moments = [1.0, 0.0]
    for k in range(2, 17):
        rest = bound ** (k - 1) * edge if edge and k % 2 == 0 else 0.0
        moments.append((k - 1) * moments[k - 2] - rest)
    return moments


def distributions(seed: int, scale: int) -> Iterator[Row]:
    """KS, Anderson-Darling, chi-square on the transform, and eight moments of each draw.

    A word stands for u in [2**-33, 1 - 2**-33], but the rounding of z to float32 may carry it
    onto a bound of the truncated normal (2 here: 13 words of 2**32), where Anderson-Darling
    would take the logarithm of zero. So u is held between the outermost words.
    """
    low, high = special.ndtr((-2.0, 2.0))
    n = 10**8 // scale
    uniform = [1 / (k + 1) if k % 2 == 0 else 0.0 for k in range(17)]
    cases: list[tuple[str, tuple[float, ...], str, Callable, list[float]]] = [
        ("normal", (), "float32", special.ndtr, symmetric_moments(math.inf)),
        ("uniform", (-1, 1), "float32", lambda x: (x + 1) / 2, uniform),
        (
            *("truncated_normal", (), "float32"),
            lambda x: (special.ndtr(x) - low) / (high - low),
            symmetric_moments(2.0),
        ),
        ("normal", (), "float64", special.ndtr, symmetric_moments(math.inf)),
    ]
    for kind, arguments, dtype, transform, moments in cases:
        draw = getattr(Stream(seed, f"proof.{kind}.{dtype}"), kind)
        u = np.empty(n)
        least = 2.0**-33 if dtype == "float32" else 2.0**-53
        sums = np.zeros(9)
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            x = draw(n, *arguments, dtype=dtype, index=part, threads=1).astype(np.float64)
            u[part] = np.clip(transform(x), least, 1 - least)
            power = x.copy()
            for k in range(1, 9):
                sums[k] += power.sum()
                power *= x
        u.sort()
        sample = f"{n:.0e} {kind.replace('_', ' ')} {dtype}"
        yield ks_row("Kolmogorov-Smirnov", sample, u)
        yield anderson_darling_row("Anderson-Darling", sample, u)
        counts = np.diff(np.searchsorted(u, np.arange(CELLS + 1) / CELLS))
        chi_square = float(((counts - n / CELLS) ** 2).sum() / (n / CELLS))
        yield chi_square_row("chi-square of transform", sample, chi_square, CELLS - 1)
        for k in range(1, 9):
            error = math.sqrt((moments[2 * k] - moments[k] ** 2) / n)
            note = f"{sums[k] / n:+.6f} - {moments[k]:.6g}, s.e. {error:.1e}: "
            yield normal_row(f"moment {k}", sample, (sums[k] / n - moments[k]) / error, note)


def pairs(seed: int, scale: int) -> Iterator[Row]:
    """Two streams each: the products of normals at lags 0, 1, 4 have mean 0 and variance 1."""
    n = 10**7 // scale
    streams = {
        "layers.1, layers.11": (Stream(seed, "layers.1"), Stream(seed, "layers.11")),
        "layers.1, layers.2": (Stream(seed, "layers.1"), Stream(seed, "layers.2")),
        "seeds s, s + 1": (Stream(seed, "layers.1"), Stream(seed + 1, "layers.1")),
        "seeds s, s + 2**32": (Stream(seed, "layers.1"), Stream(seed + 2**32, "layers.1")),
        "layers.1 with itself, lags 1, 2, 5": (Stream(seed, "layers.1"),) * 2,
    }
    for what, (first, second) in streams.items():
        a = first.normal(n, threads=1).astype(np.float64)
        b = second.normal(n, threads=1).astype(np.float64)
        b = b[1:] if first == second else b
        z = [a[: b.size - lag] @ b[lag:] / math.sqrt(b.size - lag) for lag in (0, 1, 4)]
        yield chi_square_row("correlation", f"{n:.0e} of {what}", float(np.square(z).sum()), 3)


def crowds(seed: int, scale: int) -> Iterator[Row]:
    """64 neighbours at once: all 2016 products; and the first value of very many streams."""
    n = 10**6 // scale
    crowd = {
        "64 names layers.0 ... layers.63": [Stream(seed, f"layers.{i}") for i in range(64)],
        "64 seeds s ... s + 63": [Stream(seed + i, "layers.0") for i in range(64)],
    }
    above = np.triu_indices(64, 1)
    for what, streams in crowd.items():
        gram = np.zeros((64, 64))
        for start in range(0, n, CHUNK // 10):
            part = slice(start, start + CHUNK // 10)
            z = np.stack([stream.normal(n, index=part, threads=1) for stream in streams])
            gram += z.astype(np.float64) @ z.T.astype(np.float64)
        squares = (gram[above] ** 2 / n).tolist()
        sample = f"{n:.0e} of each of {what}"
        yield chi_square_row("all correlations", sample, sum(squares), len(squares))
        p = min(1.0, len(squares) * stats.chi2.sf(max(squares), 1))
        yield Row("largest correlation", sample, f"|z| = {max(squares) ** 0.5:.2f}", p)
    firsts = {
        "seeds": (Stream(seed + i, "layers.0") for i in range(n)),
        "names": (Stream(seed, f"layers.{i}") for i in range(n)),
    }
    for what, many in firsts.items():
        u = np.sort(special.ndtr([stream.normal(1, threads=1)[0] for stream in many]))
        sample = f"first normals of {n:.0e} {what}"
        yield ks_row("Kolmogorov-Smirnov", sample, u)
        yield anderson_darling_row("Anderson-Darling", sample, u)


def matrix(seed: int, scale: int) -> Iterator[Row]:
    """Rows and columns of one normal matrix.

    x = the inner product of two rows. For standard normals E x**2 = m, var x**2 = 2 m**2 + 6 m,
    and the squares of two pairs with a row in common have covariance 2 m.
    """
    m = 4096 if scale == 1 else 1280
    drawn = Stream(seed, "proof.matrix").normal((m, m), threads=1).astype(np.float64)
    for what, rows in {"rows": drawn, "columns": drawn.T}.items():
        gram = rows @ rows.T
        z = np.trace(gram, 1) / math.sqrt((m - 1) * m)
        yield normal_row("correlation", f"neighbouring {what} of a {m} x {m} normal", z)
        number = m * (m - 1) / 2
        total = (np.square(gram).sum() - np.square(np.diag(gram)).sum()) / 2
        variance = number * (2 * m**2 + 6 * m) + m * (m - 1) * (m - 2) * 2 * m
        z = (total - number * m) / math.sqrt(variance)
        yield normal_row("all correlations", f"all {what} of a {m} x {m} normal", z)


def bfloat16(seed: int, scale: int) -> Iterator[Row]:
    """The bfloat16 draw is the float32 draw rounded to nearest even, with that rounding's error.

    The error is uniform over a step of 2**(e - 7) for |z| in [2**e, 2**(e + 1)): to 4e-5 of its
    mean square, a tenth of the standard error.
    """
    n = 10**7 // scale
    single = Stream(seed, "proof.bfloat16").normal(n, threads=1)
    bits = np.empty(n, np.uint16)
    Stream(seed, "proof.bfloat16").normal(n, dtype="bfloat16", out=bits, threads=1)
    word = single.view(np.uint32)
    nearest = (word + 0x7FFF + (word >> 16 & 1)) >> 16
    unequal = int((nearest != bits).sum())
    sample = f"{n:.0e} normals"
    yield Row("bfloat16 = rounded float32", sample, f"{unequal} unequal", float(unequal == 0))
    x = single.astype(np.float64)
    y = (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    octave = np.arange(-60, 4)
    share = 2 * (stats.norm.sf(2.0**octave) - stats.norm.sf(2.0 ** (octave + 1)))
    expected = share @ (4.0 ** (octave - 7) / 12)
    fourth = share @ (16.0 ** (octave - 7) / 80)
    z = (np.square(y - x).mean() - expected) / math.sqrt((fourth - expected**2) / n)
    note = f"1 - r = {1 - np.corrcoef(x, y)[0, 1]:.3e}, rounding {expected / 2:.3e}: "
    yield normal_row("float32 with bfloat16", sample, z, note)


def smallest_singular_value(seed: int, scale: int) -> Iterator[Row]:
    """n * s_min**2 of square normal matrices, by the exact law for n x n (Edelman 1988).

    Its density in x = n * s**2 is Gamma((n + 1) / 2) / sqrt(2 pi x / n) * exp(-x / 2)
    * U((n - 1) / 2, -1 / 2, x / (2 n)); the limit has 1 - F = exp(-x / 2 - sqrt(x)).
    """
    n, count = 64, 20_000 // scale
    stream = Stream(seed, "proof.square")
    parts = [slice(start, start + 1000) for start in range(0, count, 1000)]
    drawn = (stream.normal((count, n, n), index=part, threads=1) for part in parts)
    s = np.concatenate([np.linalg.svd(w.astype(np.float64), compute_uv=False) for w in drawn])
    root = np.linspace(0.0, 7.0, 4001)  # of x: smooth there, and 1 - F(49) = 2e-14
    density = math.sqrt(2 * n / math.pi) * np.exp(special.gammaln((n + 1) / 2) - root**2 / 2)
    density *= special.hyperu((n - 1) / 2, -0.5, root**2 / (2 * n))
    law = integrate.cumulative_simpson(density, x=root, initial=0.0)
    u = np.sort(np.interp(math.sqrt(n) * s[:, -1], root, law))
    yield ks_row("smallest singular value", f"{count} matrices of {n} x {n}", u)


def spectrum(seed: int, scale: int) -> Iterator[Row]:
    """The eigenvalues of W @ W.T for a p x n normal W, n = 2 p.

    The traces of the first and second power and the logarithm of the determinant (a sum of
    logarithms of independent chi-squares, Bartlett 1933) have known means and variances. The
    distance to Marchenko and Pastur's law is of order log(p) / p, for eigenvalues repel: the
    number below a point has standard deviation about sqrt(log p) / pi, and its mean is within
    1/2 of the law. The p-value is the union bound over the p eigenvalues.
    """
    p = 2048 if scale == 1 else 768
    n = 2 * p
    w = Stream(seed, "proof.spectrum").normal((p, n), threads=1).astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(w @ w.T)
    sample = f"{p} x {n} normal"
    yield normal_row(
        "trace", sample, (eigenvalues.sum() - p * n) / math.sqrt(2 * p * n), "first power: "
    )
    variance = 4 * p * n * (2 * n**2 + 2 * p**2 + 5 * n * p + 5 * n + 5 * p + 4)
    z = (np.square(eigenvalues).sum() - n * p * (n + p + 1)) / math.sqrt(variance)
    yield normal_row("trace", sample, z, "second power: ")
    half = (n - np.arange(p)) / 2
    mean = (special.digamma(half) + math.log(2)).sum()
    z = (np.log(eigenvalues).sum() - mean) / math.sqrt(special.polygamma(1, half).sum())
    yield normal_row("log determinant", sample, z)
    low, high = ((1 - math.sqrt(p / n)) ** 2, (1 + math.sqrt(p / n)) ** 2)
    angle = np.linspace(0, math.pi, 20_001)
    x = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    density = ((high - low) / 2 * np.sin(angle)) ** 2 / (2 * math.pi * (p / n) * x)
    law = np.interp(eigenvalues / n, x, integrate.cumulative_simpson(density, x=angle, initial=0.0))
    rank = np.arange(p)
    distance = max((rank + 1 - p * law).max(), (p * law - rank).max())
    bound = 2 * p * stats.norm.sf((distance - 0.5) * math.pi / math.sqrt(math.log(p)))
    yield Row("Marchenko-Pastur", sample, f"p * D = {distance:.2f}", min(1.0, bound))
    count = 1000 // scale
    w = Stream(seed, "proof.edge").normal((count, 100, 200), threads=1).astype(np.float64)
    largest = np.linalg.svd(w, compute_uv=False)[:, 0] ** 2
    a, b = math.sqrt(200 - 0.5), math.sqrt(100 - 0.5)  # centred as Ma 2012
    edge = (largest - (a + b) ** 2) / ((a + b) * (1 / a + 1 / b) ** (1 / 3))
    u = np.sort(stats.gamma.cdf(edge, 46.446, -9.84801, 0.186054))  # Tracy-Widom: Chiani 2014
    yield ks_row("edge, Tracy-Widom", f"{count} matrices of 100 x 200", u)


def main() -> int:
    """Run all, print the table, and say whether every row holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    console = Console()
    started = time.perf_counter()
    rows: list[Row] = []
    parts = (distributions, pairs, crowds, matrix, bfloat16, smallest_singular_value, spectrum)
    for part in parts:
        before = time.perf_counter()
        rows += part(options.seed, 10 if options.quick else 1)
        console.print(f"{part.__name__}: {time.perf_counter() - before:.0f} s", style="dim")
    limit = FALSE_ALARMS / len(rows)
    table = Table("test", "sample", "statistic", "p", "verdict")
    for row in rows:
        table.add_row(
            *(row.test, row.sample, row.statistic, f"{row.p:.3g}"),
            "holds" if row.p > limit else "[bold red]FAILS",
        )
    console.print(table)
    failures = sum(not row.p > limit for row in rows)
    console.print(
        f"{len(rows)} tests, {failures} fail. A test fails at p <= {limit:.1e}, so a faultless "
        f"generator fails any of them with probability {FALSE_ALARMS} at most. Smallest p: "
        f"{min(row.p for row in rows):.3g}. {time.perf_counter() - started:.0f} s."
    )
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
