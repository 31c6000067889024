"""Propagation: what asks for nothing, for anything, and for too much, by hand and of models."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin.axes import Axes
from fanin.graph import Function, Graph, Node, Use
from fanin.recipes._acting import fit_std
from fanin.recipes._parameters import APART, Share
from fanin.recipes._propagate import Propagation

Forward = Callable[["Written", Tensor], Tensor]

DENSE = Axes(("out", "in"))
SHAPES = {"w": (8, 8), "v": (8, 8)}
EXTREMES = [0.0, 1e-320, 1e-200, 1e200, math.inf, -math.inf, math.nan]
INPUT = Node("input", (), (4, 8), "")


def linear(source: int, name: str = "w", **about: object) -> Node:
    return Node("linear", (source,), (4, 8), "", param=Use(name, DENSE, **about))  # type: ignore[arg-type]


def constant(square: float) -> Node:
    return Node("buffer", (), (4, 8), "", square=square)


def function(source: int, fn: object) -> Node:
    return Node("pointwise", (source,), (4, 8), "", fn=fn)  # type: ignore[arg-type]


def propagated(*nodes: Node, **given: object) -> Propagation:
    graph = Graph(nodes, (len(nodes) - 1,))
    return Propagation(graph, SHAPES, **given).run()  # type: ignore[arg-type]


def test_a_weight_fed_by_zeros_has_the_size_that_unit_inputs_need() -> None:
    run = propagated(constant(0.0), linear(0))
    assert (run.weights["w"].scale, run.weights["w"].fed) == (1.0, 0.0)
    assert run.signals[1] is not None
    assert run.signals[1].second == 0


def test_a_weight_used_on_zeros_and_on_a_signal_is_sized_by_the_signal() -> None:
    """In either order, and the plan's reason tells of the signal."""
    silent, twice = function(0, np.zeros_like), function(0, lambda x: 2 * x)
    for first, second in ((1, 2), (2, 1)):
        weight = propagated(INPUT, silent, twice, linear(first), linear(second)).weights["w"]
        assert weight.scale == pytest.approx(0.25)
        assert weight.fed == pytest.approx(4.0)
        assert weight.node == 3 + (second == 2)
        assert weight.uses == 1


def test_so_is_one_that_acts_through_a_function() -> None:
    doubled = Function(("w",), lambda of: 2 * of["w"], lambda w: 2 * w)
    about = {"through": ("mul",), "function": doubled}
    silent, twice = function(0, np.zeros_like), function(0, lambda x: 2 * x)
    for order in ((1, 2), (2, 1)):
        nodes = (INPUT, silent, twice, *(linear(one, **about) for one in order))
        weight = propagated(*nodes).weights["w"]
        assert weight.scale == pytest.approx(1 / 16)
        assert weight.fed == pytest.approx(4.0)
    only = propagated(INPUT, silent, linear(1, **about)).weights["w"]
    assert (only.scale, only.fed) == (pytest.approx(0.25), 0.0)


@pytest.mark.parametrize("value", EXTREMES)
def test_extreme_activations_give_weights_a_finite_size(value: float) -> None:
    """Through a function, behind a constant, of a matrix product, and added to themselves."""
    big = function(0, lambda x: np.full_like(x, value))
    scaled = function(0, lambda x: value * np.maximum(x, 0))
    mul = Node("mul", (1, 2), (4, 8), "")
    add = Node("add", (2, 3), (4, 8), "")
    matmul = Node("matmul", (1, 2), (4, 8), "", count=value)
    norm = Node("normalize", (1,), (4, 8), "", label="layer_norm")
    nodes = (INPUT, big, scaled, constant(value), mul, add, matmul, norm)
    for source in range(1, len(nodes)):
        weight = propagated(*nodes, linear(source)).weights["w"]
        assert 0 < weight.scale < math.inf, nodes[source]


@pytest.mark.parametrize("value", EXTREMES)
def test_extreme_targets_are_those_of_any_weight(value: float) -> None:
    assert propagated(INPUT, linear(0), targets={1: value}).weights["w"].scale == pytest.approx(1)


