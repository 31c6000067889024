"""Traces of whole models: inputs and outputs, what is left as it was, and refusals."""

import random
from collections import UserDict
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from fanin.errors import FaninError
from fanin.frameworks.torch import trace

X = torch.zeros(2, 5, 16)


class Net(nn.Module):
    """Takes inputs of every form."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: Tensor, pair: tuple[Tensor, Tensor] | None = None, scale: float = 1.0):
        y = self.layer(x) * scale
        return y if pair is None else (y + pair[0], {"second": y + pair[1]})


@pytest.mark.parametrize(
    ("inputs", "count"),
    [
        (X, 1),
        ((X,), 1),
        ((X, (X, X.clone())), 2),  # the same tensor is the same input
        ({"x": X}, 1),
        (UserDict(x=X), 1),
        ({"x": X, "pair": [X.clone(), X.clone()], "scale": 2.0}, 3),
    ],
)
def test_inputs_of_every_form(inputs: object, count: int) -> None:
    graph = trace(Net(), inputs)
    assert sum(node.op == "input" for node in graph.nodes) == count
    assert not graph.unused


def test_outputs_of_every_form() -> None:
    @dataclass
    class Output:
        logits: Tensor
        count: int
        more: list[dict[str, Tensor]]

    class Wrapped(Net):
        def forward(self, x: Tensor) -> Output:
            y = self.layer(x)
            return Output(y, 3, [{"again": y, "square": y * y, "index": y.argmax(-1)}])

    graph = trace(Wrapped(), X)
    assert [graph.nodes[out].op for out in graph.outputs] == ["view", "mul"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_devices_and_types_do_not_matter(device: str, dtype: torch.dtype) -> None:
    model = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    expected = str(trace(model, X))
    assert str(trace(model.to(device, dtype), X.to(dtype))) == expected
    assert str(trace(model, X.to(device, dtype))) == expected


class Stateful(nn.Module):
    """Does to itself whatever a forward may do."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(16)
        self.layer = nn.Linear(16, 16)
        self.register_buffer("steps", torch.zeros(()))
        self.plain = torch.ones(16)
        self.history: list[Tensor] = []
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(self.norm(x.flatten(0, 1))) * self.plain + random.random()
        self.steps += 1
        self.plain.add_(1)
        self.history.append(x)
        self.last = x
        torch.rand(3), np.random.rand(3)
        if self.fails:
            raise RuntimeError("no")
        return F.dropout(x, 0.5, self.training)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_as_it_was(fails: bool, training: bool) -> None:
    model = Stateful().train(training)
    model.norm.eval()
    model.fails = fails
    model.layer.bias.requires_grad_(False)
    model.layer.weight.grad = torch.ones(16, 16)
    calls: list[object] = []
    model.layer.register_forward_hook(lambda *given: calls.append(given))
    before = [(name, id(value), value.clone()) for name, value in _tensors(model)]
    attributes = {module: set(module.__dict__) for module in model.modules()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    if fails:
        with pytest.raises(FaninError, match="RuntimeError: no"):
            trace(model, X)
    else:
        assert "dropout" in [node.op for node in trace(model, X).nodes]
    after = list(_tensors(model))
    assert [(name, id(value)) for name, value in after] == [entry[:2] for entry in before]
    assert all(
        torch.equal(value, kept) for (_, value), (_, _, kept) in zip(after, before, strict=True)
    )
    assert {module: set(module.__dict__) for module in model.modules()} == attributes
    assert [module.training for module in model.modules()] == modes
    assert model.history == []
    assert (model.layer.weight.grad == 1).all()
    assert not model.layer.bias.requires_grad
    now = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(now[0], state[0])
    assert now[1:] == state[1:]
    assert len(model.layer._forward_hooks) == 1
    assert not nn.modules.module._global_forward_hooks
    assert not nn.modules.module._global_forward_pre_hooks
    assert torch.ones(2).sum() == 2  # no mode is left behind


def _tensors(model: Stateful) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers(), ("plain", model.plain)]


def test_a_frozen_model_in_a_context_without_gradients() -> None:
    model = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    expected = str(trace(model, X))
    model.requires_grad_(False)
    with torch.no_grad():
        assert str(trace(model, X)) == expected
    with torch.inference_mode():
        assert str(trace(model, X)) == expected


def test_a_model_that_writes_into_its_frozen_parameters() -> None:
    class Frozen(Net):
        def forward(self, x: Tensor) -> Tensor:
            self.layer.bias.mul_(0.5)
            return self.layer(x)

    model = Frozen().requires_grad_(False)
    assert "linear" in [node.op for node in trace(model, X).nodes]


def test_a_model_that_wants_targets_in_training_is_run_in_eval_mode() -> None:
    class Detector(Net):
        def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
            if self.training and targets is None:
                raise ValueError("targets should not be None")
            return F.dropout(self.layer(x), 0.5, self.training)

    graph = trace(Detector(), X)
    assert [node.op for node in graph.nodes if node.op != "view"] == ["input", "linear", "shift"]


