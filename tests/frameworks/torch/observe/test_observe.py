"""Observations of real runs: sizes and gradients against hooks by hand, and no marks."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.frameworks.torch import Observation, observe


def batch(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def by_hand(model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> dict[str, Any]:
    """RMS and gradient norm of what every module returns, by path, in order of its calls."""
    found: dict[str, list[tuple[float, float]]] = {}

    def look(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            output.retain_grad()
            kept.append((path, output))

        return hook

    kept: list[tuple[str, Tensor]] = []
    handles = [one.register_forward_hook(look(path)) for path, one in model.named_modules()]
    loss(model(**inputs) if isinstance(inputs, dict) else model(inputs)).backward()
    for path, output in kept:
        assert output.grad is not None
        rms = float(output.detach().double().square().mean()) ** 0.5
        found.setdefault(path, []).append((rms, float(output.grad.double().norm())))
    for handle in handles:
        handle.remove()
    model.zero_grad()
    return found


def last_nodes(seen: Observation, path: str) -> list[tuple[float | None, float | None]]:
    """RMS and gradient of the last node of every stretch that a module runs for."""
    ends = [
        at
        for at, node in enumerate(seen.nodes)
        if node.module == path and (at + 1 == len(seen.nodes) or seen.nodes[at + 1].module != path)
    ]
    return [(seen.rms[at], seen.gradients[at]) for at in ends]


def assert_same(seen: Observation, expected: dict[str, Any], paths: list[str]) -> None:
    for path in paths:
        found = last_nodes(seen, path)
        assert len(found) == len(expected[path]), path
        for one, other in zip(found, expected[path], strict=True):
            assert one == pytest.approx(other, rel=1e-5), path


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.line = nn.Linear(8, 8)
        self.act = nn.Tanh()

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x + scale * self.act(self.line(self.norm(x)))


def squared(output: Tensor) -> Tensor:
    return output.square().sum()


def test_a_small_network() -> None:
    model, x = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)), batch(5, 8)
    seen = observe(model, x, squared)
    assert_same(seen, by_hand(model, x, squared), ["0", "1", "2"])
    assert [node.op for node in seen.nodes if node.param] == ["linear", "shift"] * 2
    assert seen.nodes[0].op == "input"
    assert torch.equal(seen.output, model(x))
    assert len(seen.rms) == len(seen.gradients) == len(seen.nodes)


@pytest.mark.parametrize("training", [True, False])
def test_residual_branches_and_batch_norm(training: bool) -> None:
    model, x = nn.Sequential(Residual(), Residual()).train(training), batch(6, 8)
    seen = observe(model, x, squared)
    expected = by_hand(model, x, squared)
    assert_same(seen, expected, [f"{n}.{part}" for n in range(2) for part in ("norm", "line")])
    assert_same(seen, expected, ["0.act", "1.act"])
    assert last_nodes(seen, "1")[-1] == pytest.approx(expected["1"][0], rel=1e-5)  # the sum
    if training:
        assert last_nodes(seen, "0.norm")[0][0] == pytest.approx(1, abs=1e-3)


def test_a_module_that_runs_three_times() -> None:
    class Reused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line, self.act = nn.Linear(8, 8), nn.Tanh()

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = self.act(self.line(x))
            return x

    model, x = Reused(), batch(5, 8)
    assert_same(observe(model, x, squared), by_hand(model, x, squared), ["line", "act"])


def test_inputs_by_name() -> None:
    model, x = Residual(), batch(6, 8)
    inputs = {"x": x, "scale": 0.5}
    expected = by_hand(model, inputs, squared)
    assert_same(observe(model, inputs, squared), expected, ["norm", "line", "act"])
    names = {node.param.name for node in observe(model, inputs).nodes if node.param}
    assert names == {"norm.weight", "norm.bias", "line.weight", "line.bias"}
    renamed = observe(model, inputs, rename={"line.weight": "w"})
    assert "w" in {node.param.name for node in renamed.nodes if node.param}


def test_without_a_loss_there_are_no_gradients() -> None:
    model, x = nn.Linear(8, 3), batch(5, 8)
    seen = observe(model, x)
    assert set(seen.gradients) == {None}
    assert seen.rms[-1] == pytest.approx(float(model(x).detach().square().mean()) ** 0.5)
    seen.output.sum().backward()  # the graph is the caller's
    assert model.weight.grad is not None


def test_an_observation_leaves_no_marks() -> None:
    model = nn.Sequential(Residual(), nn.Dropout(0.5), nn.Linear(8, 8))
    model[0].norm.eval()
    model[0].line.weight.requires_grad_(False)
    model[2].weight.grad = kept = torch.ones(8, 8)
    x = batch(6, 8).requires_grad_()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attributes = {one: set(vars(one)) for one in model.modules()}
    modes = [one.training for one in model.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first = observe(model, x, squared)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    second = observe(model, x, squared)  # from the same states: the same masks
    assert (first.rms, first.gradients) == (second.rms, second.gradients)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {one: set(vars(one)) for one in model.modules()} == attributes
    assert [one.training for one in model.modules()] == modes
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    assert not nn.modules.module._global_forward_hooks
    assert model[2].weight.grad is kept
    assert torch.equal(kept, torch.ones(8, 8))
    assert x.grad is None
    assert all(p.grad is None for p in model.parameters() if p is not model[2].weight)
    assert not x._backward_hooks


def test_running_statistics_do_not_move() -> None:
    model, x = Residual(), batch(6, 8) + 3
    observe(model, x, squared)
    assert torch.equal(model.norm.running_mean, torch.zeros(8))
    assert model.norm.num_batches_tracked == 0


def test_an_error_of_the_model_leaves_no_marks() -> None:
    model = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(7, 8))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        observe(model, batch(5, 8))
    assert model[0].num_batches_tracked == 0
    assert not nn.modules.module._global_forward_pre_hooks
    assert torch.ones(2).sum() == 2


def test_a_sparse_parameter_is_looked_at() -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixing, self.head = nn.Parameter(torch.eye(8).to_sparse()), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head((self.mixing @ x.T).T)

    report = fanin.check(Mixing(), torch.randn(16, 8))
    assert not [one for one in report.findings if one.level == "error"]


@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc], ids=str)
def test_a_sparse_input_is_looked_at_as_a_dense_one(layout: torch.layout) -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(16, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            return self.head(edges @ torch.relu(self.inner(x)))

    model, x = Graph(), batch(12, 16)
    edges = (batch(12, 12) > 0.5) / 4.0
    stored = edges.to_sparse(layout=layout)
    seen, expected = (
        observe(model, (x, given), lambda output: output.square().mean())
        for given in (stored, edges)
    )
    assert [node.op for node in seen.nodes] == [node.op for node in expected.nodes]
    for sizes, others in ((seen.rms, expected.rms), (seen.gradients, expected.gradients)):
        for size, other in zip(sizes, others, strict=True):
            assert size is other is None or size == pytest.approx(other, rel=1e-5)
    assert fanin.check(model, (x, stored)).ok()
    plans = [fanin.plan(model, (x, given)) for given in (stored, edges)]
    assert [*plans[0].values()] == [*plans[1].values()]
    fanin.initialize(model, 0, (x, stored), keep="inner.*")  # measured with what stays
