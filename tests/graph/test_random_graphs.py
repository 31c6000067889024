"""Random graphs: the second moments that a propagation foresees, against real runs.

Each is a random chain with joins, of width 256, drawn anew for each of 6 seeds and run on 128
standard normal inputs of 8 positions; every node is compared, in the mean over seeds. The band is
25 %. Behind a rectifier the mean over n units of a square is off by sqrt(5 / n), and each layer
adds as much: three layers and six draws leave at most sqrt(3 * 5 / 256 / 6) = 10 %. The band is
two and a half of that for the deepest graphs, a false alarm of 1 %, and four and more for those of
a layer or two, 6e-5; examples and seeds are fixed, so what passes once passes always.

What the theory does not claim is left out: a product counts as normal, so a linear map follows
each, and a mean over all positions is one over very many.
"""

import math
from collections.abc import Callable, Mapping

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from fanin.frameworks.torch import observe
from fanin.graph import Graph
from fanin.recipes._propagate import Propagation

WIDTH, BATCH, POSITIONS = 256, 128, 8
SEEDS, BAND = 6, 0.25

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "softplus": F.softplus,
    "sine": torch.sin,
    "halved": lambda x: x / 2,
    "dropout": lambda x: F.dropout(x, 0.3),
    "layer norm": lambda x: F.layer_norm(x, x.shape[-1:]),
    "rms norm": lambda x: F.rms_norm(x, x.shape[-1:]),
    "pool": lambda x: F.avg_pool1d(x.transpose(1, 2), 2).transpose(1, 2),
    "largest": lambda x: F.max_pool1d(x.transpose(1, 2), 2).transpose(1, 2),
    "concatenated": lambda x: torch.cat([x, torch.relu(x)], -1),
}
WINDOWS = ("pool", "largest")
JOINS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "multiply": torch.mul,
    "beside": lambda x, y: torch.cat([x, y], -1),
}


class Random(nn.Module):
    """Steps one behind another: a function, a new linear map, or a join with such a map's output.

    What joins is a map of the input of its own, so that both sides are independent.
    """

    def __init__(self, steps: list[str]) -> None:
        super().__init__()
        self.steps = steps
        self.maps = nn.ModuleList(
            nn.LazyLinear(WIDTH, bias=False) for name in steps if name not in FUNCTIONS
        )

    def forward(self, x: Tensor) -> Tensor:
        made, maps = x, iter(self.maps)
        for name in self.steps:
            if name in WINDOWS and made.shape[1] == 1:
                continue
            if name in FUNCTIONS:
                made = FUNCTIONS[name](made)
            elif name in JOINS:
                side = next(maps)(x[:, : made.shape[1]])
                made = JOINS[name](made, side) if made.shape == side.shape else side
            else:
                made = next(maps)(made)
        return made


def check_band(steps: list[str]) -> None:
    inputs = torch.randn(BATCH, POSITIONS, WIDTH, generator=torch.Generator().manual_seed(1000))
    model = Random(steps)
    model(inputs)  # which gives the maps their shapes
    graph = Graph(observe(model, inputs).nodes, ())
    shapes = {name: tuple(one.shape) for name, one in model.named_parameters()}
    run = Propagation(graph, shapes).run()
    seconds = torch.zeros(SEEDS, len(graph.nodes), dtype=torch.float64)
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        for name, one in model.named_parameters():
            nn.init.normal_(one, std=math.sqrt(run.weights[name].scale / one.shape[1]))
        seen = observe(model, inputs)
        seconds[seed] = torch.tensor([math.nan if one is None else one**2 for one in seen.rms])
    for at, mean in enumerate(seconds.mean(0).tolist()):
        signal = run.signals[at]
        assert signal is not None
        if not math.isnan(mean):  # of a view, whose values are those of what it shows
            assert abs(mean / signal.second - 1) < BAND, (graph.nodes[at], mean, signal.second)


STEPS = st.sampled_from([*FUNCTIONS, *JOINS, *["linear"] * 6])


@settings(max_examples=15)
@given(st.lists(STEPS, min_size=2, max_size=7))
def test_second_moments_are_within_the_band(steps: list[str]) -> None:
    mapped = {"multiply": ["multiply", "linear"]}
    check_band([step for name in steps for step in mapped.get(name, [name])])
