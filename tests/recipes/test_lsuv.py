"""The recipe lsuv: the loop with a model of its own, without any framework."""

import math
from dataclasses import replace

import pytest

from fanin import FaninError
from fanin.axes import Axes
from fanin.graph import Graph, Node, Use
from fanin.initializers import Initializer, normal, orthogonal, zeros
from fanin.initializers._orthogonal import Orthogonal
from fanin.param import Param
from fanin.recipes import lsuv

LINEAR = Axes(("out", "in"))
SQUARE = (4, 4)


def weight(name: str) -> Param:
    return Param(name, SQUARE, "float32", "weight", "Linear", LINEAR)


def linear(name: str, *inputs: int) -> Node:
    return Node("linear", inputs, (2, 4), name.rpartition(".")[0], Use(name, LINEAR))


def chain(*names: str) -> Graph:
    """One weight after the other, each in a module of its own."""
    nodes = [Node("input", (), (2, 4), "")]
    nodes += [linear(name, position) for position, name in enumerate(names)]
    return Graph(tuple(nodes), (len(nodes) - 1,))


class Line:
    """Modules in a row; each multiplies the variance by `factor` and its gain squared."""

    sees_weights = False

    def __init__(self, modules: list[str], factor: float = 3.0) -> None:
        self.modules, self.factor = modules, factor
        self.gains: dict[str, float] = {}
        self.measured: list[str] = []

    def write(self, name: str, initializer: Initializer, axes: Axes | None) -> None:
        self.gains[name.rpartition(".")[0]] = initializer.std(SQUARE, axes or LINEAR) * 2

    def variance(self, module: str) -> float:
        self.measured.append(module)
        before = self.modules[: self.modules.index(module) + 1]
        return math.prod(self.factor * self.gains[one] ** 2 for one in before)


def test_every_weight_in_the_order_of_the_run() -> None:
    params = {name: weight(name) for name in ("b.weight", "a.weight", "c.weight")}
    line = Line(["a", "b", "c"])
    made = lsuv(line).choose(params, chain("a.weight", "b.weight", "c.weight"), {})
    assert list(made) == list(params)
    assert line.measured == ["a", "a", "b", "b", "c", "c"]  # one scale, one look that it fits
    for choice in made.values():
        assert isinstance(choice.initializer, Orthogonal)
        assert choice.initializer.gain == pytest.approx(1 / math.sqrt(3), rel=1e-8)
    assert {choice.output for choice in made.values()} == {1.0}
    assert made["a.weight"].why == "on the batch its output had variance 3 at gain 1"


def test_a_given_weight_is_written_and_not_scaled() -> None:
    params = {name: weight(name) for name in ("a.weight", "b.weight")}
    line = Line(["a", "b"])
    made = lsuv(line).choose(params, chain("a.weight", "b.weight"), {"a.weight": normal(std=1.0)})
    assert line.measured == ["b", "b"]
    assert made["b.weight"].initializer == orthogonal(float(f"{1 / 6:.9g}"))


def test_queries_keys_and_hidden_outputs_stay() -> None:
    nodes = (
        Node("input", (), (2, 4), ""),
        linear("q.weight", 0),
        linear("k.weight", 0),
        linear("v.weight", 0),
        Node("attention", (1, 2, 3), (2, 4), ""),
        linear("o.weight", 4),
        linear("m.weight", 5),
        Node("pointwise", (6,), (2, 4), "m"),  # so m does not return its weight's output
    )
    names = ["q", "k", "v", "o", "m"]
    params = {f"{name}.weight": weight(f"{name}.weight") for name in names}
    made = lsuv(line := Line(names)).choose(params, Graph(nodes, (7,)), {})
    assert list(dict.fromkeys(line.measured)) == ["v", "o"]
    for name in ("q", "k", "m"):
        assert made[f"{name}.weight"].initializer == orthogonal()
        assert "not scaled: it makes queries or keys, or no module" in made[f"{name}.weight"].why


def test_a_head_that_was_made_zero_stays() -> None:
    params = {"a.weight": weight("a.weight"), "b.weight": replace(weight("b.weight"), constant=0.0)}
    made = lsuv(line := Line(["a", "b"])).choose(params, chain("a.weight", "b.weight"), {})
    assert line.measured == ["a", "a"]
    assert made["b.weight"].initializer == zeros()


@pytest.mark.parametrize("variance", [0.0, math.nan, math.inf])
def test_an_output_that_no_scale_mends_is_an_error(variance: float) -> None:
    params = {"a.weight": weight("a.weight")}
    line = Line(["a"], factor=variance)
    with pytest.raises(FaninError, match=r"the output of a, a\.weight's, has variance .* inputs"):
        lsuv(line).choose(params, chain("a.weight"), {})


def test_a_zero_given_upstream_is_found() -> None:
    params = {name: weight(name) for name in ("a.weight", "b.weight")}
    with pytest.raises(FaninError, match="the output of b, "):
        lsuv(Line(["a", "b"])).choose(params, chain("a.weight", "b.weight"), {"a.weight": zeros()})