@pytest.mark.parametrize("value", [1e200, math.inf, math.nan])
def test_extreme_factors_behind_a_branch_leave_its_share(value: float) -> None:
    run = propagated(INPUT, linear(0), shares={1: Share(0.5, 0, value)})
    assert run.weights["w"].scale == pytest.approx(0.5)


@pytest.mark.parametrize("value", EXTREMES)
def test_extreme_variances_and_sizes_do_no_harm(value: float) -> None:
    scale = Node("scale", (1,), (4, 8), "", param=Use("s", Axes(("stack",))))
    nodes = (INPUT, linear(0), scale, linear(2, "v"))
    run = propagated(*nodes, variances={"w": value}, sizes={"s": value})
    assert 0 < run.weights["v"].scale < math.inf


def test_the_guess_of_a_run_may_be_extreme() -> None:
    for value in EXTREMES:
        far = function(0, lambda x: 1000 * x)
        guessed = Node(**{**_fields(far), "typical": lambda value=value: value})  # type: ignore[arg-type]
        weight = propagated(INPUT, guessed, linear(1)).weights["w"]
        assert 0 < weight.scale < math.inf


def _fields(node: Node) -> dict[str, object]:
    return {name: getattr(node, name) for name in Node.__slots__}


def test_a_branch_on_a_stream_of_zeros_has_its_share_of_one() -> None:
    """As the queries of a detector, which start at zeros: what branches add makes the stream."""
    nodes = (constant(0.0), INPUT, linear(1), Node("add", (0, 2), (4, 8), ""))
    run = propagated(*nodes, shares={2: Share(0.3, 0)})
    assert run.weights["w"].scale == pytest.approx(0.3)


def test_no_products_are_summed_as_one_all_but_nothing() -> None:
    assert Use("w", DENSE, fans=(0, 8)).fan_in((8, 8)) > 0
    assert 0 < propagated(INPUT, linear(0, fans=(0, 8))).weights["w"].scale < math.inf


def test_uses_far_from_the_first_are_counted() -> None:
    """Inputs of second moment 1, 4 and 1e6: the third asks for 1e-6, and counts as 0.1."""
    twice, more = function(0, lambda x: 2 * x), function(0, lambda x: 1000 * x)
    run = propagated(INPUT, twice, more, linear(0), linear(1), linear(2))
    weight = run.weights["w"]
    assert weight.scale == pytest.approx((1 * 0.25 / APART) ** (1 / 3))
    assert (weight.uses, weight.bounded) == (3, 1)


def test_a_weight_that_is_used_again_says_what_its_first_use_gives() -> None:
    """Inputs of second moment 1 and 16: the mean of 1 and 1/16 gives outputs of 1/4 and 4."""
    run = propagated(INPUT, function(0, lambda x: 4 * x), linear(0), linear(1))
    weight = run.weights["w"]
    assert weight.scale == pytest.approx(1 / 4)
    assert weight.target == pytest.approx(1 / 4)


class Again(nn.Module):
    """A weight that is used for an activation and for four times it."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(256, 256)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(self.map(x)), torch.relu(self.map(4 * x))


def test_the_plan_says_what_the_first_use_gives() -> None:
    torch.manual_seed(0)
    model, x = Again(), torch.randn(64, 256)
    plan = fanin.initialize(model, 0, x)
    given = float(model.map(x).detach().square().mean())
    assert plan["map.weight"].output == pytest.approx(given, rel=0.2)
    assert given == pytest.approx(1 / 4, rel=0.2)


@pytest.mark.parametrize(
    "measured",
    [
        lambda std: 0.0,
        lambda std: math.inf,
        lambda std: math.nan,
        lambda std: std**20,
        lambda std: 1e-300 * std**0.06,
        lambda std: 5e-324 if std > 1 else 1e300,
        lambda std: 1e300 if std > 1 else 5e-324,
    ],
)
def test_fits_end_on_any_function(measured: object) -> None:
    found = fit_std(measured, 1.0, 1.0)  # type: ignore[arg-type]
    assert found is None or 0 < found < math.inf


def test_fits_find_powers() -> None:
    for power in (-2, 0.1, 1, 4):
        found = fit_std(lambda std, power=power: 3 * std**power, 6.0, 1.0)  # type: ignore[misc]
        assert found == pytest.approx(2 ** (1 / power))


class Written(nn.Module):
    """Two layers, a scale and a table, and whatever a model does with them."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
        self.scale, self.words = nn.Parameter(torch.ones(8)), nn.Embedding(5, 8)
        self.does = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.does(self, x)


