import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fanin.lab.data.dataset import pack, split
from fanin.lab.interrupted import Interrupted
from fanin.lab.networks.networks import SmallConvNet
from fanin.lab.settings import CompareSettings
from fanin.lab.setup import TrialSetup
from fanin.lab.training import initialization
from fanin.lab.training import trial as trials
from fanin.lab.training.trial import Trial, running_mean, train


def test_running_mean() -> None:
    means = running_mean(np.array([4, 2, 0, 2, np.nan, 1], np.float32), window=2)
    np.testing.assert_array_equal(means, [3, 1, 1, np.nan, np.nan])


def dark_or_bright(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that any network can tell apart."""
    labels = np.arange(count) % 2
    return np.broadcast_to(labels[:, None, None], (count, 28, 28)).astype(float), labels


def run(initializer: str, lr: float = 0.001, stacked: bool = True, **changes: Any) -> Trial:
    setup = replace(CompareSettings(train=40, test=20, epochs=3).setup, **changes)
    data = pack("blocks", "", dark_or_bright(), task=setup.task)
    model = SmallConvNet(data.form)
    initialization.find(initializer).initialize(model, 0, torch.zeros(2, 1, 28, 28))
    parts = [split(data, 40, 20, 3, seed=0)]
    (trial,) = train([model], [lr], parts, data, setup, stacked=stacked)
    assert len(trial.losses) == setup.steps
    assert len(trial.scores) == min(5, setup.steps)
    return trial


def test_a_trial_that_learns() -> None:
    trial = run("he_normal")
    assert trial.verdict == "learned"
    assert trial.score == 1
    assert trial.losses[-1] < 0.1
    assert trial.steps_to(0.5) == 100  # the first step with a full window


@pytest.mark.parametrize("stacked", [True, False])
def test_regression_and_the_quadratic_loss(stacked: bool) -> None:
    trial = run("he_normal", stacked=stacked, task="regression", loss="quadratic")
    assert trial.verdict == "learned"
    assert trial.score > 0.8
    assert run("he_normal", stacked=stacked, loss="quadratic").score == 1


def test_stacked_and_alone_are_the_same() -> None:
    one, two = (run("he_normal", stacked=stacked) for stacked in (True, False))
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-3, atol=1e-4)
    assert one.scores == two.scores


def test_steps_to_is_where_the_running_mean_gets_there() -> None:
    trial = run("he_normal", batch_size=10)
    means, step = running_mean(trial.losses, 10), trial.steps_to(0.6)
    assert step is not None
    assert means[step - 10] <= 0.6
    assert (means[: step - 10] > 0.6).all()
    assert trial.final_loss == means[-1]


def test_the_last_batch_of_an_epoch_may_be_smaller() -> None:
    assert len(run("he_normal", batch_size=16).losses) == 3 * 3


def test_a_trial_that_cannot_learn_is_stuck() -> None:
    trial = run("zeros", lr=1e-8)
    assert trial.verdict == "stuck"
    assert trial.failed
    assert trial.losses[0] == pytest.approx(math.log(2))
    assert trial.steps_to(0.5) is None


def test_trials_that_fail_otherwise() -> None:
    assert run("he_normal", lr=1e30).verdict == "nan"
    assert run("he_normal", lr=1e30).score == 0
    worse = run("normal(0, 3)", lr=1e-9)
    assert worse.verdict == "diverged"
    assert np.isfinite(worse.losses).all()


def test_ctrl_c_gives_the_trials_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(trials.Stack):
        steps = 0

        def step(self, *batch: torch.Tensor) -> torch.Tensor:
            self.steps += 1
            if self.steps > stop_after:
                raise KeyboardInterrupt
            return super().step(*batch)

    monkeypatch.setattr(trials, "Stack", Interrupting)
    stop_after = 110
    with pytest.raises(Interrupted) as stopped:
        run("he_normal")
    (trial,) = stopped.value.found
    assert len(trial.losses) == 110
    assert trial.score == 1
    stop_after = 5  # too early to say anything
    with pytest.raises(KeyboardInterrupt) as interrupt:
        run("he_normal")
    assert not isinstance(interrupt.value, Interrupted)


def test_setup_counts() -> None:
    setup: TrialSetup = CompareSettings().setup
    assert (setup.steps, setup.window) == (5000, 100)
    assert setup.checkpoints == [1000, 2000, 3000, 4000, 5000]
    steps = setup.curve_steps
    assert (steps[0], steps[-1], len(steps)) == (100, 5000, 200)
    assert replace(setup, train=7, epochs=1).curve_steps == [7]
    assert replace(setup, train=3, epochs=1).checkpoints == [1, 2, 3]
