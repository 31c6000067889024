"""What is said of random draws, and what was measured."""

import math
from collections.abc import Mapping
from typing import Any

from scipy import stats

from fanin.studies._sources import DJURIC
from fanin.studies._study import Claim
from fanin.studies.rng._setup import (
    BOX_MULLER,
    GENERATOR_MS,
    HALF_MS,
    INVERSION,
    LOOP_MS,
    LOOP_TRAINING_MS,
    SIDE,
    TAILS,
    TRAINING_MS,
    UNIFORM_MS,
    WIDTHS,
    RngSize,
    digits,
    loop_ms,
)

SEEN = 2.33e-7  # the largest relative error in docs/streams.md, over 10**7 words
SLACK = 1.05  # other words may be a little worse
TWICE = 0.25  # relative: a ratio nearer to the article's is "twice", too
DOZENS = 36  # "several dozen" are three or more
SHARES = 0.8, 0.1  # of the time to initialize and train, by a loop and by a generator
SURE = 0.001  # a faultless generator fails one such test in a thousand


def normal_law(found: Mapping[str, Any], name: str, size: RngSize) -> Claim:
    """Values of a transform pass as normal."""
    measured = found["transforms"][name]
    shares = [math.erfc(tail / math.sqrt(2)) for tail in TAILS]
    tails = [
        float(stats.binomtest(count, size.words, share).pvalue)
        for count, share in zip(measured["beyond"], shares, strict=True)
    ]
    ps = [measured["ks"], *tails]
    return Claim(
        f"{name} gives the normal law",
        "its definition",
        f"Kolmogorov-Smirnov p = {measured['ks']:.2g}; counts beyond {', '.join(map(str, TAILS))} "
        f"sigma: p = {', '.join(f'{p:.2g}' for p in tails)}.",
        min(ps) > SURE / len(ps),
        f"Refuted if a p-value is below {SURE:g} / {len(ps)}.",
        {"ks": measured["ks"], "tails": tails},
    )


def ends(found: Mapping[str, Any]) -> Claim:
    """Where a float32 Box-Muller ends."""
    end = math.sqrt(48 * math.log(2))
    values = {name: found["transforms"][name]["largest"] for name in ("Box-Muller", "inversion")}
    return Claim(
        "From float32 uniforms of 24 bits, as torch's, Box-Muller ends at sqrt(48 ln 2), before "
        "inversion of the whole word",
        "the formula: -2 ln(2**-24)",
        f"The largest values that the words allow are {values['Box-Muller']:.4f} and "
        f"{values['inversion']:.4f} (inversion); sqrt(48 ln 2) = {end:.4f}.",
        abs(values["Box-Muller"] / end - 1) < 1e-6 and values["inversion"] > end,
        figures=values,
    )


def exact(found: Mapping[str, Any]) -> Claim:
    """How exact the stream's inversion is."""
    error = found["transforms"]["inversion"]["relative_error"]
    other = found["transforms"]["Box-Muller"]["error"]
    unlike = found["transforms"]["unlike_the_stream"]
    return Claim(
        f"The stream's inversion is exact to {SEEN:g} of every value, near 0 too",
        "docs/streams.md",
        f"Largest error in float32: {error:.3g} of the value. Box-Muller's is {other:.2g}, however "
        f"small the value. {unlike} values differ from those of the stream.",
        error <= SLACK * SEEN and unlike == 0,
        f"Holds within {100 * (SLACK - 1):.0f} %: those were other words.",
        figures={"relative": error, "box_muller": other},
    )


def loop(found: Mapping[str, Any], size: RngSize) -> Claim:
    """A loop over values against a generator of arrays."""
    times = found["network"]
    ratio = loop_ms(found, size) / times["fanin"]
    return Claim(
        "A generator that fills arrays is several dozen times as fast as a loop over values "
        f"({GENERATOR_MS} ms to {LOOP_MS} ms) on this network",
        DJURIC,
        f"Python's loop would take {digits(loop_ms(found, size))} ms, scaled from {SIDE**2} "
        f"values; fanin takes {digits(times['fanin'])} ms, {ratio:.0f} times less.",
        ratio >= DOZENS,
        f"Other languages and machines: only the ratio can be compared. Holds from {DOZENS} on.",
        {"ratio": ratio},
        timed=True,
    )


