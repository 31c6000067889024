"""What a plan promises of any module tree: a layer's values are its own, whatever stands beside it.

Random trees are changed in one place, and planned and drawn before and after. A parameter that
both have draws the same bits; where its scale is another one, the plan's reason is, too, and the
draw behind the scale is the same.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from warnings import catch_warnings, simplefilter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.swa_utils import AveragedModel

import fanin
from fanin import FaninWarning
from fanin.plans import Row

WIDTH = 6  # of features, and of positions: every layer takes what every other one gives
SEED = 3

LAYERS: Mapping[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "no bias": lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    "bilinear": lambda: nn.Sequential(nn.Linear(WIDTH, 9), nn.GELU(), nn.Linear(9, WIDTH)),
    "convolution": lambda: nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
    "grouped": lambda: nn.Conv1d(WIDTH, WIDTH, 3, padding=1, groups=2),
    "transposed": lambda: nn.ConvTranspose1d(WIDTH, WIDTH, 3, padding=1),
    "layer norm": lambda: nn.LayerNorm(WIDTH),
    "rms norm": lambda: nn.RMSNorm(WIDTH),
    "batch norm": lambda: nn.BatchNorm1d(WIDTH),
    "group norm": lambda: nn.GroupNorm(2, WIDTH),
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "leaky": lambda: nn.LeakyReLU(0.3),
    "prelu": nn.PReLU,
    "dropout": lambda: nn.Dropout(0.2),
}


class Residual(nn.Sequential):
    """What it holds, one after the other, added to what it is given."""

    def forward(self, x: Tensor) -> Any:
        made: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + made


class Scaled(nn.Module):
    """A container that its author wrote, with a parameter of its own."""

    def __init__(self, layers: "OrderedDict[str, nn.Module]") -> None:
        super().__init__()
        self.body = nn.Sequential(layers)
        self.gain = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Any:
        return self.body(x) * self.gain


CONTAINERS: Mapping[str, Callable[..., nn.Module]] = {
    "sequential": nn.Sequential,
    "residual": Residual,
    "scaled": Scaled,
}


# Their names are left out of the names of what they hold.
WRAPPERS: Mapping[str, Callable[[nn.Module], Any]] = {
    "data parallel": nn.DataParallel,
    "averaged": AveragedModel,
    "checkpointed": checkpoint_wrapper,
    "twice": lambda module: nn.DataParallel(checkpoint_wrapper(module)),
}


@dataclass(frozen=True)
class Tree:
    """A layer, or a container of named ones. `shows` names a layer of the model that it is."""

    kind: str
    children: tuple[tuple[str, "Tree"], ...] = ()
    wrapper: str = ""
    shows: str = ""

    def build(self, built: dict[str, nn.Module], path: str = "") -> nn.Module:
        if self.shows in built:
            return built[self.shows]
        layers = OrderedDict(
            (name, child.build(built, f"{path}.{name}")) for name, child in self.children
        )
        made = CONTAINERS[self.kind](layers) if self.kind in CONTAINERS else LAYERS[self.kind]()
        built[path] = WRAPPERS[self.wrapper](made) if self.wrapper else made
        return built[path]

    def places(self, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """The paths of all that it holds."""
        for name, child in self.children:
            yield (*path, name)
            yield from child.places((*path, name))

    def at(self, path: tuple[str, ...]) -> "Tree":
        return dict(self.children)[path[0]].at(path[1:]) if path else self

    def changed(self, path: tuple[str, ...], change: Callable[["Tree"], "Tree"]) -> "Tree":
        if not path:
            return change(self)
        children = (
            (name, child.changed(path[1:], change) if name == path[0] else child)
            for name, child in self.children
        )
        return replace(self, children=tuple(children))


@st.composite
def trees(draw: st.DrawFn, depth: int = 2) -> Tree:
    kinds = st.sampled_from([*LAYERS] if depth == 0 else [*LAYERS, *CONTAINERS] * 2)
    kind = draw(st.sampled_from([*CONTAINERS]) if depth == 2 else kinds)
    if kind in LAYERS:
        return Tree(kind)
    count = draw(st.integers(1, 5 if depth == 2 else 3))
    names = draw(st.permutations([f"layer{at}" for at in range(count)]))
    return Tree(kind, tuple((name, draw(trees(depth - 1))) for name in names))


def containers(tree: Tree) -> list[tuple[str, ...]]:
    return [(), *(path for path in tree.places() if tree.at(path).children)]


def put(tree: Tree, path: tuple[str, ...], at: int, new: Tree) -> Tree:
    def change(found: Tree) -> Tree:
        return replace(found, children=(*found.children[:at], ("new", new), *found.children[at:]))

    return tree.changed(path, change)


@st.composite
def inserted(draw: st.DrawFn, tree: Tree) -> Tree:
    path = draw(st.sampled_from(containers(tree)))
    at = draw(st.integers(0, len(tree.at(path).children)))
    return put(tree, path, at, Tree(draw(st.sampled_from([*LAYERS]))))


@st.composite
def removed(draw: st.DrawFn, tree: Tree) -> Tree:
    several = [path for path in containers(tree) if len(tree.at(path).children) > 1]
    if not several:
        return tree
    path = draw(st.sampled_from(several))
    gone = draw(st.integers(0, len(tree.at(path).children) - 1))
    return tree.changed(
        path,
        lambda found: replace(found, children=found.children[:gone] + found.children[gone + 1 :]),
    )


@st.composite
def reordered(draw: st.DrawFn, tree: Tree) -> Tree:
    path = draw(st.sampled_from(containers(tree)))
    order = draw(st.permutations(tree.at(path).children))
    return tree.changed(path, lambda found: replace(found, children=tuple(order)))


@st.composite
def shared(draw: st.DrawFn, tree: Tree) -> Tree:
    """One of the model's layers once more, at its end, under another name."""
    leaf = draw(st.sampled_from([path for path in tree.places() if not tree.at(path).children]))
    again = Tree(tree.at(leaf).kind, shows="." + ".".join(leaf))
    return put(tree, (), len(tree.children), again)


