"""MNIST: what Enrichment Cap (2023) says of initializations from a two-layer CNN, on many seeds.

Most claims are contrasts of test accuracies, paired by seed (`_contrasts`), in the article's own
protocol (`_cnn_once`, `_cnn_own`) and in a longer one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from statistics import median
from typing import Any

from matplotlib.axes import Axes

from fanin.lab.data import sources
from fanin.lab.report.drawing import INK
from fanin.lab.statistics import statistics
from fanin.lab.statistics.statistics import Difference, mean_interval
from fanin.studies import _cnn_slip
from fanin.studies._cnn import BASE, CnnConvention, Training, train
from fanin.studies._cnn_once import ROWS, train_once, train_plain
from fanin.studies._cnn_own import own_claims, own_tables, percent
from fanin.studies._contrasts import Scores, claims, contrasts
from fanin.studies._drawing import PALETTE, panels
from fanin.studies._families import TOO_SHORT
from fanin.studies._rows import part
from fanin.studies._sources import ARTICLES, CAP
from fanin.studies._study import Advance, Claim, Figure, Findings, Scale, Study, StudyPart, Table

TRAININGS: Mapping[Scale, Training] = {
    "quick": Training(train=20, test=20, epochs=1),
    "full": Training(train=600, test=600, epochs=3),
}
ONCE: Mapping[Scale, int] = {"quick": 10, "full": 1000}  # images, to train and to test
MORE: Mapping[Scale, Training] = {  # for the plain network, of which the article says less
    "quick": Training(train=20, test=10, epochs=1),
    "full": Training(train=4000, test=1000, epochs=2),
}
PLAIN = "plain: "
BLOCKS: Mapping[Scale, Sequence[int]] = {"quick": [2], "full": [7, 7]}  # seeds trained together
DATA: Mapping[Scale, Sequence[str]] = {"quick": ["digits"], "full": ["mnist", "fashion"]}
TITLES = {"mnist": "MNIST", "fashion": "Fashion-MNIST", "digits": "scikit-learn's digits"}
FANS: Mapping[CnnConvention, str] = {"torch": "torch's fans", "article": "the article's fans"}


def _find_versions(data: str) -> bool:
    return data != "fashion" or sources.FASHION_FOLDER.is_dir()


def _parts(scale: Scale) -> list[StudyPart]:
    training = TRAININGS[scale]
    parts = []
    for data in filter(_find_versions, DATA[scale]):
        for convention in FANS:
            first = 0
            for seeds in BLOCKS[scale]:
                settings = {
                    "data": data,
                    "convention": convention,
                    "first_seed": first,
                    "seeds": seeds,
                }
                parts.append(
                    StudyPart(
                        _name(data, convention, first),
                        settings | asdict(training),
                        partial(_measure, training, settings),
                    )
                )
                first += seeds
    return _own_parts(scale) + parts


def _own_parts(scale: Scale) -> list[StudyPart]:
    """The article's own protocol, on the first data set."""
    images, more, data = ONCE[scale], MORE[scale], DATA[scale][0]
    parts = [part("slip", _cnn_slip.measure, data=data)]
    first = 0
    for seeds in BLOCKS[scale]:
        name = f"once: from seed {first}"
        settings = {"data": data, "first_seed": first, "seeds": seeds, "images": images}
        parts.append(part(name, train_once, ROWS, **settings))
        first += seeds
    for how, sizes in (
        ("once", {"images": images, "epochs": 1, "test": images}),
        ("more", {"images": more.train, "epochs": more.epochs, "test": more.test}),
    ):
        settings = {"data": data, "first_seed": 0, "seeds": first, **sizes}
        parts.append(part(f"{PLAIN}{how}", train_plain, 2, **settings))
    return parts


def _gather(found: Mapping[str, Any], beginning: str) -> dict[str, dict[str, list[Any]]]:
    """All seeds of the parts whose names begin so, by row and by what was measured."""
    joined: dict[str, dict[str, list[Any]]] = {}
    for name, measured in found.items():
        if name.startswith(beginning):
            for row, values in measured.items():
                into = joined.setdefault(row, {what: [] for what in values})
                for what, seeds in values.items():
                    into[what] += seeds
    return joined


def _measure(training: Training, settings: Mapping[str, Any], advance: Advance) -> dict[str, Any]:
    return train(training=training, **settings)


def _name(data: str, convention: str, first_seed: int) -> str:
    return f"{data}, {convention}, from seed {first_seed}"


def _join(found: Mapping[str, Any], data: str, convention: str) -> dict[str, dict[str, list[Any]]]:
    """All seeds of one data set under one convention, by row; the base is the one of torch's."""
    base = _gather(found, f"{data}, torch, ")[BASE]
    return _gather(found, f"{data}, {convention}, ") | {BASE: base}


