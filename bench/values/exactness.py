"""How exact the normal draws are, word by word, against multiple precision.

    python -m bench.values.exactness

float32: all 2**24 top patterns, 10**7 random words, the 2**20 outermost and innermost words of
one side (the other is their mirror image, which is checked too). The exact quantile is SciPy's
in double; the worst words of every group are checked again in 40 digits. float64: 20,000 words
of every magnitude, in 40 digits. The draws are the NumPy reference's; tests hold the other back
ends to the same bits.
"""

from collections.abc import Iterator

import mpmath as mp
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.special import ndtri

from fanin.streams._reference import _DOUBLE, _SINGLE

Words = npt.NDArray[np.uint32]
CHUNK = 1 << 18
WORST = 20  # of a chunk, checked again in 40 digits

mp.mp.dps = 40


def exact(words: int, bits: int) -> mp.mpf:
    """The quantile of u = (words + 1/2) / 2**bits, from its nearer tail."""
    below = words < 2 ** (bits - 1)
    tail = mp.mpf(2 * (words if below else 2**bits - 1 - words) + 1) / 2 ** (bits + 1)
    z = mp.mpf(ndtri(float(tail)))
    for _ in range(3):
        z -= (mp.erfc(-z / mp.sqrt(2)) / 2 - tail) / mp.npdf(z)
    return z if below else -z


def normal32(words: Words) -> npt.NDArray[np.float32]:
    z: npt.NDArray[np.float32] = _SINGLE["normal"](words, np.float32(1), np.float32(0))
    return z


def groups() -> dict[str, list[Words]]:
    """The float32 words to try, in chunks; ascending, but for the random ones."""
    rng = np.random.default_rng(2026)
    chunks = range(0, 2**24, CHUNK)
    places = rng.integers(0, 2**32 - 2**14, 64, dtype=np.uint32)
    ends = np.arange(2**20, dtype=np.uint32)
    return {
        "all 2**24 top patterns": [
            np.arange(max(k - 1, 0), k + CHUNK, dtype=np.uint32) << 8 for k in chunks
        ],
        "10**7 random words": list(rng.integers(0, 2**32, (40, 250_000), dtype=np.uint32)),
        "2**20 outermost words": np.split(ends, 4),
        "2**20 innermost words": np.split(np.uint32(2**31 - 2**20) + ends, 4),
        "2**20 neighbours, 64 places": [ends[: 2**14] + place for place in places],
    }


def worst32(chunks: list[Words], name: str, console: Console) -> tuple[float, float, float]:
    """Worst relative error, worst error in units of the last place, largest fall in order."""
    relative = ulps = fall = 0.0
    ordered = "random" not in name
    for words in track(chunks, description=name, console=console):
        z = normal32(words)
        if not np.array_equal(normal32(~words), -z):
            raise SystemExit(f"{name}: not antisymmetric")
        reference = ndtri((words + 0.5) / 2.0**32)
        errors = np.abs(z / reference - 1)
        for i in np.argsort(errors)[-WORST:]:
            true = exact(int(words[i]), 32)
            relative = max(relative, float(abs(mp.mpf(float(z[i])) / true - 1)))
        ulps = max(ulps, float(np.max(np.abs(z - reference) / np.spacing(np.abs(z)))))
        if ordered:
            fall = max(fall, float(np.max((z[:-1] - z[1:]) / np.spacing(np.abs(z[1:])))))
    return relative, ulps, fall if ordered else float("nan")


def worst64(n: int = 20_000) -> float:
    """Worst relative error of float64 draws over words of every magnitude."""
    rng = np.random.default_rng(2027)
    high = np.minimum(2.0 ** rng.uniform(0, 31, n), 2**31 - 1).astype(np.uint32)
    high[: n // 2] = np.uint32(2**31 - 1) - high[: n // 2]
    low = rng.integers(0, 2**32, n, dtype=np.uint32)
    high[:100], low[:100] = 0, np.arange(100)
    z = _DOUBLE["normal"](high, low, 1.0, 0.0)

    def errors() -> Iterator[float]:
        for h, w, value in zip(high, low, z, strict=True):
            yield float(abs(mp.mpf(float(value)) / exact((int(h) << 32) + int(w), 64) - 1))

    return max(errors())


def main() -> None:
    progress = Console(stderr=True)
    table = Table("draw", "words", "worst relative", "worst ulp", "falls (ulp)")
    for name, chunks in groups().items():
        relative, ulps, fall = worst32(chunks, name, progress)
        falls = "" if np.isnan(fall) else f"{fall:.0f}"
        table.add_row("float32", name, f"{relative:.2e}", f"{ulps:.2f}", falls)
    table.add_row("float64", "20,000 of every magnitude", f"{worst64():.2e}", "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
