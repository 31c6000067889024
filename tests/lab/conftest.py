"""A comparison made by hand, so that tests of its presentation train nothing."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from fanin.lab.comparison import Comparison, Row
from fanin.lab.settings import Settings
from fanin.lab.trial import Trial, Verdict

Make = Callable[..., Comparison]


def trial(seed: int, accuracy: float, verdict: Verdict, steps: int) -> Trial:
    losses = np.geomspace(3, 0.1, steps, dtype=np.float32)
    if verdict == "diverged":
        losses[steps // 2 :] = np.nan
    return Trial(seed, losses, (accuracy / 2, accuracy), verdict, None if seed else 7)


@pytest.fixture
def make() -> Make:
    """`make({"he_normal": [0.9, 0.8]})`: final accuracies by row; 0 means a diverged trial."""

    def make(rows: Mapping[str, list[float]]) -> Comparison:
        settings = Settings(
            initializers=tuple(rows), seeds=len(next(iter(rows.values()))), train=20, epochs=1
        )
        return Comparison(
            settings=settings,
            rows=tuple(
                Row(
                    name,
                    tuple(
                        trial(seed, share, "learned" if share else "diverged", settings.steps)
                        for seed, share in enumerate(shares)
                    ),
                )
                for name, shares in rows.items()
            ),
            note="images made by hand",
            classes=10,
            versions={"fanin": "0"},
            seconds=1.0,
        )

    return make
