"""The measurements as tables and as a figure; the conditions."""

from collections.abc import Mapping
from typing import Any

from fanin.streams import backend
from fanin.studies._study import Table
from fanin.studies.rng import _network
from fanin.studies.rng._setup import (
    GENERATOR_MS,
    HALF_MS,
    LOOP_MS,
    REPEATS,
    SEED,
    SIDE,
    TAILS,
    UNIFORM_MS,
    RngSize,
    digits,
    expect,
    loop_ms,
    values_of,
)


def transform_table(found: Mapping[str, Any], size: RngSize) -> Table:
    """Errors, ends and tails of both transforms."""
    rows = []
    for name, measured in found["transforms"].items():
        if name == "unlike_the_stream":
            continue
        relative = f"{measured['relative_error']:.1e}" if name == "inversion" else "-"
        cells = f"{measured['largest']:.4f}", f"{measured['error']:.1e}", relative
        rows.append((name, *cells, f"{measured['ks']:.2g}", *map(str, measured["beyond"])))
    by_law = [f"{count:.1f}" for count in expect(size)]
    return Table(
        f"Two transforms of the same {size.words} words, in float32",
        (
            "transform",
            "largest possible",
            "error",
            "relative",
            "KS p",
            *(f"beyond {tail:g}" for tail in TAILS),
        ),
        [*rows, ("expected", "-", "-", "-", "-", *by_law)],
        "Errors are the arithmetic's, the largest: against float64 on the same uniform numbers; "
        "relative to the value, which has no bound for Box-Muller.",
    )


def matrix_table(found: Mapping[str, Any]) -> Table:
    """Times for the matrix."""
    kinds = found["matrix"]
    return Table(
        f"A matrix of {SIDE**2} values, one thread: microseconds",
        ("who", *kinds),
        [(who, *(f"{1000 * kinds[kind][who]:.1f}" for kind in kinds)) for who in kinds["uniform"]],
        "Medians of calls by turns. Arrays in float32; Python's is a list of floats.",
        timed=True,
    )


def half_table(found: Mapping[str, Any]) -> Table:
    """Times for the article's two draws of the matrix."""
    kinds = found["half thrown"]
    return Table(
        f"A float64 matrix of {SIDE**2} values, Box-Muller with half thrown away: milliseconds",
        ("who", "uniform", "Box-Muller", "ratio"),
        [
            (
                who,
                f"{times['uniform']:.4f}",
                f"{times['Box-Muller']:.4f}",
                f"{times['Box-Muller'] / times['uniform']:.2f}",
            )
            for who, times in kinds.items()
        ],
        f"The article: {UNIFORM_MS:.3f} ms and {HALF_MS:.3f} ms, a ratio of "
        f"{HALF_MS / UNIFORM_MS:.1f}.",
        timed=True,
    )


def time_tables(found: Mapping[str, Any], size: RngSize) -> list[Table]:
    """Times of the transforms, and for the whole network."""
    transforms, network = found["transform times"], found["network"]
    scaled = ("Python's random, scaled", digits(loop_ms(found, size)))
    return [
        Table(
            f"From {size.words // 8} words to normal values: milliseconds",
            ("transform", "ms"),
            [(name, digits(value)) for name, value in transforms.items()],
            "The definition computes every fused multiply-add in several operations of NumPy; the "
            "stream itself is the compiled kernel, where there is one.",
            timed=True,
        ),
        Table(
            f"All {values_of(size)} weights of {'-'.join(map(str, size.widths))}, normal: "
            "milliseconds",
            ("who", "ms"),
            [*((name, digits(value)) for name, value in network.items()), scaled],
            f"The article: {LOOP_MS} ms by a loop, {GENERATOR_MS} ms by a library's generator.",
            timed=True,
        ),
    ]


def conditions(size: RngSize) -> list[str]:
    """Everything that the figures depend on."""
    return [
        f"Seed {SEED}; fanin's back end is {backend()}; torch, NumPy and fanin with one thread.",
        f"Times are medians of {size.rounds} rounds in which all contenders take turns, after one "
        f"round that is not counted; a call on the matrix is {REPEATS} draws.",
        "The transforms take the words of one stream: Box-Muller pairs the first half of them with "
        "the second, inversion takes each alone.",
        f"Training: the network {'-'.join(map(str, size.widths))}, tanh then sigmoids, quadratic "
        f"cost to {_network.TARGET}, SGD at {_network.RATE:g} on all inputs at once, float32; "
        "weights with the standard deviation 1/n_in (not its root) and N(0, 1) biases, as in the "
        "article.",
    ]
