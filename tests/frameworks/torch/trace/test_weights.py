"""Parameters in a traced graph: roles of their axes, functions they go through, blocks."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from fanin.frameworks.torch import trace
from fanin.graph import Graph, Use


class Run(nn.Module):
    """A function as a module, with parameters p0, p1, ... of these shapes."""

    def __init__(self, function: Callable[..., object], *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        for index, shape in enumerate(shapes):
            self.register_parameter(f"p{index}", nn.Parameter(torch.ones(shape)))

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*inputs, *self.parameters(recurse=False))


def use(graph: Graph, name: str = "p0") -> Use:
    (found,) = [node.param for node in graph.nodes if node.param and node.param.name == name]
    return found


X = torch.zeros(2, 5, 16)

# How a parameter of a shape is used, and the roles of its axes.
ROLES: dict[str, tuple[Callable[..., object], tuple[int, ...], str]] = {
    "stored out in": (lambda x, w: x @ w.T, (8, 16), "out in"),
    "stored in out": (lambda x, w: x @ w, (16, 8), "in out"),
    "from the left": (lambda x, w: w @ x, (7, 5), "out in"),
    "one vector": (lambda x, w: x @ w, (16,), "in"),
    "padded": (lambda x, w: x @ w[None].expand(2, -1, -1), (16, 8), "in out"),
    "one of a stack": (lambda x, w: x @ w[1], (3, 16, 8), "stack in out"),
    "all of a stack": (
        lambda x, w: sum(x @ one for one in w.unbind()),
        (3, 16, 8),
        "stack in out",
    ),
    "experts": (
        lambda x, w: torch.bmm(x.expand(3, 2, 5, 16).reshape(3, 10, 16), w),
        (3, 16, 8),
        "stack in out",
    ),
    "heads": (lambda x, w: torch.einsum("btd,dhk->bhtk", x, w), (16, 2, 4), "in out out"),
    "heads first": (lambda x, w: torch.einsum("btd,hdk->bhtk", x, w), (2, 16, 4), "out in out"),
    "heads in": (
        lambda x, w: torch.einsum("bthk,hkd->btd", x.unflatten(-1, (4, 4)), w),
        (4, 4, 8),
        "in in out",
    ),
    "flattened": (lambda x, w: x @ w.reshape(16, -1), (4, 4, 8), "in in out"),
    "split and joined": (
        lambda x, w: x @ w.unflatten(0, (4, 4)).flatten(0, 1),
        (16, 8),
        "in out",
    ),
    "by position": (
        lambda x, w: torch.einsum("btd,tdo->bto", x, w),
        (5, 16, 8),
        "stack in out",
    ),
    "grouped by hand": (
        lambda x, w: torch.einsum("btgi,gio->btgo", x.unflatten(-1, (4, 4)), w),
        (4, 4, 8),
        "stack in out",
    ),
    "convolution": (lambda x, w: F.conv1d(x.mT, w), (6, 16, 3), "out in kernel"),
    "reshaped kernel": (
        lambda x, w: F.conv1d(x.mT, w.permute(2, 1, 0)),
        (3, 16, 6),
        "kernel in out",
    ),
    "squeezed kernel": (
        lambda x, w: F.conv1d(x.mT, w.squeeze(1).unsqueeze(1), groups=16),
        (16, 1, 3),
        "out in kernel",
    ),
    "cast": (lambda x, w: x.bfloat16() @ w.bfloat16(), (16, 8), "in out"),
}


@pytest.mark.parametrize("case", ROLES)
def test_roles_of_stored_axes(case: str) -> None:
    function, shape, roles = ROLES[case]
    graph = trace(Run(function, shape), X)
    uses = {node.param for node in graph.nodes if node.param}
    assert {str(one.axes) for one in uses} == {roles}, str(graph)
    assert {(one.fans, one.through) for one in uses} == {(None, ())}
    linear = {node.op for node in graph.nodes if node.param}
    assert linear == {"linear"}


def test_an_axis_with_two_roles_says_its_fans() -> None:
    def heads(x: Tensor, weight: Tensor) -> Tensor:
        return torch.einsum("bthk,hkd->bthd", x.unflatten(-1, (4, 4)), weight.unflatten(0, (4, 4)))

    found = use(trace(Run(heads, (16, 8)), X))
    assert str(found.axes) == "in out"
    assert found.fans == (4, 8)


def test_lost_axes_say_their_fans() -> None:
    found = use(trace(Run(lambda x, w: x @ w.diagonal(dim1=0, dim2=1), (16, 16, 16)), X))
    assert found.fans == (16, 16)
    part = use(trace(Run(lambda x, w: x @ w[:, :4], (16, 8)), X))
    assert (str(part.axes), part.fans) == ("in out", (16, 4))


CONVOLUTIONS = {
    "grouped": (nn.Conv1d(16, 8, 3, groups=4, stride=2), "out in kernel", 4, False, 2),
    "depthwise": (nn.Conv1d(16, 16, 3, groups=16), "out in kernel", 16, False, 1),
    "transposed": (nn.ConvTranspose1d(16, 8, 4, stride=2), "in out kernel", 1, True, 2),
    "grouped transposed": (
        nn.ConvTranspose1d(16, 8, 4, stride=4, groups=2),
        "in out kernel",
        2,
        True,
        4,
    ),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case: str) -> None:
    module, roles, groups, transposed, stride = CONVOLUTIONS[case]
    axes = use(trace(module, X.mT), "weight").axes
    assert str(axes) == roles
    assert (axes.groups, axes.transposed, axes.stride) == (groups, transposed, stride)


def test_unequal_strides_are_kept() -> None:
    graph = trace(nn.Conv2d(3, 4, 3, stride=(1, 2)), torch.zeros(1, 3, 8, 8))
    assert use(graph, "weight").axes.stride == (1, 2)


THROUGH = {
    "exp": (lambda x, p: x * p.exp(), ("exp",)),
    "two": (lambda x, p: x * -p.exp(), ("exp", "neg")),
    "offset": (lambda x, p: x * (1.0 + p), ("add 1",)),
    "softplus": (lambda x, p: x * F.softplus(p), ("softplus 1 20",)),
    "weight": (lambda x, p: x @ torch.tanh(p).diag(), ("tanh", "diag_embed")),
    "quotient": (lambda x, p: x / p, ("reciprocal",)),
    "cast": (lambda x, p: x * p.double().float(), ()),
}


@pytest.mark.parametrize("case", THROUGH)
def test_functions_of_parameters(case: str) -> None:
    function, names = THROUGH[case]
    assert use(trace(Run(function, (16,)), X)).through == names


def test_functions_that_do_the_same_say_so() -> None:
    """In the same order: of seven, the second alone does what the first does."""
    few, other = torch.arange(16.0), torch.arange(16.0) + 1
    half: Callable[[Tensor], Tensor] = lambda p: (p * few).tanh()  # noqa: E731
    functions: list[Callable[[Tensor], Tensor]] = [
        *(half, half, lambda p: (p * other).tanh(), lambda p: (p * few).tanh() * 2),
        *(lambda p: few * p.tanh(), lambda p: (p * few).tanh().T, lambda p: p * torch.eye(16)),
    ]

    def run(x: Tensor, *weights: Tensor) -> Tensor:
        for weight, function in zip(weights, functions, strict=True):
            x = F.linear(x, function(weight))
        return x

    graph = trace(Run(run, *[(16, 16)] * 7), X)
    first, second, *others = [use(graph, f"p{index}").function for index in range(7)]
    assert first is not None
    assert second is not None
    assert first.same == second.same is not None
    assert len({function.same for function in others if function} | {first.same}) == 6
    last = others[-1]
    assert last is not None
    assert last.same is None


def test_weight_norm_is_a_direction_and_a_scale() -> None:
    graph = trace(nn.utils.parametrizations.weight_norm(nn.Linear(16, 8)), X)
    found = [(node.op, node.param.name) for node in graph.nodes if node.param]
    assert found == [
        ("linear", "weight.original1"),
        ("scale", "weight.original0"),
        ("shift", "bias"),
    ]
    assert use(graph, "weight.original1").through == ("weight_norm",)


def test_spectral_norm_is_a_function_of_the_weight() -> None:
    graph = trace(nn.utils.parametrizations.spectral_norm(nn.Linear(16, 8)), X)
    assert [node.op for node in graph.nodes if node.op != "view"] == ["input", "linear", "shift"]
    assert use(graph, "weight").through == ("div",)


def test_standardized_weights_keep_their_axes() -> None:
    def standard(x: Tensor, weight: Tensor, gain: Tensor) -> Tensor:
        flat = weight.reshape(1, 6, -1)
        normal = F.batch_norm(flat, None, None, weight=gain.view(-1), training=True)
        return F.conv1d(x.mT, normal.reshape_as(weight))

    graph = trace(Run(standard, (6, 16, 3), (6, 1, 1)), X)
    assert [(node.op, node.param.name) for node in graph.nodes if node.param] == [
        ("linear", "p0"),
        ("scale", "p1"),
    ]
    assert (str(use(graph).axes), use(graph).through) == ("out in kernel", ("batch_norm",))


def test_joined_weights_are_several_nodes() -> None:
    graph = trace(
        Run(lambda x, q, k, b: F.linear(x, torch.cat([q, k]), torch.cat([b, torch.zeros(4)])),
            (8, 16), (4, 16), (8,)),
        X,
    )  # fmt: skip
    found = [(node.op, node.shape[-1]) for node in graph.nodes if node.op != "view"]
    expected = [("input", 16), ("linear", 8), ("linear", 4), ("concat", 12), ("shift", 12)]
    assert found == expected


BLOCKS: dict[str, tuple[Callable[..., object], tuple[int, ...], tuple[int, ...]]] = {
    "chunks": (lambda y: _use_apart(*y.chunk(3, -1)), (16, 16, 16), ()),
    "unequal": (lambda y: _use_apart(*y.split([16, 24, 8], -1)), (16, 24, 8), ()),
    "slices": (lambda y: _use_apart(y[..., :32], y[..., 32:]), (32, 16), ()),
    "unbound": (lambda y: _use_apart(*y.unflatten(-1, (3, 4, 4)).unbind(2)), (16, 16, 16), ()),
    "permuted": (
        lambda y: _use_apart(*y.reshape(2, 5, 3, 4, 4).permute(2, 0, 3, 1, 4)),
        (16, 16, 16),
        (),
    ),
    "in every head": (
        lambda y: _use_apart(*y.unflatten(-1, (4, 12)).chunk(3, -1)),
        (),
        (4, 4, 4),
    ),
    "every other": (lambda y: y[..., ::2].sigmoid() * y[..., 1::2], (), (1, 1)),
    "not all": (lambda y: y[..., :32], (), ()),
    "rotary halves": (
        lambda y: y * 2 + torch.cat([-y[..., 24:], y[..., :24]], -1),
        (),
        (),
    ),
    "whole": (lambda y: y.relu(), (), ()),
}


def _use_apart(*pieces: Tensor) -> Tensor:
    return math.prod((piece.sum() for piece in pieces), start=1.0)


@pytest.mark.parametrize("case", BLOCKS)
def test_packed_projections(case: str) -> None:
    function, blocks, period = BLOCKS[case]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.packed = nn.Linear(16, 48)

        def forward(self, x: Tensor) -> object:
            y = function(self.packed(x))
            return y

    found = use(trace(Net(), X), "packed.weight")
    assert (found.axes.blocks, found.period) == (blocks, period)


def test_parameters_multiplied_with_each_other() -> None:
    graph = trace(Run(lambda x, w, a, b: x @ (w + a @ b), (16, 8), (16, 2), (2, 8)), X)
    assert not graph.unused
    assert use(graph, "p2").axes.roles == ("in", "out")