EDITS = {"inserted": inserted, "removed": removed, "reordered": reordered, "shared": shared}


def model_of(tree: Tree) -> nn.Module:
    layers = {"words": nn.Embedding(11, WIDTH), "tree": tree.build({})}
    return nn.Sequential(OrderedDict(layers))


class Held(nn.Module):
    """A model as a part of another one."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        return self.net(x)


Drawn = Mapping[str, tuple[Row, Tensor]]


def drawn(model: nn.Module, traced: bool, **how: Any) -> Drawn:
    """What the plan says of every parameter, and the values that it has then."""
    inputs = torch.zeros(2, WIDTH, dtype=torch.long) if traced else None
    with catch_warnings():  # that two models of equal names draw the same numbers
        simplefilter("ignore", FaninWarning)
        plan = fanin.initialize(model, SEED, inputs, **how)
    values = (one.detach() for one in model.parameters())
    return {row.name: (row, one) for row, one in zip(plan.rows, values, strict=True)}


def check_kept(before: Drawn, after: Drawn) -> None:
    """What both have is the same, but for scales, where the reasons say why."""
    for name in before.keys() & after.keys():
        (old, mine), (new, theirs) = before[name], after[name]
        if old.draws_as(new):
            assert torch.equal(mine, theirs)
            continue
        assert old.why != new.why, (old, new)
        if old.std and new.std:
            assert torch.allclose(mine / old.std, theirs / new.std, rtol=1e-5, atol=1e-7)


def check_equal(before: Drawn, after: Drawn, prefix: str = "") -> None:
    assert [prefix + name for name in before] == [*after]
    for (old, mine), (new, theirs) in zip(before.values(), after.values(), strict=True):
        assert replace(old, name=new.name, aliases=new.aliases) == new
        assert torch.equal(mine, theirs)


TRACED = pytest.mark.parametrize("traced", [False, True], ids=["by the tree", "by a run"])


@TRACED
@pytest.mark.parametrize("edit", EDITS)
@settings(max_examples=8)
@given(st.data())
def test_other_layers_keep_their_values(edit: str, traced: bool, data: st.DataObject) -> None:
    tree = data.draw(trees())
    changed = data.draw(EDITS[edit](tree))
    check_kept(drawn(model_of(tree), traced), drawn(model_of(changed), traced))


def test_uses_of_the_end_of_a_branch_are_a_reason() -> None:
    """A norm that ends a branch, and another layer later, is made smaller, and says so."""

    class Net(nn.Module):
        def __init__(self, again: bool) -> None:
            super().__init__()
            self.line, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
            self.last, self.again = nn.Linear(WIDTH, WIDTH), again

        def forward(self, x: Tensor) -> Any:
            x = self.last(x + self.norm(self.line(x)))
            return self.norm(x) if self.again else x

    x = torch.zeros(2, WIDTH)
    once, twice = (fanin.plan(Net(again), x)["norm.weight"] for again in (False, True))
    assert once.initializer != twice.initializer
    assert once.why.startswith("ends a residual branch, 1 of 1 on its stream")
    assert twice.why.startswith("ends a residual branch, used 2 times, 1 of 1 on its stream")


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.ReLU()], ids=["dropout", "relu"])
def test_the_size_of_the_stream_is_a_reason(layer: nn.Module) -> None:
    """What stands before a residual branch changes its last weight's scale, and says so."""

    def net(*before: nn.Module) -> nn.Module:
        branch = OrderedDict(norm=nn.LayerNorm(WIDTH), last=nn.Linear(WIDTH, WIDTH))
        return nn.Sequential(
            OrderedDict(
                words=nn.Embedding(11, WIDTH), before=nn.Sequential(*before), block=Residual(branch)
            )
        )

    check_kept(drawn(net(), True), drawn(net(layer), True))


@TRACED
@pytest.mark.parametrize("wrapper", WRAPPERS)
@settings(max_examples=3)
@given(st.data())
def test_wrappers_change_nothing(wrapper: str, traced: bool, data: st.DataObject) -> None:
    tree = data.draw(trees())
    path = data.draw(st.sampled_from([(), *tree.places()]))
    wrapped = tree.changed(path, lambda found: replace(found, wrapper=wrapper))
    check_equal(drawn(model_of(tree), traced), drawn(model_of(wrapped), traced))


@TRACED
@settings(max_examples=4)
@given(trees())
def test_names_alone_decide_under_a_container(traced: bool, tree: Tree) -> None:
    """Renamed to what they are without it, or alone with its name as prefix: the same values."""
    alone, held = drawn(model_of(tree), traced), drawn(Held(model_of(tree)), traced)
    rename = {f"net.{name}": name for name in alone}
    check_equal(alone, drawn(Held(model_of(tree)), traced, rename=rename))
    check_equal(drawn(model_of(tree), traced, prefix="net"), held, prefix="net.")
