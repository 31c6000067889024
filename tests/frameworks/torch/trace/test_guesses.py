"""Models that read values in forward: the run has none, and the plan does not end for it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

import fanin
from fanin.errors import FaninError
from fanin.frameworks.torch import trace
from fanin.graph import Graph

X = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A layer, experts that a router may choose, and a head; the middle is the test's."""

    def __init__(self, middle: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.router, self.head = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 3)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
        self.middle = middle

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self, self.first(x)))


Middle = Callable[[Net, Tensor], Tensor]


def traced(middle: Middle, inputs: Tensor = X) -> Graph:
    model = Net(middle)
    model(inputs)  # it runs
    return trace(model, inputs)


def experts_seen(graph: Graph) -> bool:
    return not any("experts" in name or "router" in name for name in graph.unused)


def by_counts(net: Net, x: Tensor) -> Tensor:
    chosen = net.router(x).argmax(-1)
    order = chosen.argsort()
    parts = x[order].split(torch.bincount(chosen, minlength=4).tolist())
    mixed = torch.cat([expert(part) for expert, part in zip(net.experts, parts, strict=True)])
    return torch.zeros_like(x).index_add(0, order, mixed)


def by_counts_of_numpy(net: Net, x: Tensor) -> Tensor:
    chosen = net.router(x).argmax(-1)
    rows, start, outs = x[chosen.argsort()], 0, []
    for expert, end in enumerate(chosen.bincount(minlength=4).cpu().numpy().cumsum()):
        if start != end:
            outs.append(net.experts[expert](rows[start:end]))
        start = end
    return torch.cat(outs)


def by_slices(net: Net, x: Tensor) -> Tensor:
    chosen = net.router(x).argmax(-1)
    sizes, rows, start, outs = F.one_hot(chosen, 4).sum(0), x[chosen.argsort()], 0, []
    for expert in range(4):
        count = int(sizes[expert])
        outs.append(net.experts[expert](rows[start : start + count]))
        start += count
    return torch.cat(outs)


def by_places(net: Net, x: Tensor) -> Tensor:
    weights, chosen = net.router(x).softmax(-1).topk(2, -1)
    out = torch.zeros_like(x)
    for expert in range(4):
        rows, place = torch.where(chosen == expert)
        if rows.numel() == 0:
            continue
        out[rows] += weights[rows, place, None] * net.experts[expert](x[rows])
    return out


def by_masks(net: Net, x: Tensor) -> Tensor:
    chosen = net.router(x).argmax(-1)
    out = torch.zeros_like(x)
    for expert in range(4):
        mask = chosen == expert
        if mask.any():
            out[mask] = net.experts[expert](x[mask])
    return out


def by_thresholds(net: Net, x: Tensor) -> Tensor:
    gates, out = net.router(x).softmax(-1), x
    for expert in range(4):
        mask = gates[:, expert] > 0.6
        if mask.sum() > 0:
            part = torch.zeros_like(x)
            part[mask] = net.experts[expert](x[mask])
            out = out + part
    return out


def by_sampling(net: Net, x: Tensor) -> Tensor:
    chosen = torch.multinomial(net.router(x).softmax(-1), 1).squeeze(-1)
    out = torch.zeros_like(x)
    for expert in chosen.unique():
        out[chosen == expert] = net.experts[int(expert)](x[chosen == expert])
    return out


@pytest.mark.parametrize(
    "middle",
    [
        *(by_counts, by_counts_of_numpy, by_slices, by_places, by_masks, by_thresholds),
        by_sampling,
    ],
)
@pytest.mark.parametrize("tokens", [2, 6])
def test_every_expert_of_a_router_is_seen(middle: Middle, tokens: int) -> None:
    graph = traced(middle, X[:tokens])
    if tokens == 6 or middle not in (by_sampling, by_counts_of_numpy):  # these leave experts out
        assert experts_seen(graph)
    assert graph.nodes[-1].shape == (tokens, 3)


