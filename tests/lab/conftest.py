"""A comparison made by hand, so that tests of its presentation train nothing."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from fanin.lab.comparison import Comparison
from fanin.lab.rates import Rate
from fanin.lab.result import ResultRow
from fanin.lab.settings import CompareSettings
from fanin.lab.training.signals import Signals
from fanin.lab.training.trial import Trial, TrialVerdict

Make = Callable[..., Comparison]


def trial(seed: int, score: float, verdict: TrialVerdict = "learned", steps: int = 20) -> Trial:
    losses = np.geomspace(3, 0.01, steps, dtype=np.float32)
    if verdict == "nan":
        losses[steps // 2 :] = np.nan
    if seed:
        losses += 1
    signals = Signals(("conv1", "head"), (1.0, 0.5), (0.01, 0.02))
    return Trial(seed, losses, (score / 2, score), verdict, min(4, steps), signals)


@pytest.fixture(autouse=True)
def _alone(one_thread: None) -> None:
    """Every test here trains as the lab does."""


@pytest.fixture
def make() -> Make:
    """`make({"he_normal": [0.9, 0.8]})`: final scores by row; 0 means a run that met NaN."""

    def make(rows: Mapping[str, list[float]], **changes: Any) -> Comparison:
        seeds = len(next(iter(rows.values())))
        settings = CompareSettings(
            **{"initializers": tuple(rows), "seeds": seeds, "train": 20, "epochs": 1, **changes}
        )
        return Comparison(
            settings=settings,
            rows=tuple(
                ResultRow(
                    name,
                    tuple(
                        trial(seed, share, "learned" if share else "nan", settings.setup.steps)
                        for seed, share in enumerate(shares)
                    ),
                    0.5,
                    Rate(settings.lr),
                )
                for name, shares in rows.items()
            ),
            note="images made by hand",
            guess=2.302585,
            target=0.5,
            versions={"fanin": "0"},
            run={"seconds": 1.0, "trained": 1, "found_finished": 0},
        )

    return make
