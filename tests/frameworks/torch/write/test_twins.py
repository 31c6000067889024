"""Objects of one seed, name and shape that should differ: a warning, and prefix= to solve it."""

import copy
import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from weakref import ref

import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError, FaninWarning, Plan
from fanin.frameworks.torch import init
from fanin.frameworks.torch.write._twins import TWINS

SAID = "the same numbers as another"


def critic() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))


def told(call: Callable[[], object]) -> list[str]:
    """What a call warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if issubclass(one.category, FaninWarning)]


@pytest.fixture(autouse=True)
def nothing_before() -> None:
    gc.collect()


def test_twin_critics_are_told_of() -> None:
    first, second = critic(), critic()
    assert told(lambda: fanin.initialize(first, 0)) == []
    (message,) = told(lambda: fanin.initialize(second, 0))
    assert message.startswith("0.weight, 2.weight get the same numbers as another parameter")
    assert "prefix='critic1'" in message
    assert torch.equal(first[0].weight, second[0].weight)  # type: ignore[arg-type]


def test_the_warning_points_at_the_users_line() -> None:
    first, second = critic(), critic()
    fanin.initialize(first, 0)
    with pytest.warns(FaninWarning, match=SAID) as caught:
        fanin.initialize(second, 0)
    assert caught[0].filename == __file__


def test_an_ensemble_is_told_of_for_each_member_but_the_first() -> None:
    members = [critic() for _ in range(4)]
    assert [len(told(lambda one=one: fanin.initialize(one))) for one in members] == [0, 1, 1, 1]


def test_layers_one_by_one_are_told_of() -> None:
    layers = [nn.Linear(8, 8) for _ in range(3)]
    found = [told(lambda one=one: fanin.initialize(one, 5)) for one in layers]
    assert [len(one) for one in found] == [0, 1, 1]
    assert found[1][0].startswith("weight gets the same numbers")


@pytest.mark.parametrize(
    "draw", [init.kaiming_normal_, init.orthogonal_, init.uniform_, init.trunc_normal_]
)
def test_drop_ins_without_a_name_are_told_of(draw: Callable[..., object]) -> None:
    layers = [nn.Linear(8, 8) for _ in range(3)]
    found = [told(lambda one=one: draw(one.weight, seed=11)) for one in layers]
    assert [len(one) for one in found] == [0, 1, 1]
    assert "Give each its own name=" in found[1][0]


@pytest.mark.parametrize(
    "how",
    [
        {"initializer": "he_normal"},
        {"initializer": "orthogonal"},
        {"recipe": "torch"},
        {"inputs": torch.zeros(2, 6)},
    ],
)
def test_however_they_are_drawn(how: dict[str, object]) -> None:
    first, second = critic(), critic()
    fanin.initialize(first, 0, **how)  # type: ignore[arg-type]
    assert len(told(lambda: fanin.initialize(second, 0, **how))) == 1  # type: ignore[arg-type]


def test_built_empty_they_are_told_of() -> None:
    with fanin.empty_weights():
        first, second = critic(), critic()
    fanin.initialize(first, 0)
    assert len(told(lambda: fanin.initialize(second, 0))) == 1


def test_a_plan_that_is_applied_twice_is_told_of() -> None:
    first, second = critic(), critic()
    plan = fanin.plan(first)
    plan.apply(first, 1)
    assert len(told(lambda: plan.apply(second, 1))) == 1


def again() -> None:
    model = critic()
    fanin.initialize(model, 0)
    fanin.initialize(model, 0)
    fanin.plan(model).apply(model)


def seeds() -> None:
    members = [critic() for _ in range(3)]
    for seed, one in enumerate(members):
        fanin.initialize(one, seed)


def copies() -> None:
    model = critic()
    fanin.initialize(model, 0)
    target = copy.deepcopy(model)
    average = torch.optim.swa_utils.AveragedModel(model)
    fanin.initialize(model, 0)
    fanin.initialize(target, 0)
    fanin.initialize(average, 0)


def folds() -> None:
    for _ in range(3):
        model = critic()
        fanin.initialize(model, 0)


def trained() -> None:
    """Runs that start alike on purpose: the first was trained before the second was made."""
    first = critic()
    fanin.initialize(first, 0)
    first(torch.randn(4, 6)).sum().backward()
    torch.optim.SGD(first.parameters(), 0.1).step()
    second = critic()
    fanin.initialize(second, 0)


def trained_in_part() -> None:
    """What training does not reach is no sign that a run was not trained."""
    first = nn.ModuleDict({"body": critic(), "unused": critic()})
    fanin.initialize(first, 0)
    first["body"](torch.randn(4, 6)).sum().backward()
    torch.optim.AdamW(first.parameters(), 0.1).step()
    second = nn.ModuleDict({"body": critic(), "unused": critic()})
    fanin.initialize(second, 0)


def one_module() -> None:
    fanin.initialize(nn.ModuleDict({"q1": critic(), "q2": critic()}), 0)


def wrapped() -> None:
    model = critic()
    fanin.initialize(model, 0)
    fanin.initialize(nn.DataParallel(model), 0)


def other_shapes() -> None:
    first, second = nn.Linear(4, 5), nn.Linear(4, 6)
    fanin.initialize(first, 0)
    fanin.initialize(second, 0)


def no_draws() -> None:
    first, second = critic(), critic()
    for one in (first, second):
        fanin.initialize(one, 0, initializer="zeros")
    eyes = [nn.Linear(4, 4) for _ in range(2)]
    for eye in eyes:
        fanin.initialize(eye, 0, initializer="identity")


def named() -> None:
    layers = [nn.Linear(8, 8) for _ in range(3)]
    for number, one in enumerate(layers):
        init.kaiming_normal_(one.weight, seed=0, name=f"{number}.weight")
    for one in layers:
        init.kaiming_normal_(one.weight)  # a seed of its own from torch's generator


def prefixes() -> None:
    members = [critic() for _ in range(3)]
    for number, one in enumerate(members):
        fanin.initialize(one, 0, prefix=f"critic{number}")


def verified() -> None:
    model = critic()
    plan = fanin.initialize(model, 0)
    plan.verify(model)
    plan.audit(model)


SOUND = (again, seeds, copies, folds, trained, trained_in_part, one_module, wrapped, other_shapes)


@pytest.mark.parametrize("sound", [*SOUND, no_draws, named, prefixes, verified])
def test_no_warning_where_nothing_is_wrong(sound: Callable[[], None]) -> None:
    assert told(sound) == []


def test_a_prefix_tells_models_apart_and_stays_in_the_plan(tmp_path: Path) -> None:
    first, second, whole = critic(), critic(), nn.ModuleDict({"q1": critic(), "q2": critic()})
    one = fanin.initialize(first, 3, prefix="q1")
    two = fanin.initialize(second, 3, prefix="q2.")
    fanin.initialize(whole, 3)
    assert torch.equal(first[0].weight, whole["q1"][0].weight)  # type: ignore[arg-type, index]
    assert torch.equal(second[0].weight, whole["q2"][0].weight)  # type: ignore[arg-type, index]
    assert (one.prefix, two.prefix) == ("q1", "q2")
    assert list(one) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert "applied with seed 3, names drawn under 'q1'" in str(one)
    one.verify(first)
    two.verify(second)
    with pytest.raises(FaninError, match="other values than seed 3"):
        one.verify(second)
    one.verify(second, prefix="q2")
    loaded = Plan.load(two.save(tmp_path / "plan.toml"))
    assert loaded == two
    third = critic()
    loaded.apply(third).verify(second)
    assert torch.equal(second[0].weight, third[0].weight)  # type: ignore[arg-type]


def test_one_plan_is_applied_under_several_prefixes() -> None:
    members = [critic() for _ in range(3)]
    plan = fanin.plan(members[0], torch.zeros(2, 6))
    applied = [plan.apply(one, 0, prefix=f"m{number}") for number, one in enumerate(members)]
    assert [one.prefix for one in applied] == ["m0", "m1", "m2"]
    for plan, one in zip(applied, members, strict=True):
        plan.verify(one)
    assert not torch.equal(members[0][0].weight, members[1][0].weight)  # type: ignore[arg-type]


def test_lsuv_measures_on_what_the_prefix_draws() -> None:
    model, x = critic(), torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    fanin.initialize(model, 0, x, "lsuv", prefix="q1")
    assert float(model[0](x).detach().var()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("prefix", [None, 3, ".", "a\0b", ["q1"]])
def test_a_wrong_prefix_is_refused(prefix: object) -> None:
    for call in (fanin.plan, fanin.initialize):
        with pytest.raises(
            FaninError, match=r"prefix is .*it is text that stands before every name"
        ):
            call(critic(), prefix=prefix)  # type: ignore[operator]


def test_a_model_that_is_gone_frees_its_memory_at_once() -> None:
    """Nothing that a plan makes is in a cycle with the parameters."""
    for _ in range(2):  # what torch makes once for all, first
        gc.collect()
        gc.disable()
        try:
            model = critic()
            plan = fanin.initialize(model, 0)
            plan.verify(model)
            weight = ref(model[0].weight)  # type: ignore[index]
            del model
            alive = weight() is not None
        finally:
            gc.enable()
    assert not alive


def test_a_twin_may_go_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another thread drops its model meanwhile."""
    first = critic()
    fanin.initialize(first, 0)

    looks = []

    def drop(*tensors: torch.Tensor) -> bool:
        looks.append(tensors)
        if len(looks) > 2:  # both weights were found to have twins
            TWINS._latest.clear()
        return False

    monkeypatch.setattr(TWINS, "_holds", drop)
    with pytest.warns(FaninWarning, match=SAID):
        fanin.initialize(critic(), 0)
    assert len(looks) > 2
    assert first[0].weight.numel()