def test_what_only_runs_in_eval_mode_is_found() -> None:
    class Skipping(Net):
        def forward(self, x: Tensor) -> Tensor:
            return x if self.training else self.layer(x)

    assert not trace(Skipping(), X).unused


@pytest.mark.parametrize("draw", ["tensor", "number", "python"])
def test_layers_that_are_dropped_now_and_then_are_kept(draw: str) -> None:
    class Dropping(Net):
        def forward(self, x: Tensor) -> Tensor:
            value = random.random() if draw == "python" else torch.rand([])
            value = value.item() if draw == "number" else value
            if self.training and value < 0.1:
                return x
            return F.dropout(self.layer(x), 0.1, self.training)

    graph = trace(Dropping(), X)
    assert not graph.unused
    assert "dropout" in [node.op for node in graph.nodes]  # seen in train mode


def test_unused_parameters_are_listed() -> None:
    model = nn.ModuleDict({"used": nn.Linear(16, 4), "other": nn.Linear(3, 3)})
    model.forward = lambda x: model["used"](x)
    assert trace(model, X).unused == ("other.weight", "other.bias")


def test_paths_of_modules() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
            self.again = self.block

        def forward(self, x: Tensor) -> Tensor:
            return self.again(self.block(x)) + 1.0

    graph = trace(nn.DataParallel(Twice()), X)
    found = [(node.op, node.module) for node in graph.nodes if node.op in ("linear", "pointwise")]
    one = [("linear", "block.0"), ("pointwise", "block.1")]
    assert found == [*one, *one, ("pointwise", "")]


def test_ties_are_one_parameter() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(16, 9, bias=False)
            self.table = nn.Embedding(9, 16)
            self.head.weight = self.table.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.table(ids))

    graph = trace(Tied(), torch.zeros(2, 5, dtype=torch.long))
    found = [(node.op, str(node.param.axes)) for node in graph.nodes if node.param]
    assert found == [("lookup", "stack out"), ("linear", "out in")]
    assert {node.param.name for node in graph.nodes if node.param} == {"table.weight"}


def test_compiled_and_checkpointed_models() -> None:
    from torch.utils.checkpoint import checkpoint

    class Block(Net):
        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.layer, x, use_reentrant=False)

    expected = ["input", "linear", "shift"]
    for model in (Block(), torch.compile(Block(), backend="eager")):
        assert [n.op for n in trace(model, X).nodes if n.op != "view"] == expected


def test_integers_that_are_known_decide() -> None:
    class Masked(Net):
        def forward(self, x: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
            if not mask.all():
                x = x * mask[..., None]
            y = self.layer(x[:, : int(lengths.max())])
            return y[mask[:, : y.shape[1]]]

    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[0, 2:] = False
    graph = trace(Masked(), (X, mask, torch.tensor([2, 4])))
    assert graph.nodes[graph.outputs[0]].shape == (6, 16)
    assert next(node.label for node in graph.nodes if node.op == "view") == "mask"


def test_routed_experts_are_all_used() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Linear(16, 4)
            self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(0, 1)
            weights, chosen = self.gate(x).softmax(-1).topk(2)
            out = torch.zeros_like(x)
            for number, expert in enumerate(self.experts):
                token, place = torch.where(chosen == number)
                part = expert(x[token]) * weights[token, place, None]
                out.index_add_(0, token, part)
            return out

    graph = trace(Experts(), X)
    assert not graph.unused
    assert sum(node.op == "linear" for node in graph.nodes) == 5


@pytest.mark.skipif(not hasattr(torch, "_grouped_mm"), reason="this torch has no grouped products")
def test_grouped_products_of_experts() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 16, 8))

        def forward(self, x: Tensor) -> Tensor:
            ends = torch.tensor([2, 5, 7, 10], dtype=torch.int32)
            return torch._grouped_mm(x.flatten(0, 1), self.weight, offs=ends)

    (found,) = [node for node in trace(Experts(), X).nodes if node.param]
    assert (found.op, str(found.param.axes), found.shape) == ("linear", "stack in out", (10, 8))


def test_a_failing_model_is_reported_with_its_place() -> None:
    model = nn.Sequential(nn.Linear(16, 8), nn.Linear(16, 8))
    with pytest.raises(
        FaninError, match=r"^1 \(Linear\) does not run on these inputs: RuntimeError"
    ):
        trace(model, X)


def test_a_model_without_tensors_is_refused() -> None:
    class Silent(Net):
        def forward(self, x: Tensor) -> str:
            return "nothing"

    with pytest.raises(FaninError, match="returned str, in which there is no tensor"):
        trace(Silent(), X)


def test_a_lazy_parameter_is_refused() -> None:
    with pytest.raises(FaninError, match="weight has no shape yet; run the model once"):
        trace(nn.LazyLinear(3), X)