def test_sizes_of_groups_add_up_to_equal_parts() -> None:
    shapes = [n.shape for n in traced(by_counts).nodes if n.module.startswith("experts")]
    assert [shape[0] for shape in shapes[::2]] == [2, 2, 1, 1]


def refuses(condition: Callable[[Tensor], object]) -> Middle:
    def middle(net: Net, x: Tensor) -> Tensor:
        if condition(x):
            raise ValueError("outside of the domain")
        return x

    return middle


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: x.sigmoid().min() < 0 or x.sigmoid().max() > 1,
        lambda x: torch.isnan(x).any() or not torch.isfinite(x).all(),
        lambda x: len(torch.isnan(x).nonzero()) > 0,
        lambda x: x[x > 1e6].numel() > 0,
        lambda x: x.min().item() < -50,
        lambda x: float(x.detach().abs().sum()) > 1e9,
        lambda x: (x**2).mean() < 1e-12,
        lambda x: torch.equal(x, torch.zeros_like(x)),
        lambda x: not torch.allclose(x, x.clone()),
        lambda x: (x.detach().numpy() > 1e6).any(),
        lambda x: x.abs().max() < 1e-9 or x.abs().min() > 50,  # two questions at one place
    ],
)
def test_checks_of_a_domain_pass(condition: Callable[[Tensor], object]) -> None:
    graph = traced(refuses(condition))
    assert [node.op for node in graph.nodes if node.op == "linear"] == ["linear"] * 2


def test_where_the_guess_raises_the_other_answer_is_tried() -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        for scale in (1.0, 2.0):  # asked again and again at one place
            if (x * scale).max() > 2e-3:  # a real run with these weights stays below
                raise ValueError("too large")
        return x

    model = Net(middle)
    nn.init.zeros_(model.first.weight)
    nn.init.zeros_(model.first.bias)
    model(X)
    assert trace(model, X).guessed == ("",)


def halved(net: Net, x: Tensor) -> Tensor:
    while x.norm() > 1e-3:
        x = x * 0.5
    return x


def fixed_point(net: Net, x: Tensor) -> Tensor:
    z, change = torch.zeros_like(x), 1.0
    while change > 1e-3:
        before, z = z, (0.1 * net.experts[0](z) + x).tanh()
        change = (z - before).norm().item()
    return z


def counted(net: Net, x: Tensor) -> Tensor:
    done = torch.zeros(len(x), dtype=torch.bool)
    while not done.all():
        x = x + net.experts[0](x)
        done = done | (x.abs().sum(-1) > 1e-3)
    return x


@pytest.mark.parametrize("middle", [halved, fixed_point, counted])
def test_loops_that_wait_for_a_value_end(middle: Middle) -> None:
    assert traced(middle).guessed == ("",)


def test_a_loop_that_the_guess_never_ends_is_left() -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        steps = 0
        while net.router(x).mean() < 5 and steps < 10**6:  # every output is a standard normal one
            x, steps = x * 2, steps + 1
        return x

    model = Net(middle)
    nn.init.ones_(model.router.weight)
    assert trace(model, torch.ones(6, 8)).guessed == ("",)


def test_numbers_are_those_of_standard_normal_layers() -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        rows = x.detach().numpy()
        return x * float(np.sqrt((rows**2).mean())) * x.std().item() * float(f"{x.var():.6f}")

    numbers = [
        float(node.label.removeprefix("mul "))
        for node in traced(middle, X.repeat(100, 1)).nodes
        if node.label.startswith("mul ")
    ]
    # 4800 values: a standard deviation of 1 % for the first two, 2 % for the variance.
    np.testing.assert_allclose(numbers, 1.0, atol=0.1)


def test_writes_through_views_are_followed() -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        kept = torch.zeros(2, *x.shape)
        kept[0] = x
        kept[1].copy_(x.abs() + 1)
        if kept[0].abs().sum() == 0 or kept[1].min() < 1:
            raise ValueError("nothing was written")
        return kept.sum(0)

    assert traced(middle).guessed == ("",)