def detector(model: Written, x: Tensor) -> Tensor:
    """A normalized branch on queries that start at zeros."""
    stream = F.layer_norm(torch.zeros_like(x) + model.first(x), (8,))
    return model.second(stream)


def tied(model: Written, x: Tensor) -> Tensor:
    return F.linear(model.first(model.words((x > 0).long()).sum(1)), model.words.weight)


EXTREME: dict[str, Forward] = {
    "detector": detector,
    "tied": tied,
    "over nothing": lambda m, x: m.second(m.first(x) / 0.0),
    "times infinity": lambda m, x: m.second(m.first(x) * math.inf),
    "times nothing": lambda m, x: m.second(m.first(x) * 0),
    "tower": lambda m, x: m.second(torch.exp(torch.exp(torch.exp(4 * m.first(x))))),
    "constant": lambda m, x: m.second(torch.full_like(m.first(x), 1e30)),
    "difference": lambda m, x: m.second((m.first(x) - m.first(x)) / m.first(x)),
    "again": lambda m, x: m.second(m.second(x * 0) + x * m.scale),
    "stream of zeros": lambda m, x: x * 0 + m.second(torch.relu(m.first(x))),
    "huge branch": lambda m, x: x + m.second(torch.relu(m.first(x * m.scale))) * 1e30,
    "sines": lambda m, x: m.second(torch.sin(m.first(x) * 1e30 * 1e30)),
    "logits": lambda m, x: torch.softmax(m.first(x) @ m.second(x).T * math.inf, -1) @ x,
    "logits of nothing": lambda m, x: torch.softmax(m.first(x) @ m.second(x).T * 1e-200, -1) @ x,
}


@pytest.mark.parametrize("name", EXTREME)
def test_a_plan_does_not_die_in_arithmetic(name: str) -> None:
    assert fanin.plan(Written(EXTREME[name]), torch.randn(4, 8))


@pytest.mark.parametrize("name", ["detector", "tied", "again", "huge branch"])
@pytest.mark.parametrize("value", [0.0, 1e38, math.inf, math.nan])
@pytest.mark.parametrize("trains", [True, False])
def test_nor_of_what_parameters_hold(name: str, value: float, trains: bool) -> None:
    model = Written(EXTREME[name])
    for held in (model.first.weight, model.scale):
        held.data.fill_(value)
        held.requires_grad_(trains)
    assert fanin.plan(model, torch.randn(4, 8))


@pytest.mark.parametrize("name", ["tied", "again", "huge branch"])
@pytest.mark.parametrize("given", ["normal(0.0, 1e200)", "constant(1e200)", "zeros()"])
def test_nor_of_what_overrides_say(name: str, given: str) -> None:
    for which in ("first.weight", "second.weight", "scale", "words.weight"):
        model = Written(EXTREME[name])
        assert fanin.plan(model, torch.randn(4, 8), overrides={which: given})


def test_a_reason_tells_of_uses_that_were_bounded() -> None:
    def forward(model: Written, x: Tensor) -> Tensor:
        return torch.tanh(model.second(x)) + torch.tanh(model.second(1000 * x))

    row = fanin.plan(Written(forward), torch.randn(4, 8))["second.weight"]
    said = "1 asks for a variance more than 100 times from the first's, and counts as 100 times"
    assert f"used 2 times; {said}" in row.why
