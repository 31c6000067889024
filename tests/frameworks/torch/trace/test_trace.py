"""Operations of torch as nodes of a graph."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from fanin.frameworks.torch import trace
from fanin.graph import Graph, Node


class Run(nn.Module):
    """A function as a module, with parameters p0, p1, ... of these shapes."""

    def __init__(self, function: Callable[..., object], *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        for index, shape in enumerate(shapes):
            self.register_parameter(f"p{index}", nn.Parameter(torch.ones(shape)))

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*inputs, *self.parameters(recurse=False))


def nodes(graph: Graph) -> list[Node]:
    """The nodes without views."""
    return [node for node in graph.nodes if node.op not in ("view", "input")]


def ops(graph: Graph) -> list[str]:
    return [node.op for node in nodes(graph)]


X = torch.zeros(2, 5, 16)
IMAGE = torch.zeros(2, 4, 8, 8)

# A module or a function, its inputs, and the operations in order.
CASES: dict[str, tuple[nn.Module, object, list[str]]] = {
    "linear": (nn.Linear(16, 8), X, ["linear", "shift"]),
    "no bias": (nn.Linear(16, 8, bias=False), X, ["linear"]),
    "bilinear": (
        nn.Bilinear(16, 16, 4),
        (torch.zeros(2, 16), torch.zeros(2, 16)),
        ["mul", "linear", "shift"],
    ),
    "convolution": (nn.Conv2d(4, 6, 3), IMAGE, ["linear", "shift"]),
    "batch norm": (nn.BatchNorm2d(4), IMAGE, ["normalize", "scale", "shift"]),
    "plain batch norm": (nn.BatchNorm2d(4, affine=False), IMAGE, ["normalize"]),
    "group norm": (nn.GroupNorm(2, 4), IMAGE, ["normalize", "scale", "shift"]),
    "instance norm": (nn.InstanceNorm2d(4), IMAGE, ["normalize"]),
    "layer norm": (nn.LayerNorm(16), X, ["normalize", "scale", "shift"]),
    "rms norm": (nn.RMSNorm(16), X, ["normalize", "scale"]),
    "embedding": (nn.Embedding(9, 4), torch.zeros(2, 5, dtype=torch.long), ["lookup"]),
    "bag": (nn.EmbeddingBag(9, 4), torch.zeros(2, 5, dtype=torch.long), ["lookup", "mean"]),
    "max pool": (nn.MaxPool2d(2), IMAGE, ["max"]),
    "mean pool": (nn.AvgPool2d(2), IMAGE, ["pool"]),
    "global pool": (nn.AdaptiveAvgPool2d(1), IMAGE, ["mean"]),
    "adaptive pool": (nn.AdaptiveAvgPool2d(2), IMAGE, ["pool"]),
    "dropout": (nn.Dropout(0.25), X, ["dropout"]),
    "prelu": (nn.PReLU(), X, ["parameter", "pointwise"]),
    "residual": (Run(lambda x: x + F.gelu(x)), X, ["pointwise", "add"]),
    "difference": (Run(lambda x: x - F.gelu(x)), X, ["pointwise", "add"]),
    "gate": (Run(lambda x: x * torch.sigmoid(x)), X, ["pointwise", "mul"]),
    "halves": (Run(lambda x: F.glu(x)), X, ["pointwise", "mul"]),
    "token": (
        Run(lambda x, p: torch.cat([p.expand(2, -1, -1), x], 1), (1, 1, 16)),
        X,
        ["parameter", "concat"],
    ),
    "positions": (Run(lambda x, p: x + p, (1, 5, 16)), X, ["shift"]),
    "layer scale": (Run(lambda x, p: x * p, (16,)), X, ["scale"]),
    "quotient": (Run(lambda x, p: x / p, (16,)), X, ["scale"]),
    "table": (Run(lambda p: p[torch.arange(3)], (9, 4)), (), ["lookup"]),
    "mask": (Run(lambda x: x.masked_fill(torch.ones(5, 16) > 0, -1e9)), X, []),
    "added mask": (Run(lambda x: x + torch.full((5, 16), -1e9).triu(1)), X, []),
    "multiplied mask": (Run(lambda x: x * torch.tensor([1.0, 0.0]).repeat(8)), X, []),
    "zero": (Run(lambda x: x + torch.zeros(16)), X, []),
    "ramp": (Run(lambda x: x + torch.arange(16)), X, ["buffer", "add"]),
    "waves": (Run(lambda x: x * torch.arange(16).cos()), X, ["buffer", "mul"]),
    "attention": (
        Run(lambda q: F.scaled_dot_product_attention(q, q, q)),
        torch.zeros(2, 4, 5, 8),
        ["attention"],
    ),
    "attention by hand": (
        Run(lambda x: ((x @ x.mT) / 4).softmax(-1) @ x),
        X,
        ["matmul", "pointwise", "softmax", "matmul"],
    ),
    "random depth": (
        Run(lambda x: x * torch.empty(2, 1, 1).bernoulli_(0.75).div_(0.75)),
        X,
        ["dropout"],
    ),
    "random depth by floor": (
        Run(lambda x: x.div(0.75) * (0.75 + torch.rand(2, 1, 1)).floor_()),
        X,
        ["pointwise", "dropout", "pointwise"],
    ),
    "noise": (Run(lambda x: x + torch.randn_like(x)), X, ["buffer", "add"]),
    "sum": (Run(lambda x: x.sum(1)), X, ["sum"]),
    "mean": (Run(lambda x: x.mean(1)), X, ["mean"]),
    "largest": (Run(lambda x: x.amax(1)), X, ["max"]),
    "lerp": (Run(lambda x, p: torch.lerp(x, x.roll(1, 1), p), (16,)), X, ["add", "scale", "add"]),
}


@pytest.mark.parametrize("case", CASES)
def test_operations_become_nodes(case: str) -> None:
    module, inputs, expected = CASES[case]
    graph = trace(module, inputs)
    assert ops(graph) == expected, str(graph)
    assert not graph.unused
    assert not [node.label for node in graph.nodes if "unknown" in node.label]


HAND_NORMS = {
    "llama": lambda x: x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6),
    "square root": lambda x: x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6),
    "variance": lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-6).sqrt(),
    "deviation": lambda x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6),
    "centred": lambda x: _over_root(x - x.mean(-1, keepdim=True)),
}


def _over_root(x: Tensor) -> Tensor:
    return x * (x.pow(2).mean(-1, keepdim=True) + 1e-6) ** -0.5


@pytest.mark.parametrize("norm", HAND_NORMS)
def test_norms_written_by_hand_are_norms(norm: str) -> None:
    graph = trace(Run(HAND_NORMS[norm]), X)
    assert ops(graph) == ["normalize"], str(graph)
    centred = norm in ("variance", "deviation", "centred")
    node = nodes(graph)[0]
    assert node.label == ("layer_norm" if centred else "rms_norm")
    assert (node.inputs, node.over) == ((0,), "features")


def test_unit_vectors_are_a_norm_and_a_factor() -> None:
    graph = trace(Run(lambda x: F.normalize(x, dim=-1)), X)
    assert ops(graph) == ["normalize", "pointwise"]
    fn = nodes(graph)[1].fn
    assert fn is not None
    assert fn(np.array([2.0])) == pytest.approx([0.5])  # of 16 elements, whose norm is 4


NUMBERS = {
    "dropout": (nn.Dropout(0.25), X, "rate", 0.25),
    "max pool": (nn.MaxPool2d(2), IMAGE, "count", 4),
    "mean pool": (nn.AvgPool2d((2, 4)), IMAGE, "count", 8),
    "global pool": (nn.AdaptiveAvgPool2d(1), IMAGE, "count", 64),
    "adaptive pool": (nn.AdaptiveAvgPool2d(2), IMAGE, "count", 16),
    "sum": (Run(lambda x: x.sum((1, 2))), X, "count", 80),
    "matmul": (Run(lambda x: x @ x.mT), X, "count", 16),
    "attention": (
        Run(lambda q: F.scaled_dot_product_attention(q, q, q)),
        torch.zeros(2, 4, 5, 16),
        "factor",
        0.25,
    ),
    "scaled attention": (
        Run(lambda q: F.scaled_dot_product_attention(q, q, q, scale=2.0)),
        torch.zeros(2, 4, 5, 16),
        "factor",
        2.0,
    ),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers(case: str) -> None:
    module, inputs, field, number = NUMBERS[case]
    assert [getattr(node, field) for node in nodes(trace(module, inputs))] == [number]


def test_a_buffer_has_its_mean_square() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("wave", torch.tensor([3.0, 4.0]).repeat(8))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.wave

    graph = trace(Net(), X)
    node = nodes(graph)[0]
    assert (node.op, node.label, node.square) == ("buffer", "wave", 12.5)
    assert nodes(trace(Net().to("meta"), X))[0].square is None


FUNCTIONS = {
    "relu": torch.relu,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
    "silu in place": lambda x: F.silu(x * 1.0, inplace=True),
    "hardswish": F.hardswish,
    "scaled": lambda x: 0.125 * x,
    "shifted": lambda x: 1.0 - x,
    "power": lambda x: x**3,
    "exponent": lambda x: 2.0**x,
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "constant tensor": lambda x: x / torch.tensor(3.0),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pointwise_functions_can_be_called(function: str) -> None:
    graph = trace(Run(FUNCTIONS[function]), X)
    points = np.linspace(-2, 2, 41)
    value = points.copy()
    for node in nodes(graph):
        assert node.op == "pointwise", str(graph)
        assert node.fn is not None
        value = node.fn(value)
    expected = FUNCTIONS[function](torch.tensor(points)).numpy()
    assert value.dtype == np.float64
    assert np.allclose(value, expected, rtol=1e-12)
    assert points[0] == -2  # arguments are not written


def test_functions_of_two_activations_broadcast() -> None:
    graph = trace(Run(lambda x: torch.maximum(x, x.roll(1))), X)
    fn = nodes(graph)[-1].fn
    assert fn is not None
    assert fn(np.array([[0.0], [2.0]]), np.array([[1.0, 3.0]])).tolist() == [[1, 3], [2, 3]]


def test_writes_into_parts_are_followed() -> None:
    def write(x: Tensor, weight: Tensor) -> Tensor:
        out = torch.zeros(2, 5, 16)
        out[:, 1:3] = x[:, 1:3] * 2
        out[:, 3:] += x[:, 3:]
        return out @ weight

    graph = trace(Run(write, (16, 3)), X)
    assert ops(graph) == ["pointwise", "add", "concat", "linear"], str(graph)


def test_changes_in_place_are_followed() -> None:
    def change(x: Tensor, weight: Tensor) -> Tensor:
        y = x @ weight
        before = y.mT
        y.relu_()
        y += 1.0
        return before @ x

    graph = trace(Run(change, (16, 16)), X)
    assert ops(graph) == ["linear", "pointwise", "pointwise", "matmul"], str(graph)
    assert graph.nodes[-1].op == "view"


def test_a_write_does_not_reach_its_neighbours() -> None:
    def change(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        y = x @ weight
        first, second = y[..., :8], y[..., 8:]
        first.relu_()
        return first, second

    graph = trace(Run(change, (16, 16)), X)
    first, second = (graph.nodes[out] for out in graph.outputs)
    assert (first.op, second.op, second.label) == ("pointwise", "view", "slice")


def test_recurrent_modules_are_one_node() -> None:
    graph = trace(nn.GRU(16, 8, num_layers=2), X)
    (node,) = nodes(graph)
    assert (node.op, node.label, node.shape) == ("recurrent", "gru", (2, 5, 8))
    blocks = {use.name: use.axes.blocks for use in node.uses}
    assert blocks["weight_ih_l0"] == blocks["weight_hh_l1"] == (8, 8, 8)
    assert blocks["bias_hh_l0"] == ()
    assert len(blocks) == 8
    assert not graph.unused


def test_cells_are_recurrent_too() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(16, 8)

        def forward(self, x: Tensor) -> Tensor:
            state = None
            for step in x.unbind(1):
                state = self.cell(step, state)
            return state[0]

    graph = trace(Loop(), X)
    assert ops(graph) == ["recurrent"] * 5
    assert {node.module for node in nodes(graph)} == {"cell"}


@pytest.mark.parametrize(
    ("noise", "square"),
    [
        (lambda x: 0.1 * torch.randn_like(x), 0.01),
        (lambda x: torch.randn_like(x) / 4 + 1, 1 + 1 / 16),
        (lambda x: torch.randn_like(x).mul_(3) - 2, 13.0),
        (lambda x: 2 * torch.rand_like(x) - 1, 1 / 3),
        (lambda x: (torch.rand_like(x) - 0.5) * 0.2, 0.04 / 12),
    ],
)
def test_noise_is_as_large_as_it_is_scaled_and_moved(
    noise: Callable[[Tensor], Tensor], square: float
) -> None:
    graph = trace(Run(lambda x: x + noise(x)), (X,))
    (made,) = [node.square for node in graph.nodes if node.op == "buffer"]
    assert made == pytest.approx(square)
    torch.manual_seed(0)
    assert float(noise(torch.zeros(1 << 14)).square().mean()) == pytest.approx(square, rel=0.05)