def test_the_plan_says_who_asked() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / x.abs().max().item()

    (note,) = fanin.plan(nn.Sequential(nn.Linear(8, 8), Scaled(), nn.Linear(8, 3)), X).notes
    assert note.startswith("values that the run does not have were asked for by 1; ")
    assert fanin.plan(nn.Linear(8, 3), X).notes == ()


class Wary(nn.Module):
    """Goes on otherwise with fake tensors, as transformers does with masks."""

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(x, torch._subclasses.FakeTensor):
            raise ValueError("not with me")
        return x.relu()


def test_a_model_that_asks_for_fake_tensors_sees_none() -> None:
    model, before = nn.Sequential(nn.Linear(8, 8), Wary(), nn.Linear(8, 3)), torch._subclasses
    kind = before.FakeTensor
    assert [node.label for node in trace(model, X).nodes if node.op == "pointwise"] == ["relu"]
    assert before.FakeTensor is kind
    with torch._subclasses.FakeTensorMode(), pytest.raises(ValueError, match="not with me"):
        Wary()(torch.zeros(2))


class Addressed(nn.Module):
    """Needs memory: no fake tensor has any."""

    def forward(self, x: Tensor) -> Tensor:
        return x.new_tensor(list(x.detach().untyped_storage()[:4])).sum() + x


def test_a_model_that_runs_and_has_no_graph_is_planned_by_its_modules() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), Addressed(), nn.Linear(8, 3))
    model(X)
    before = [one.detach().clone() for one in model.parameters()]
    plan = fanin.plan(model, X)
    assert all(map(torch.equal, before, model.parameters()))
    (note,) = plan.notes
    assert note.startswith("made without a graph: 2 (Addressed) asks for what a run without values")
    assert "the module tree decides" in note
    assert plan.rows == fanin.plan(model).rows
    with pytest.raises(FaninError, match=r"2 \(Addressed\) asks for what a run without values"):
        fanin.plan(model, X, recipe="fixup")


def test_a_model_that_does_not_run_is_refused_though_it_read_values() -> None:
    def middle(net: Net, x: Tensor) -> Tensor:
        return net.router(net.router(x)) if x.max() > -1e9 else x

    message = r"^router \(Linear\) does not run on these inputs: RuntimeError: .*mat1 and mat2"
    for call in (fanin.plan, fanin.initialize, fanin.check):
        model = Net(middle)
        arguments = (0, X) if call is fanin.initialize else (X,)
        with pytest.raises(FaninError, match=message):
            call(model, *arguments)


def test_a_plan_is_the_same_for_other_weights_and_empty_ones() -> None:
    def build() -> Net:
        return Net(by_counts)

    expected = fanin.plan(build(), X)
    torch.manual_seed(7)
    assert fanin.plan(build(), X) == expected
    with fanin.empty_weights():
        model = build()
    assert fanin.plan(model, X) == expected


def test_steps_that_errors_decide_leave_the_head_its_size() -> None:
    """An integrator with step control: its sums cancel out, and its step is read from values."""

    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, y: Tensor) -> Tensor:
            t, step = 0.0, torch.tensor(0.1)
            while t < 1:
                slopes = [self.net(y).tanh()]
                slopes.append(self.net(y + step * slopes[0]).tanh())
                error = (step * (slopes[1] - slopes[0])).abs().max()
                step = torch.minimum(step * 0.9 / (error + 1e-3).sqrt(), torch.tensor(0.5))
                middle, end = y + step / 2 * slopes[0], y + step * slopes[1]
                y = 16 * (middle - y) - 8 * (end - y) + end  # as interpolations are written
                t += step.item()
            return self.head(y)

    model = Field()
    fanin.initialize(model, 0, X)
    assert 0.1 < float(model(X).detach().square().mean().sqrt()) < 10
