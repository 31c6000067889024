import math

import numpy as np
import pytest

from fanin.lab import recipes
from fanin.lab.dataset import pack, split
from fanin.lab.networks import SmallConvNet
from fanin.lab.settings import Settings
from fanin.lab.trial import Trial, checkpoints, curve_steps, running_mean, train


def test_checkpoints_are_spread_and_end_at_the_last_step() -> None:
    assert checkpoints(1000) == [200, 400, 600, 800, 1000]
    assert checkpoints(25)[-1] == 25
    assert checkpoints(3) == [1, 2, 3]


def test_running_mean() -> None:
    means = running_mean(np.array([4, 2, 0, 2, np.nan, 1], np.float32), window=2)
    np.testing.assert_array_equal(means, [3, 1, 1, np.nan, np.nan])


def test_curve_steps_run_from_the_first_full_window_to_the_end() -> None:
    steps = curve_steps(Settings())
    assert (steps[0], steps[-1], len(steps)) == (100, 5000, 200)
    assert curve_steps(Settings(train=7, epochs=1)).tolist() == [7]


def dark_or_bright(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that any network can tell apart."""
    labels = np.arange(count) % 2
    return np.broadcast_to(labels[:, None, None], (count, 28, 28)).astype(float), labels


def run(initializer: str, **changes: float) -> Trial:
    settings = Settings(seeds=1, train=40, test=20, epochs=3, **changes)  # type: ignore[arg-type]
    data = pack("blocks", "", dark_or_bright())
    model = SmallConvNet(data.classes)
    recipes.find(initializer).initialize(model, 0)
    (trial,) = train([model], [split(data, 40, 20, 3, seed=0)], data, settings)
    assert len(trial.losses) == settings.steps
    assert len(trial.accuracies) == min(5, settings.steps)
    return trial


def test_a_trial_that_learns() -> None:
    trial = run("he_normal")
    assert trial.verdict == "learned"
    assert trial.accuracy == 1
    assert trial.losses[-1] < 0.1
    assert trial.steps_to_target == 100  # the first step with a full window


def test_steps_to_target_is_where_the_running_mean_gets_there() -> None:
    trial = run("he_normal", batch_size=10, target_loss=0.6)
    means = running_mean(trial.losses, 10)
    assert trial.steps_to_target is not None
    assert means[trial.steps_to_target - 10] <= 0.6
    assert (means[: trial.steps_to_target - 10] > 0.6).all()


def test_the_last_batch_of_an_epoch_may_be_smaller() -> None:
    assert len(run("he_normal", batch_size=16).losses) == 3 * 3


def test_a_trial_that_cannot_learn_is_stuck() -> None:
    trial = run("zeros", lr=1e-8)
    assert trial.verdict == "stuck"
    assert trial.failed
    assert trial.losses[0] == pytest.approx(math.log(2))
    assert trial.steps_to_target is None


def test_a_trial_that_diverges() -> None:
    trial = run("he_normal", lr=1e30)
    assert trial.verdict == "diverged"
    assert trial.accuracy == 0
