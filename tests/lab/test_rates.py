import numpy as np

from fanin.lab.rates import choose, tuning_specs
from fanin.lab.settings import CompareSettings
from fanin.lab.training.trial import Trial

SETTINGS = CompareSettings(
    initializers=("torch", "he_normal", "zeros"),
    seeds=3,
    lr_grid=(0.1, 0.01, 0.001),
    lr_for=("zeros=0.5",),
)


def trial(loss: float) -> Trial:
    losses = np.full(10, loss, np.float32)
    return Trial(0, losses, (0.5,), "stuck" if loss > 2 else "learned", 5)


def test_rates_are_chosen_on_seeds_of_their_own() -> None:
    specs = tuning_specs(SETTINGS)
    assert {spec.initialization for spec in specs} == {"torch", "he_normal"}
    assert {spec.seed for spec in specs} == {3, 4}
    assert len(specs) == 2 * 3 * 2
    assert tuning_specs(CompareSettings()) == []


def test_the_fewest_failures_and_then_the_lowest_loss() -> None:
    losses = {("torch", 0.01): 0.2, ("he_normal", 0.1): 0.1}
    tuned = {s: trial(losses.get((s.initialization, s.lr), 0.5)) for s in tuning_specs(SETTINGS)}
    unlucky = next(s for s in tuned if (s.initialization, s.lr) == ("he_normal", 0.1))
    assert {name: rate.lr for name, rate in choose(SETTINGS, tuned).items()} == {
        "torch": 0.01,
        "he_normal": 0.1,
        "zeros": 0.5,
    }
    tuned[unlucky] = trial(2.3)
    chosen = choose(SETTINGS, tuned)
    assert chosen["he_normal"].lr == 0.01
    first, *_ = chosen["he_normal"].tried
    assert (first.lr, first.failed, first.loss) == (0.1, 1, np.float32(0.1))
    assert [chosen[name].at_edge for name in SETTINGS.initializers] == [False, False, False]
    assert chosen["zeros"].tried == ()


def test_a_choice_at_the_edge_of_the_grid() -> None:
    tuned = {spec: trial(spec.lr) for spec in tuning_specs(SETTINGS)}
    chosen = choose(SETTINGS, tuned)["torch"]
    assert (chosen.lr, chosen.at_edge) == (0.001, True)
