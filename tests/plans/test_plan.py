"""Plans: printed, saved, compared, applied to wrapped and partial models, and proved."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError, FaninWarning, Plan


def model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, groups=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(72, 5),
    )


COLUMNS = ("fan_in", "fan_out", "why")
INPUTS = torch.zeros(2, 3, 8, 8)


@pytest.fixture
def plan() -> Plan:
    return fanin.plan(model(), INPUTS)


def values(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.named_parameters()}


def test_it_prints_as_a_table(plan: Plan) -> None:
    lines = str(plan).splitlines()
    assert lines[0] == "plan: recipe auto, 6 parameters"
    assert lines[2].split() == ["parameter", "shape", "role", "initializer", "std", *COLUMNS]
    assert lines[3].split()[:4] == ["0.weight", "8x3x3x3", "convolution", "lecun_normal()"]
    assert "relu" in lines[-2]


def test_rows_that_differ_in_a_number_alone_are_one_line() -> None:
    layers = [nn.Linear(8, 8) for _ in range(12)]
    printed = str(fanin.plan(nn.Sequential(*layers), torch.zeros(1, 8)))
    rows = [line.split()[0] for line in printed.splitlines()[3:6]]
    assert rows == ["{0..10}.weight", "{0..11}.bias", "11.weight"]  # the head's is another why
    assert len(printed.splitlines()) < 10
    spaced = [layer for _ in range(5) for layer in (nn.Linear(8, 8), nn.Tanh())]
    lines = str(fanin.plan(nn.Sequential(*spaced), initializer="lecun_normal")).splitlines()
    assert "{0..8:2}.weight" in {line.split("  ")[0] for line in lines}


def test_saved_and_loaded_it_is_the_same(plan: Plan, tmp_path: Path) -> None:
    path = plan.save(tmp_path / "plan.toml")
    assert Plan.load(path) == plan
    assert [item.name for item in tmp_path.iterdir()] == ["plan.toml"]
    applied = plan.apply(model(), seed=2**64 - 1)
    assert Plan.load(applied.save(path)).seed == 2**64 - 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has format None; this fanin reads format 1"),
        ("format = 1\nstream = 2", "has stream 2; this fanin reads stream 1"),
        ("format = 1\nstream = 1", "is not a plan: the head of the file has no recipe; it is text"),
        ("format = ", "is not a plan"),
        (
            'format = 1\nstream = 1\nrecipe = "x"\n[[parameter]]\nname = "w"\nshape = [2]\n'
            'dtype = "float32"\nrole = "r"\ninitializer = "he_norml"\naxes = "out"\nwhy = ""',
            "unknown initializer 'he_norml'",
        ),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(FaninError, match=message):
        Plan.load(path)


def test_a_plan_that_cannot_be_written_leaves_no_file(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(FaninError, match="cannot write the plan"):
        plan.save(tmp_path / "missing" / "plan.toml")
    with pytest.raises(FaninError, match="cannot read the plan"):
        Plan.load(tmp_path / "plan.toml")


def test_it_applies_to_any_model_of_the_same_names(plan: Plan) -> None:
    plain, wrapped, half = model(), nn.DataParallel(model()), model().to(torch.bfloat16)
    plan.apply(plain, seed=3)
    plan.apply(wrapped, seed=3)
    plan.apply(half, seed=3)
    for name, tensor in values(plain).items():
        assert torch.equal(tensor, wrapped.module.get_parameter(name))
        assert torch.equal(tensor.to(torch.bfloat16), half.get_parameter(name))


def test_a_part_of_the_model_gets_its_part(plan: Plan) -> None:
    whole = model()
    plan.apply(whole, seed=3)
    stage = nn.ModuleDict({"4": nn.Linear(72, 5)})
    plan.apply(stage, seed=3)
    assert torch.equal(stage["4"].weight, whole[4].weight)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda: nn.Sequential(nn.Conv2d(3, 9, 3)),
            r"0\.weight has shape \(9, 3, 3, 3\); the plan",
        ),
        (lambda: nn.ModuleDict({"x": nn.Linear(2, 2)}), r"the plan has no x\.weight, x\.bias"),
    ],
)
def test_another_model_is_refused_and_untouched(plan: Plan, other: object, message: str) -> None:
    built = other()  # type: ignore[operator]
    before = values(built)
    with pytest.raises(FaninError, match=message):
        plan.apply(built)
    assert all(torch.equal(before[name], tensor) for name, tensor in values(built).items())


def test_verify_proves_every_bit(plan: Plan) -> None:
    built = model()
    applied = plan.apply(built, seed=7)
    applied.verify(built)
    plan.verify(built, seed=7)
    with pytest.raises(FaninError, match="say which seed"):
        plan.verify(built)
    with pytest.raises(FaninError, match=r"0\.weight, 4\.weight hold other values than seed 8"):
        plan.verify(built, seed=8)
    with torch.no_grad():
        built[4].bias[2] = 1e-30
    with pytest.raises(FaninError, match=r"4\.bias holds other values"):
        applied.verify(built)


def test_differences_are_listed(plan: Plan) -> None:
    assert plan.diff(plan) == ()
    assert plan.diff(model()) == ()
    other = fanin.plan(model(), INPUTS, overrides={"4.weight": "zeros"})
    assert [line[:10] for line in plan.diff(other)] == ["- 4.weight", "+ 4.weight"]
    assert plan.diff(nn.Sequential(nn.Conv2d(3, 9, 3)))[0] == "- 1.weight: not in the model"


def test_differences_are_in_the_order_of_the_plan(plan: Plan) -> None:
    other = fanin.plan(model(), INPUTS, overrides={"*": "normal(std=0.5)"})
    named = [line.split()[1] for line in plan.diff(other) if line[0] == "-"]
    assert named == [row.name for row in plan.rows]


def test_a_parameter_that_no_rule_places_is_an_error_or_kept() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(4, 4)
            self.odd = nn.Parameter(torch.randn(2, 3, 5, 7))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.line(x)

    built = Odd()
    before = values(built)
    with pytest.raises(
        FaninError, match=r"odd has shape \(2, 3, 5, 7\) in an Odd, .*unplaced='keep'"
    ):
        fanin.initialize(built, 0, initializer="he_normal")
    assert all(torch.equal(before[name], tensor) for name, tensor in values(built).items())
    plan = fanin.initialize(built, 0, torch.zeros(1, 4), unplaced="keep")
    assert plan["odd"].initializer is None
    plan.verify(built)
    with torch.no_grad():
        built.odd[0] = 0
    with pytest.raises(FaninError, match="odd holds other values"):
        plan.verify(built)
    with pytest.raises(FaninError, match=r"odd of shape .* is kept by the plan, and its values"):
        plan.apply(built)


def test_frozen_parameters_beside_trained_ones_are_kept() -> None:
    built = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    built[0].weight.requires_grad_(False)
    before = built[0].weight.clone()
    plan = fanin.initialize(built, 0, torch.zeros(1, 4))
    assert torch.equal(built[0].weight, before)
    assert plan["0.weight"].why == "frozen, so kept as it is"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "atuo"}, "unknown recipe 'atuo': did you mean 'auto'"),
        ({"recipe": 3}, "recipe is 3"),
        ({"unplaced": "ignore"}, "unplaced is 'ignore'; allowed are error, keep"),
        ({"initializer": "he_normal", "recipe": "torch"}, "recipe and initializer are both given"),
        (
            {"initializer": "he_normal", "recipe": np.zeros(3)},
            "recipe and initializer are both given",
        ),
        ({"unplaced": np.zeros(3)}, "unplaced is <ndarray"),
        (
            {"recipe": fanin.recipes.mup},
            r"recipe is the function mup itself, which needs the shapes",
        ),
        ({"recipe": len}, "recipe is the function len itself, which is to be called"),
        ({"overrides": {0: "zeros"}}, "overrides has the key 0; keys are names"),
        ({"rename": 3}, "rename is 3; it maps names found to names wanted"),
        ({"rename": {"0.weight": ""}}, r"rename\['0\.weight'\]: name is ''; a name is a non-empty"),
        ({"overrides": {"x": "zeros"}}, "overrides names x: the model has no such parameter"),
        ({"inputs": torch.zeros(2, 3)}, r"^0 \(Conv2d\) does not run on these inputs"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        fanin.plan(model(), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("argument", ["shards", "buffers", "rename"])
def test_what_is_applied_with_is_a_mapping(plan: Plan, argument: str) -> None:
    built = model()
    before = values(built)
    with pytest.raises(FaninError, match=f"{argument} is 3; it maps"):
        plan.apply(built, **{argument: 3})  # type: ignore[arg-type]
    with pytest.raises(FaninError, match=f"{argument} is 3; it maps"):
        fanin.initialize(built, **{argument: 3})  # type: ignore[arg-type]
    assert all(torch.equal(before[name], tensor) for name, tensor in values(built).items())


class Decay(nn.Module):
    """A state that decays at rates exp(a), with rows that a normalization goes over first."""

    def __init__(self, drawn: bool) -> None:
        super().__init__()
        rates = torch.rand(2, 4) if drawn else torch.arange(1.0, 5.0).repeat(2, 1)
        self.log_rate = nn.Parameter(torch.log(rates))
        self.temperature = nn.Parameter(torch.tensor(0.5))
        self.places = nn.Embedding(6, 8)
        self.line = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = nn.functional.layer_norm(self.places.weight, (8,))
        state = self.line(x)[:, None] * torch.exp(-torch.exp(self.log_rate))
        return state.flatten(1) * self.temperature.exp() + places[0]


def test_kept_values_that_may_be_of_chance_are_told() -> None:
    plan = fanin.plan(Decay(drawn=False), torch.zeros(3, 4))
    assert plan["log_rate"].initializer is None
    assert plan["log_rate"].why.endswith("its values are the constructor's, not the seed's")
    (note,) = plan.notes
    assert "the constructor's values stay in log_rate. If it drew them by chance" in note
    with fanin.empty_weights():
        computed, drawn = Decay(drawn=False), Decay(drawn=True)
    known = fanin.initialize(computed, 0, torch.zeros(3, 4))
    assert known["log_rate"].initializer is None
    assert known.notes == ()
    plan = fanin.initialize(drawn, 0, torch.zeros(3, 4))
    assert plan["log_rate"].why.endswith(
        "drawn as the constructor draws it, from the seed's stream"
    )
    want = torch.from_numpy(fanin.Stream(0, "log_rate").uniform((2, 4))).log()
    assert torch.equal(drawn.log_rate, want)
    plan.verify(drawn)
    with pytest.warns(FaninWarning, match="log_rate: the values are the constructor's, whatever"):
        fanin.initialize(Decay(drawn=False), 1, torch.zeros(3, 4))


def test_rows_of_a_table_are_the_seeds_whatever_they_go_through() -> None:
    first, second = Decay(drawn=False), Decay(drawn=False)
    for built in (first, second):
        with pytest.warns(FaninWarning, match="log_rate|places"):
            fanin.initialize(built, 0, torch.zeros(3, 4))
    others = values(second)
    assert all(torch.equal(others[name], tensor) for name, tensor in values(first).items())


def test_a_guess_without_inputs_is_noted_and_gives_way_to_keep() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.core = nn.Parameter(torch.randn(2, 3, 4))

    guessed, kept = fanin.plan(Bare()), fanin.plan(Bare(), unplaced="keep")
    assert guessed.notes[-1] == "guessed, for no run showed their use: core"
    assert str(guessed["core"].initializer) == "normal(0.0, 0.02)"
    assert kept["core"].initializer is None
    assert not any("guessed" in note for note in kept.notes)


class Rates(nn.Module):
    """A rate that the constructor computes, which a plan keeps and training moves."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(8, 8)
        self.rate = nn.Parameter(torch.log(torch.arange(1.0, 9.0)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(-torch.exp(self.rate)) * self.line(x)


def test_what_is_kept_is_proved_as_it_is_in_memory() -> None:
    """Not as the module remembers it, by which a second `apply` puts it back."""
    with fanin.empty_weights():
        rates = Rates()
    plan = fanin.initialize(rates, 0, torch.zeros(1, 8))
    assert plan["rate"].initializer is None
    plan.verify(rates)
    with torch.no_grad():
        rates.rate.add_(1)
    with pytest.raises(FaninError, match="rate holds other values than seed 0 of this plan"):
        plan.verify(rates)
    plan.apply(rates)
    plan.verify(rates)
