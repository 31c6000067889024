"""Graphs: sums over neighbours are foreseen, however they are written.

A deep network over one graph of 150 nodes with some 30 neighbours each, three ways round: what
feeds its last layer is compared with the plan (one seed, 64 units; within a factor of two), and
its output starts near one.
"""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import fanin

NODES = 150
ADJACENCY = (torch.rand(NODES, NODES, generator=torch.Generator().manual_seed(0)) < 0.2).float()
TO, FROM = torch.where(ADJACENCY > 0)
DEGREE = torch.bincount(TO, minlength=NODES).clamp(min=1)
SPARSE = (ADJACENCY / DEGREE[:, None]).to_sparse()

Sum = Callable[..., Tensor]


def to_rows(h: Tensor) -> Tensor:
    return TO[:, None].expand(-1, h.shape[1])


def symmetric(h: Tensor, edges: Tensor) -> Tensor:
    size = torch.bincount(edges[0], minlength=NODES).clamp(min=1).float().pow(-0.5)
    weights = (size[edges[0]] * size[edges[1]])[:, None]
    return torch.zeros_like(h).index_add(0, edges[0], h[edges[1]] * weights)


# How neighbours are summed, and what else the model is given.
SUMS: dict[str, tuple[Sum, tuple[Tensor, ...]]] = {
    "index_add": (lambda h: torch.zeros_like(h).index_add(0, TO, h[FROM]), ()),
    "scatter_add": (lambda h: torch.zeros_like(h).scatter_add(0, to_rows(h), h[FROM]), ()),
    "index_put": (
        lambda h: torch.zeros_like(h).index_put((TO,), h[FROM], accumulate=True),
        (),
    ),
    "scatter mean": (
        lambda h: torch.zeros_like(h).scatter_reduce(
            0, to_rows(h), h[FROM], "mean", include_self=False
        ),
        (),
    ),
    "over the degree": (
        lambda h: torch.zeros_like(h).index_add(0, TO, h[FROM]) / DEGREE[:, None],
        (),
    ),
    "adjacency": (lambda h: ADJACENCY @ h, ()),
    "einsum": (lambda h: torch.einsum("ij,jf->if", ADJACENCY, h), ()),
    "sparse": (lambda h: torch.sparse.mm(SPARSE, h), ()),
    "edges given": (symmetric, (torch.stack([TO, FROM]),)),
    "adjacency given": (lambda h, a: a @ h, (ADJACENCY,)),
    "adjacency given, over its degree": (
        lambda h, a: (a @ h) / a.sum(1, keepdim=True).clamp(min=1),
        (ADJACENCY,),
    ),
    "adjacency given, sparse": (lambda h, a: torch.sparse.mm(a, h), (SPARSE,)),
    "of columns": (lambda h: (h.T @ (ADJACENCY / DEGREE[:, None]).T).T, ()),
    "of columns, given": (lambda h, a: torch.einsum("jf,ij->if", h, a), (ADJACENCY,)),
    "adjacency given, normalized": (lambda h, a: a / a.sum(1, keepdim=True) @ h, (ADJACENCY,)),
}

Layer = Callable[[nn.Module, Tensor, Callable[[Tensor], Tensor]], Tensor]
LAYERS: dict[str, Layer] = {
    "residual": lambda layer, h, total: h + total(torch.relu(layer(h))),
    "chain": lambda layer, h, total: torch.relu(total(layer(h))),
    "summed first": lambda layer, h, total: torch.relu(layer(total(h))),
    "with itself": lambda layer, h, total: torch.relu(layer(h + total(h))),
}


class Network(nn.Module):
    def __init__(self, total: Sum, layer: Layer) -> None:
        super().__init__()
        self.total, self.layer = total, layer
        self.first, self.last = nn.Linear(16, 64), nn.Linear(64, 4)
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(5))
        self.fed = torch.zeros(())

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        for one in self.layers:
            h = self.layer(one, h, lambda values: self.total(values, *given))
        self.fed = h
        return self.last(h)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("total", SUMS)
def test_sums_over_neighbours(total: str, layer: str) -> None:
    torch.manual_seed(0)
    summed, given = SUMS[total]
    model, inputs = Network(summed, LAYERS[layer]), (torch.randn(NODES, 16), *given)
    plan = fanin.initialize(model, 0, inputs)
    output = model(*inputs)
    found = re.search(r"second moment ([0-9.e+-]+)", plan["last.weight"].why)
    assert found is not None
    assert 0.5 < float(found[1]) / float(model.fed.detach().square().mean()) < 2
    assert 0.2 < float(output.detach().std()) < 5