def cheaper(found: Mapping[str, Any]) -> Claim:
    """Which transform costs more."""
    times = found["transform times"]
    return Claim(
        "Inversion costs more than Box-Muller, in float64 of NumPy and SciPy",
        "often said",
        f"On the same words {digits(times[INVERSION])} ms against {digits(times[BOX_MULLER])} ms.",
        times[INVERSION] > times[BOX_MULLER],
        figures={"ratio": times[INVERSION] / times[BOX_MULLER]},
        timed=True,
    )


def training(found: Mapping[str, Any]) -> Claim:
    """The article's time to train."""
    measured = found["training"]
    holds, why = _judge_on_gpu(measured, measured["train_ms"] <= TRAINING_MS)
    return Claim(
        f"10 epochs of SGD on {WIDTHS[0]} inputs take {TRAINING_MS} ms on a GPU, or less",
        DJURIC,
        f"{measured['device']}: {_epochs(measured['epochs'])} on {measured['inputs']} inputs: "
        f"{digits(measured['train_ms'])} ms, after {digits(measured['initialize_ms'])} ms to "
        "initialize.",
        holds,
        why,
        {"train_ms": measured["train_ms"]},
        timed=True,
    )


def shares(found: Mapping[str, Any], size: RngSize) -> Claim:
    """How much of the time goes into the start."""
    measured, times = found["training"], found["network"]
    train = measured["train_ms"]
    by_loop, by_generator = (
        start / (start + train) for start in (loop_ms(found, size), times["fanin"])
    )
    theirs = [
        100 * start / (start + trained)
        for start, trained in ((LOOP_MS, LOOP_TRAINING_MS), (GENERATOR_MS, TRAINING_MS))
    ]
    holds, why = _judge_on_gpu(measured, by_loop >= SHARES[0] and by_generator <= SHARES[1])
    return Claim(
        f"Of the time to initialize and to train 10 epochs on a GPU a loop takes "
        f"{100 * SHARES[0]:.0f} %, a generator {100 * SHARES[1]:.0f} %",
        DJURIC,
        f"Its times give {theirs[0]:.0f} % and {theirs[1]:.0f} %. {measured['device']}: "
        f"{100 * by_loop:.0f} % and {100 * by_generator:.0f} %, after "
        f"{_epochs(measured['epochs'])} on {measured['inputs']} inputs.",
        holds,
        why,
        {"loop": by_loop, "generator": by_generator},
        timed=True,
    )


def twice(found: Mapping[str, Any], who: str) -> Claim:
    """What Box-Muller costs that throws half of its values away."""
    times, published = found["half thrown"][who], HALF_MS / UNIFORM_MS
    ratio = times["Box-Muller"] / times["uniform"]
    return Claim(
        f"A normal matrix by Box-Muller with half thrown away takes {published:.1f} times as long "
        f"as a uniform one ({HALF_MS:.3f} ms to {UNIFORM_MS:.3f} ms), by {who}",
        DJURIC,
        f"{times['Box-Muller']:.3g} ms to {times['uniform']:.3g} ms: {ratio:.1f} times.",
        abs(ratio / published - 1) <= TWICE,
        f"Holds within {100 * TWICE:g} %.",
        {"ratio": ratio},
        timed=True,
    )


def stateless(found: Mapping[str, Any]) -> Claim:
    """Whether random numbers need a state."""
    counts = found["keyed"]
    return Claim(
        "Random numbers on a GPU are hard, for generators carry state",
        DJURIC,
        f"Drawn row by row, last row first, {counts['stream']} of {counts['values']} values of a "
        f"keyed stream change, and {counts['generator']} of torch's generator.",
        counts["stream"] > 0,
        "Judged by its reason: refuted if no value of the keyed stream changes. On a GPU itself it "
        "was not run (docs/gpu.md).",
        {"stream": counts["stream"], "generator": counts["generator"]},
    )


def _judge_on_gpu(measured: Mapping[str, Any], holds: bool) -> tuple[bool | None, str]:
    """The verdict on a GPU's times, and why there is none where they are a CPU's."""
    if measured["device"] == "CPU":
        return None, "There was no CUDA device, so it was not measured."
    return holds, ""


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