def _tables(where: str, joined: Mapping[str, Any], found: Mapping[str, Difference]) -> list[Table]:
    rows = []
    for name, seeds in joined.items():
        reached = [step for step in seeds["steps"] if step is not None]
        count = len(seeds["steps"])
        steps = f"{median(reached):.0f} ({len(reached)} of {count})" if reached else "never"
        score = percent(mean_interval(seeds["accuracy"]))
        rows.append((name, score, steps, f"{sum(seeds['failed'])} of {count}"))
    differences = [
        (
            name,
            f"{100 * difference.interval.mean:+.2f}",
            f"{100 * difference.interval.low:+.2f} to {100 * difference.interval.high:+.2f}",
            f"{difference.p_adjusted:.2g}",
            "yes" if difference.found else "no",
        )
        for name, difference in found.items()
    ]
    return [
        Table(
            where,
            ("weights", "accuracy, % (95 % interval)", "steps to loss 0.5", "failed"),
            rows,
        ),
        Table(
            f"{where}: planned contrasts",
            ("contrast", "points", "95 % interval", "p (Holm)", "found"),
            differences,
        ),
    ]


def _figure(all_scores: Mapping[str, Scores]) -> Figure:
    """Mean accuracies with intervals, a panel for each data set and convention."""

    def draw(axes: Sequence[Axes]) -> None:
        for panel, (where, scores) in zip(axes, all_scores.items(), strict=True):
            for line, values in enumerate(scores.values()):
                interval = mean_interval(values)
                # One line with gaps: as dots the file would be three times as large.
                ticks = [(100 * v, y) for v in values for y in (-line - 0.3, -line + 0.3, math.nan)]
                panel.plot(*zip(*ticks, strict=True), color=PALETTE[0], lw=0.8, alpha=0.6)
                panel.plot([100 * interval.low, 100 * interval.high], [-line] * 2, color=INK, lw=2)
                panel.plot(100 * interval.mean, -line, "|", color=INK, ms=9, mew=2)
            first = where == next(iter(all_scores))
            panel.set_yticks([-n for n in range(len(scores))], list(scores) if first else [])
            panel.set(xlabel="test accuracy, %")
            panel.set_title(where, fontsize=9)

    return Figure(
        "accuracy",
        "Test accuracy by initialization, every seed",
        lambda: panels("Test accuracy of every seed", len(all_scores), draw, (2.8, 3.0)),
        "A thin line is a seed; the thick one is the mean's 95 % interval.",
    )


def _conclude(found: Mapping[str, Any], scale: Scale) -> Findings:
    once = _gather(found, "once: ")
    plain = {how: found[f"{PLAIN}{how}"] for how in ("once", "more")}
    told: list[Claim] = own_claims(once, plain)
    tables: list[Table] = [*own_tables(once, plain), _cnn_slip.table(found["slip"])]
    every: dict[str, Scores] = {}
    data_sets = [data for data in DATA[scale] if any(name.startswith(f"{data},") for name in found)]
    for data in data_sets:
        for convention, fans in FANS.items():
            where = f"{TITLES[data]}, {fans}"
            joined = _join(found, data, convention)
            every[where] = {row: seeds["accuracy"] for row, seeds in joined.items()}
            differences = contrasts(every[where])
            told += claims(where, differences)
            tables += _tables(where, joined, differences)
    if scale == "quick":
        told = [replace(claim, holds=None, why=TOO_SHORT) for claim in told]
    told += [judge(found["slip"]) for judge in (_cnn_slip.bound, _cnn_slip.name_slip)]
    return Findings(told, tables, [_figure(every)], _conditions(scale, data_sets))


def _conditions(scale: Scale, data_sets: Sequence[str]) -> list[str]:
    t = TRAININGS[scale]
    seeds = sum(BLOCKS[scale])
    names = [TITLES[data] for data in data_sets]
    missing = [TITLES[data] for data in DATA[scale] if data not in data_sets]
    return [
        f"{' and '.join(names)}: {t.train} training and {t.test} test images, {t.epochs} epochs of "
        f"one image a step, Adam at 0.001, seeds 0 to {seeds - 1}; a seed fixes the split, the "
        "order and the weights of all rows.",
        f"Once through, the article's own protocol: {ONCE[scale]} images of "
        f"{TITLES[DATA[scale][0]]} once, one a step, tested on {ONCE[scale]}, the same seeds; "
        "Adam at 0.001 with eps 1e-7 outside the root and the bias correction folded into the "
        "rate, so that eps is not corrected. In the longer one eps is corrected, as torch does it.",
        "The plain network is 784-128-10 with ReLU, for the article does not say what it was; "
        f"more images are {MORE[scale].train}, {MORE[scale].epochs} times through, tested on "
        f"{MORE[scale].test}.",
        *(f"Without {name}, which is not installed here." for name in missing),
        "Network: 16 filters 8 x 8, ReLU, 8 filters 4 x 4 with stride 2, ReLU, 10 outputs; biases "
        "zero.",
        "The article's fans of a convolution are the elements of its whole kernel and of its "
        "output map; those of torch are what one output sums and one input reaches. A dense "
        "layer's are the sizes of its input and output in both.",
        f"Differences are paired by seed: sign-flip test with Holm's correction for the "
        f"contrasts of a table, at {statistics.ALPHA:g}; bootstrap intervals of 95 %. Normal and "
        "uniform are means over three rules, a rule is the mean of both; the others are single "
        "rows, mixed ones normal.",
    ]


STUDY = Study(
    name="mnist",
    title="The article's CNN on MNIST",
    question="Which initialization is best for a small CNN, and are the differences real?",
    source=f"{ARTICLES[CAP]}, a CNN in NumPy",
    parts=_parts,
    conclude=_conclude,
)
