"""Plans on disk: every initializer comes back, and wrong paths are refused."""

import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import fanin
from fanin import FaninError, Plan, initializers
from fanin.axes import ROLES, Axes, parse_axes
from fanin.initializers import Initializer
from fanin.initializers._registry import ENTRIES
from fanin.plans import Row
from fanin.plans._row import Keeps

# Any text, control characters and all planes of Unicode; a name has no NUL.
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
NOT_NEGATIVE = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
SIZE = st.floats(2.0**-400, 2.0**400)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_initializer_comes_back(name: str, tmp_path: Path) -> None:
    entry = ENTRIES[name]
    axes = parse_axes(None, entry.shape)
    row = Row("w", entry.shape, "float32", "weight", initializers.get(entry.example), axes, "why")
    plan = Plan("auto", (row,))
    assert Plan.load(plan.save(tmp_path / "plan.toml")) == plan


@pytest.mark.parametrize("shape", [(3,), (64,), (16, 8), (2, 3, 40), (0,)])
def test_arrays_of_constants_come_back(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    plan = Plan(
        "auto",
        (
            Row(
                *("w", shape, "float32", "weight", initializers.constant(values)),
                *(parse_axes(None, shape), "as given"),
            ),
        ),
    )
    path = plan.save(tmp_path / "plan.toml")
    assert Plan.load(path) == plan


def test_a_model_is_planned_with_an_array_and_drawn_from_the_file(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 64))
    given = initializers.constant(list(range(64)))
    saved = fanin.plan(model, overrides={"0.bias": given}).save(tmp_path / "plan.toml")
    Plan.load(saved).apply(model)
    assert model[0].bias.tolist() == list(range(64))


@pytest.mark.parametrize("path", [None, 3, b"plan", "a\0b"])
def test_what_is_no_path_is_refused(path: Any) -> None:
    plan = fanin.plan(nn.Linear(2, 2))
    with pytest.raises(FaninError, match="path is "):
        plan.save(path)
    with pytest.raises(FaninError, match="path is "):
        Plan.load(path)


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(FaninError, match="cannot write the plan"):
        fanin.plan(nn.Linear(2, 2)).save("\ud800")


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(FaninError, match="cannot write the plan"):
        fanin.plan(nn.Linear(2, 2)).save(tmp_path)
    with pytest.raises(FaninError, match="cannot read the plan"):
        Plan.load(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_parameter_with_two_rows_is_refused(tmp_path: Path) -> None:
    path = fanin.plan(nn.Sequential(nn.Linear(2, 2, bias=False))).save(tmp_path / "plan.toml")
    text = path.read_text()
    path.write_text(text + text[text.index("[[parameter]]") :])
    with pytest.raises(FaninError, match=r"is not a plan: parameter 0\.weight has 2 rows; leave"):
        Plan.load(path)


@pytest.mark.parametrize("seed", [1, 7, 2**64 - 1])
def test_a_loaded_plan_draws_with_its_own_seed(seed: int, tmp_path: Path) -> None:
    """The file is all that a second machine needs: apply and verify take the seed from it."""
    first, second, other = (nn.Sequential(nn.Linear(4, 8), nn.ReLU()) for _ in range(3))
    saved = fanin.initialize(first, seed).save(tmp_path / "plan.toml")
    loaded = Plan.load(saved)
    applied = loaded.apply(second)
    assert applied.seed == seed
    assert torch.equal(first[0].weight, second[0].weight)
    loaded.verify(second)
    applied.verify(first)
    assert loaded.apply(other, seed=0).seed == 0
    assert not torch.equal(first[0].weight, other[0].weight)
    with pytest.raises(FaninError, match=f"than seed {seed} of this plan draws"):
        loaded.verify(other)


def test_a_plan_that_was_never_applied_draws_with_seed_0() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    plan = fanin.plan(model)
    assert plan.seed is None
    assert plan.apply(model).seed == 0
    plan.verify(model)
    plan.verify(model, seed=0)


@st.composite
def all_axes(draw: st.DrawFn) -> tuple[tuple[int, ...], Axes]:
    """A shape, and axes that fit it: any roles, groups, strides and packed blocks."""
    roles = draw(st.lists(st.sampled_from(ROLES), max_size=5))
    shape = [draw(st.integers(0, 7)) for _ in roles]
    groups = 1
    blocks: tuple[int, ...] = ()
    transposed = draw(st.booleans())
    split = "in" if transposed else "out"
    if split in roles:
        groups = draw(st.integers(1, 3))
        shape[roles.index(split)] *= groups
    if "out" in roles and draw(st.booleans()):
        sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
        blocks = tuple(groups * size for size in sizes)
        shape[roles.index("out")] = sum(blocks)
    strides = st.tuples(*[st.integers(1, 4)] * roles.count("kernel"))
    stride = draw(st.integers(1, 4) | strides)
    return tuple(shape), Axes(tuple(roles), groups, transposed, stride, blocks)


def all_initializers(shape: tuple[int, ...], axes: Axes) -> st.SearchStrategy[Initializer | None]:
    """Those that this shape can have: with any numbers, or an array of them."""

    def fits(made: Initializer | None) -> bool:
        try:
            _ = made and made.std(shape, axes)
        except FaninError:  # this shape has no fans, say
            return False
        return True

    # An expression cannot tell the sizes behind an axis of none: those of (0, 3) print as [].
    array = np.random.default_rng(0).normal(size=shape) if 0 not in shape[:-1] else 0.25
    sizes = SIZE.map(
        lambda size: [
            initializers.constant(-size),
            initializers.normal(-size, size),
            initializers.uniform(-size, size / 3),
            initializers.variance_scaling(size, "fan_out", "uniform"),
            initializers.orthogonal(size),
        ]
    ).flatmap(st.sampled_from)
    fixed = [None, initializers.zeros(), initializers.torch_default(), initializers.constant(array)]
    return (st.sampled_from(fixed) | sizes).filter(fits)


@st.composite
def rows(draw: st.DrawFn, name: str) -> Row:
    shape, axes = draw(all_axes())
    return Row(
        name=name,
        shape=shape,
        dtype=draw(st.sampled_from(["float32", "bfloat16", "float8_e4m3fn", "complex128"])),
        role=draw(st.text()),
        initializer=draw(all_initializers(shape, axes)),
        axes=axes,
        why=draw(st.text()),
        aliases=tuple(draw(st.lists(NAME, max_size=2))),
        output=draw(st.none() | NOT_NEGATIVE),
        kept_sha256=draw(st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)),
        lr_factor=draw(NOT_NEGATIVE),
        averaged=draw(st.booleans()),
        zero_row=draw(st.none() | st.integers(0, shape[0] - 1)) if shape and shape[0] else None,
        keeps=draw(st.none() | st.sampled_from(get_args(Keeps))),
        guessed=draw(st.booleans()),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    return Plan(
        recipe=draw(st.text()),
        rows=tuple(draw(rows(name)) for name in draw(st.lists(NAME, max_size=3, unique=True))),
        notes=tuple(draw(st.lists(st.text(), max_size=3))),
        seed=draw(st.none() | st.integers(0, 2**64 - 1)),
        prefix=draw(st.just("") | NAME),
    )


@given(plans())
def test_every_plan_comes_back(plan: Plan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loaded = Plan.load(plan.save(Path(folder, "plan.toml")))
    assert loaded == plan
    assert repr(loaded) == repr(plan)  # 0 and 0.0, or -0.0, would be equal
    assert str(loaded) == str(plan)
