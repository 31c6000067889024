"""What runs leave behind: nothing in the model and what it reaches, nor in other threads."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

import fanin
from fanin.errors import FaninError
from fanin.frameworks.torch import observe, trace
from fanin.frameworks.torch.observe._measure import TorchProbe

X = torch.ones(4, 8)


@dataclass
class Cache:
    keys: list[Tensor] = field(default_factory=list)
    last: Tensor | None = None


class Slotted:
    __slots__ = ("later", "value")

    def __init__(self) -> None:
        self.value: object = 0


class Storing(nn.Module):
    """Stores its output wherever a forward may."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(8, 8)
        self.cache = Cache()
        self.pair: tuple[int, list[Tensor]] = (1, [])
        self.nested: dict[str, dict[str, list[Tensor]]] = {"a": {"b": []}}
        self.recent: deque[Tensor] = deque(maxlen=2)
        self.space = SimpleNamespace(seen=set())
        self.slotted = Slotted()
        self.loop: list[object] = []
        self.loop.append(self.loop)
        self.hidden = [nn.ReLU()]
        self.plain = torch.zeros(8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.hidden[0](self.line(x)) + self.plain
        self.cache.keys.append(y)
        self.cache.last = y
        self.pair[1].append(y)
        self.nested["a"]["b"].append(y)
        self.nested["a"]["c"] = [y]
        self.recent.append(y)
        self.space.seen.add(y)
        self.slotted.value = self.slotted.later = y
        self.loop.append(y)
        self.hidden[0].last = y  # type: ignore[assignment]
        self.plain += 1
        return y


def assert_untouched(model: Storing) -> None:
    assert model.cache == Cache()
    assert model.pair == (1, [])
    assert model.nested == {"a": {"b": []}}
    assert model.recent == deque()
    assert model.recent.maxlen == 2
    assert model.space.seen == set()
    assert model.slotted.value == 0
    assert not hasattr(model.slotted, "later")
    assert len(model.loop) == 1
    assert model.loop[0] is model.loop
    assert not hasattr(model.hidden[0], "last")
    assert torch.equal(model.plain, torch.zeros(8))


@pytest.mark.parametrize(
    "run",
    [
        lambda model: trace(model, X),
        lambda model: observe(model, X, torch.sum),
        lambda model: TorchProbe(model, X).variance(""),
    ],
    ids=["trace", "observe", "probe"],
)
def test_what_forward_stores_is_taken_back(run: Callable[[nn.Module], object]) -> None:
    model = Storing()
    cache, keys = model.cache, model.cache.keys
    run(model)
    assert model.cache is cache
    assert model.cache.keys is keys
    assert_untouched(model)


def test_what_hooks_store_is_taken_back() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    stored: list[Tensor] = []
    calls = 0

    def hook(module: nn.Module, args: object, output: Tensor) -> None:
        nonlocal calls
        calls += 1
        stored.append(output)

    class Recorder:
        def __init__(self) -> None:
            self.last: Tensor | None = None

        def __call__(self, module: nn.Module, args: object, output: Tensor) -> None:
            self.last = output

        def before(self, module: nn.Module, args: object) -> None:
            self.last = args[0]  # type: ignore[index]

    called, bound = Recorder(), Recorder()
    model[0].register_forward_hook(hook)
    model[0].register_forward_hook(called)
    model[0].register_forward_pre_hook(bound.before)
    trace(model, X)
    assert (stored, calls, called.last, bound.last) == ([], 0, None, None)


def test_a_hook_that_is_a_part_of_the_model_is_traced() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    model[0].register_forward_hook(lambda module, args, output: torch.tanh(output))
    assert trace(model, X).nodes[-1].label == "tanh"


def test_another_thread_runs_its_model_undisturbed() -> None:
    traced, entered, ended, left = (threading.Event() for _ in range(4))
    found: list[object] = []

    class Waiting(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            traced.set()
            assert entered.wait(20)  # the other thread is inside of its module now
            return super().forward(x)

    class Holding(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            entered.set()
            assert ended.wait(20)
            return super().forward(x)

    class Last(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            ended.set()
            assert left.wait(20)  # the other thread left its module, within another of the trace
            return super().forward(x)

    def work() -> None:
        try:
            assert traced.wait(20)
            found.append(nn.Sequential(nn.Linear(8, 8), Holding(8, 8))(X))
        except BaseException as error:
            found.append(error)
        finally:
            left.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        graph = trace(nn.Sequential(nn.Linear(8, 8), Waiting(8, 8), Last(8, 8)), X)
    finally:
        ended.set(), entered.set(), traced.set()
        thread.join()
    assert [type(one) for one in found] == [Tensor]
    assert [node.module for node in graph.nodes] == ["", "0", "0", "1", "1", "2", "2"]


def test_two_threads_trace_one_after_the_other() -> None:
    inside, overlapped = threading.Event(), threading.Event()

    class First(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            inside.set()
            assert not overlapped.wait(0.2)
            return super().forward(x)

    class Second(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            overlapped.set()
            return super().forward(x)

    found: list[str] = []

    def work() -> None:
        assert inside.wait(20)
        found.append(str(trace(Second(8, 8), X)))

    thread = threading.Thread(target=work)
    thread.start()
    expected = str(trace(First(8, 8), X))
    thread.join()
    assert found == [expected]


def test_fake_tensors_and_modes_of_the_caller() -> None:
    model = nn.Linear(8, 3)
    expected = str(trace(model, X))
    with FakeTensorMode():
        fake, inputs = nn.Linear(8, 3), torch.ones(4, 8)
        assert str(trace(model, X)) == expected
        assert str(trace(fake, inputs)) == expected
        assert isinstance(torch.ones(1), FakeTensor)  # the mode goes on
    assert str(trace(fake, inputs)) == expected
    assert isinstance(fake.weight, FakeTensor)
    with pytest.raises(FaninError, match=r"weight of shape \(3, 8\) has no memory"):
        TorchProbe(fake, X)
    with pytest.raises(FaninError, match=r"inputs hold a tensor of shape \(4, 8\) without memory"):
        TorchProbe(model, inputs)


def test_an_exported_module() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    exported = torch.export.export(model, (X,)).module()
    assert str(trace(exported, X)) == str(trace(model, X))
    assert {id(one) for one in exported.parameters()} == {id(one) for one in model.parameters()}


class Converting(nn.Module):
    """Moves, converts and switches its parts in forward."""

    def __init__(self, convert: Callable[["Converting", Tensor], nn.Module]) -> None:
        super().__init__()
        self.first, self.rnn, self.last = nn.Linear(4, 4), nn.GRU(4, 4), nn.Linear(4, 2)
        self.norm = nn.BatchNorm1d(4)
        self.convert = convert

    def forward(self, x: Tensor) -> Tensor:
        y = self.convert(self, x)(self.norm(x)).float()
        self.float()
        return self.last(self.rnn(y)[0])


@pytest.mark.parametrize(
    "convert",
    [
        lambda net, x: net.first.to(x.device),
        lambda net, x: net.to(x.device).first,
        lambda net, x: net.first.to(x.dtype).to(x),
        lambda net, x: net.first.cpu().float(),
        lambda net, x: net.rnn.cpu() and net.first,
        lambda net, x: nn.Sequential(nn.Identity(), net.first).to(x.device),
        lambda net, x: net.first.requires_grad_(False),
        lambda net, x: net.first.eval().requires_grad_(True).train(),
        lambda net, x: lambda y: net.first.double()(y.double()),
        lambda net, x: lambda y: net.first.to(torch.bfloat16)(y.bfloat16()),
    ],
)
def test_modules_are_moved_and_converted_in_forward(
    convert: Callable[[Converting, Tensor], nn.Module],
) -> None:
    x = torch.randn(5, 4)
    expected = fanin.plan(Converting(lambda net, x: net.first), x)
    model = Converting(convert)
    held = dict(model.named_parameters())
    assert fanin.plan(model, x) == expected
    fanin.check(model, x)
    assert all(one is held[name] for name, one in model.named_parameters())
    assert all(one.requires_grad and one.dtype == torch.float32 for one in held.values())
    assert all(module.training for module in model.modules())
