"""empty_weights: no memory, no initialization, and what the constructor computed is restored."""

import copy
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError
from fanin._empty import empty_weights
from fanin.frameworks.torch import new_buffers, slots
from fanin.frameworks.torch.draws._records import RECORDS


class Holder(nn.Module):
    """A module whose only parameter `p` a function makes."""

    def __init__(self, make: Callable[[nn.Module], Any]) -> None:
        super().__init__()
        made = make(self)
        if made is not None:
            self.p = made if isinstance(made, nn.Parameter) else nn.Parameter(made)


def after(
    value: torch.Tensor | tuple[int, ...], change: Callable[[nn.Parameter], Any]
) -> Callable[[nn.Module], Any]:
    """Registered with this value, or empty in this shape, then changed."""

    def make(module: nn.Module) -> None:
        empty = isinstance(value, tuple)
        module.p = nn.Parameter(torch.empty(value) if empty else value.clone())
        with torch.no_grad():
            change(module.p)

    return make


def assign(parameter: nn.Parameter, values: torch.Tensor) -> None:
    parameter.data = values


def set_item(tensor: torch.Tensor, index: Any, value: float) -> None:
    tensor[index] = value


def filled_later(module: nn.Module) -> None:
    values = torch.empty(6)
    module.p = nn.Parameter(values)
    values.fill_(3.0)


COMPUTED: dict[str, Callable[[nn.Module], Any]] = {
    "Mamba's A_log": lambda _: torch.log(torch.arange(1, 17).float().repeat(40, 1)),
    "a layer scale": lambda _: 1e-6 * torch.ones(40),
    "a logit scale": lambda _: torch.tensor(2.6592),
    "decay rates": lambda _: torch.linspace(0.1, 0.9, 7).flip(0),
    "from numpy": lambda _: torch.from_numpy(torch.eye(3).numpy().copy()),
    "empty, then filled": lambda _: torch.empty(5).fill_(0.25),
    "transposed": lambda _: torch.arange(6.0).view(2, 3).t(),
    "expanded": lambda _: torch.arange(3.0).expand(4, 3),
    "no elements": lambda _: torch.zeros(0, 3),
    "16 bits": lambda _: torch.linspace(0, 1, 5, dtype=torch.bfloat16),
    "complex": lambda _: torch.complex(torch.ones(3), torch.arange(3.0)),
    "constant_": after((5,), lambda p: nn.init.constant_(p, 1e-6)),
    "a large zero": after((1000, 1000), nn.init.zeros_),
    "part of a large one": after(torch.zeros(600, 600), lambda p: set_item(p, (slice(9), 3), 2.0)),
    "dirac_": after((4, 4, 3, 3), nn.init.dirac_),
    "eye_": after((4, 4), nn.init.eye_),
    "an item": after(torch.zeros(4, 4), lambda p: set_item(p, (1, slice(2)), 3.0)),
    "a column of data": after(torch.ones(4, 4), lambda p: p.data[:, 2].fill_(7.0)),
    "an assignment of data": after((4,), lambda p: assign(p, torch.arange(4.0))),
    "arithmetic in place": after(torch.ones(4), lambda p: p.mul_(3).add_(torch.arange(4.0))),
    "a copy": after((4,), lambda p: p.copy_(torch.arange(4))),
    "of another parameter": lambda _: nn.Parameter(torch.ones(4)).detach() * 2,
    "the memory filled later": filled_later,
    "ones like a drawn one": lambda _: torch.ones_like(nn.Linear(3, 4).weight),
}

CHANCE: dict[str, Callable[[nn.Module], Any]] = {
    "empty": lambda _: torch.empty(3, 4),
    "the norm of a drawn one": lambda _: nn.Linear(3, 4).weight.norm(dim=1),
    "scaled": after((3, 4), lambda p: p.mul_(2.0)),
    "a part filled": after((3, 4), lambda p: set_item(p, 1, 1.0)),
    "converted": lambda _: nn.Linear(3, 4).half().weight.detach(),
    "cauchy": after((3, 4), lambda p: p.cauchy_()),
}

# Drawn in a way that the seed's stream can do again.
DRAWN: dict[str, Callable[[nn.Module], Any]] = {
    "randn": lambda _: torch.randn(3, 4) * 0.02,
    "normal_": after(torch.zeros(3, 4), nn.init.normal_),
    "trunc_normal_ of zeros": after(torch.zeros(3, 4), nn.init.trunc_normal_),
    "kaiming_uniform_": after(torch.ones(3, 4), nn.init.kaiming_uniform_),
    "uniform_ of data": after(torch.ones(3, 4), lambda p: p.data.uniform_(-1, 1)),
    "chance added": after(torch.ones(3, 4), lambda p: p.add_(torch.rand(4))),
    "assigned": after(torch.ones(4), lambda p: assign(p, torch.randn(4))),
    "reshaped in place": after(
        torch.zeros(3, 4),
        lambda p: p.copy_(p.new_empty(4, 3).normal_().t_().unsqueeze_(0).squeeze_(0)),
    ),
}

# torch 2.6 draws these; later versions leave a parameter without memory alone.
(DRAWN if nn.init.sparse_(torch.empty(2, 2, device="meta"), 0.5)._version else CHANCE).update(
    {
        "orthogonal_ of zeros": after(torch.zeros(3, 4), nn.init.orthogonal_),
        "sparse_ of zeros": after(torch.zeros(6, 4), lambda p: nn.init.sparse_(p, 0.5)),
    }
)


def build(make: Callable[[nn.Module], Any]) -> Any:
    with empty_weights():
        return Holder(make)


@pytest.mark.parametrize("case", COMPUTED)
def test_what_the_constructor_computes_is_restored(case: str) -> None:
    empty, real = build(COMPUTED[case]), Holder(COMPUTED[case])
    assert empty.p.is_meta
    (slot,) = slots(empty)
    assert slot.has_value
    digest = slot.digest()
    slot.rehearse(None, 0)
    slot.write(None, 0)
    assert torch.equal(empty.p, real.p)
    assert (empty.p.dtype, empty.p.shape) == (real.p.dtype, real.p.shape)
    assert empty.p is slot.tensor
    assert digest == slot.digest() == slots(real)[0].digest()


@pytest.mark.parametrize("case", CHANCE)
def test_what_it_leaves_to_chance_has_no_value(case: str) -> None:
    model = build(CHANCE[case])
    (slot,) = slots(model)
    assert not slot.has_value
    message = r"p has shape \(.*\) and no value to keep: it was built empty. Give it an initializer"
    with pytest.raises(FaninError, match=message):
        slot.rehearse(None, 0)
    assert model.p.is_meta


def test_a_shard_that_is_empty_has_nothing_to_audit() -> None:
    model = nn.Linear(4, 3, device="meta")
    shards = {"weight": ((6, 4), (slice(0, 3),)), "bias": ((6,), (slice(0, 3),))}
    plan = fanin.plan(nn.Linear(4, 6))
    with pytest.raises(FaninError, match="was built empty"):
        plan.audit(model, shards=shards)


@pytest.mark.parametrize("case", DRAWN)
def test_what_it_draws_can_be_drawn_from_the_seeds_stream(case: str) -> None:
    values = []
    for _ in range(2):
        model = build(DRAWN[case])
        (slot,) = slots(model)
        assert not slot.has_value
        slot.rehearse(None, 5)
        assert model.p.is_meta
        slot.write(None, 5)
        values.append(model.p.detach())
    assert values[0].dtype == Holder(DRAWN[case]).p.dtype
    assert values[0].std() > 0
    assert torch.equal(*values)


def test_a_draw_is_done_again_with_all_that_follows() -> None:
    """Three draws: the name's own stream, then those of p#1 and p#2."""

    def make(_: nn.Module) -> torch.Tensor:
        rates = torch.empty(6).uniform_(1, 16).log_()
        rates[2:4] = torch.randn(2).abs()
        return torch.cat([rates, torch.arange(2.0), torch.full((3,), 0.5).exponential_(2.0)])

    model = build(make)
    (slot,) = slots(model)
    slot.write(None, 7)
    first, second, third = (fanin.Stream(7, name) for name in ("p", "p#1", "p#2"))
    want = torch.from_numpy(first.uniform(6, 1, 16)).log()
    want[2:4] = torch.from_numpy(second.normal(2)).abs()
    drawn = torch.from_numpy(third.uniform(3, 0, 1))
    torch.testing.assert_close(
        model.p.detach(), torch.cat([want, torch.arange(2.0), -drawn.log() / 2])
    )


class Factors(nn.Module):
    """The triangles of one drawn rotation."""

    def __init__(self) -> None:
        super().__init__()
        _, lower, upper = torch.linalg.lu(torch.linalg.qr(torch.randn(6, 6))[0])
        self.lower, self.upper = nn.Parameter(lower), nn.Parameter(upper)


def test_parameters_made_of_one_draw_are_drawn_from_one_stream() -> None:
    with empty_weights():
        model = Factors()
    for slot in slots(model):
        slot.write(None, 5)
    made = (model.lower @ model.upper).detach()
    torch.testing.assert_close(made.T @ made, torch.eye(6))


def in_two_slices(make: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """A table of which each half of the columns is written, in the memory that `make` gives."""

    def build_table() -> torch.Tensor:
        table, angles = make(), torch.arange(24.0).view(6, 4)
        with torch.no_grad():
            table[:, :4] = angles.sin()
            torch.cos(angles, out=table[:, 4:])
        return table

    return build_table


PARTS: dict[str, Callable[[], torch.Tensor]] = {
    "before": in_two_slices(lambda: torch.empty(6, 8)),
    "after": in_two_slices(lambda: nn.Parameter(torch.empty(6, 8))),
    "of a drawn one": in_two_slices(lambda: nn.Embedding(6, 8).weight),
    "detached": in_two_slices(lambda: nn.Embedding(6, 8).weight.data),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_that_together_cover_a_table_are_its_value(case: str) -> None:
    model, real = build(lambda _: PARTS[case]()), Holder(lambda _: PARTS[case]())
    (slot,) = slots(model)
    assert slot.has_value
    slot.write(None, 0)
    assert torch.equal(model.p, real.p)


@pytest.mark.parametrize("after_registration", [False, True])
def test_columns_rows_and_masks_are_parts(after_registration: bool) -> None:
    def make(module: nn.Module) -> Any:
        table: Any = nn.Parameter(torch.empty(4, 5)) if after_registration else torch.empty(4, 5)
        with torch.no_grad():
            for column in range(3):
                table[:, column] = float(column)
            table[torch.arange(4), torch.full((4,), 3)] = torch.arange(4.0)
            table[:, 4].copy_(torch.from_numpy(torch.arange(4).double().numpy()))
        return table

    model, real = build(make), Holder(make)
    (slot,) = slots(model)
    assert slot.has_value
    slot.write(None, 0)
    assert torch.equal(model.p, real.p)


def test_a_frozen_draw_is_refused_by_name() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mask = nn.Parameter(torch.randn(4), requires_grad=False)
            self.line = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.line(x * self.mask)

    with empty_weights():
        model = Frozen()
    with pytest.raises(
        FaninError,
        match=r"mask of shape \(4,\) is frozen, so kept as it is, and the model was built",
    ):
        fanin.initialize(model, 0, torch.zeros(2, 4))
    assert model.line.weight.is_meta
    fanin.initialize(model, 0, torch.zeros(2, 4), overrides={"mask": "normal"})


class Network(nn.Module):
    """Layers of many kinds, a tie, buffers, and values that the constructor reads."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 16, padding_idx=3)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False
        )
        self.recurrent = nn.LSTM(16, 8)
        self.norm = nn.BatchNorm1d(8)
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.table.weight
        self.head.weight.mark = "tied"
        self.norm.bias.requires_grad_(False)
        self.register_buffer("mask", torch.ones_like(self.head.weight))
        self.register_buffer("steps", torch.arange(4, device=self.head.weight.device))


def network() -> Network:
    with empty_weights():
        return Network()


def test_only_parameters_are_empty() -> None:
    model, real = network(), Network()
    assert all(parameter.is_meta for parameter in model.parameters())
    for name, buffer in real.named_buffers():
        assert torch.equal(model.get_buffer(name), buffer)
    assert model.rates == real.rates
    shapes = {name: (one.shape, one.dtype) for name, one in model.state_dict().items()}
    assert shapes == {name: (one.shape, one.dtype) for name, one in real.state_dict().items()}


def test_initialize_makes_the_weights_of_the_real_model() -> None:
    empty, real = network(), Network()
    plans = [fanin.initialize(model, 3, initializer="he_normal") for model in (empty, real)]
    assert plans[0].rows == plans[1].rows
    for name, tensor in real.state_dict().items():
        assert torch.equal(empty.state_dict()[name], tensor), name
    assert empty.head.weight is empty.table.weight
    assert empty.head.weight.mark == "tied"
    assert empty.head.weight.requires_grad
    assert not empty.norm.bias.requires_grad
    assert not any(RECORDS in vars(module) for module in empty.modules())
    x = torch.arange(6).view(2, 3)
    hidden = empty.eval().encoder(empty.table(x))
    assert torch.equal(hidden, real.eval().encoder(real.table(x)))
    assert torch.equal(empty.recurrent(hidden)[0], real.recurrent(hidden)[0])
    plans[0].verify(empty)


def test_a_failure_leaves_the_model_empty() -> None:
    model = network()
    with pytest.raises(FaninError, match="tail"):
        fanin.initialize(model, initializer="he_normal", overrides={"tail*": "ones"})
    with pytest.raises(FaninError, match="no fan-in"):
        fanin.initialize(model, initializer="he_normal", overrides={"*.bias": "he_normal"})
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:99", r"weights cannot be made on device 'cuda:99': .* Pass another device="),
        ("here", "device is 'here'; give one that torch knows, such as 'cpu'"),
        ("meta", "device is 'meta', which holds no values"),
    ],
)
def test_a_device_that_is_not_there(device: str, message: str) -> None:
    model = network()
    with pytest.raises(FaninError, match=message):
        fanin.initialize(model, initializer="he_normal", device=device)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_a_copy_is_as_empty_and_knows_as_much() -> None:
    model = copy.deepcopy(build(COMPUTED["a layer scale"]))
    (slot,) = slots(model)
    slot.write(None, 0)
    assert (model.p == 1e-6).all()


def test_a_change_of_dtype_before_the_values() -> None:
    model = build(COMPUTED["decay rates"]).to(torch.bfloat16)
    slots(model)[0].write(None, 0)
    assert torch.equal(model.p, torch.linspace(0.1, 0.9, 7).flip(0).to(torch.bfloat16))


def test_a_dtype_and_a_device_of_the_context() -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        with empty_weights():
            model = nn.Linear(3, 4)
    finally:
        torch.set_default_dtype(before)
    fanin.initialize(model, initializer="he_normal", device="cpu")
    assert model.weight.dtype == torch.float16
    assert model.weight.device.type == "cpu"


def test_parameters_of_before_and_after_are_real() -> None:
    outside = nn.Parameter(torch.ones(3))
    with empty_weights(), empty_weights():
        model = nn.Module()
        model.p = outside
        first = nn.Parameter(torch.ones(2))
    assert first.is_meta
    assert not model.p.is_meta
    assert not nn.Parameter(torch.ones(2)).is_meta
    with pytest.raises(ZeroDivisionError), empty_weights():
        _ = 1 / 0
    assert not nn.Parameter(torch.ones(2)).is_meta


def test_other_threads_build_as_ever() -> None:
    made = []
    with empty_weights():
        thread = threading.Thread(target=lambda: made.append(nn.Linear(2, 2)))
        thread.start()
        thread.join()
    assert not made[0].weight.is_meta


@pytest.mark.parametrize(
    "read",
    [
        lambda weight: weight.sum().item(),
        lambda weight: bool((weight > 0).any()),
        lambda weight: torch.zeros(4, 3).copy_(weight),
    ],
)
def test_reading_an_empty_weight_is_refused(read: Callable[[torch.Tensor], Any]) -> None:
    def make(_: nn.Module) -> None:
        read(nn.Linear(3, 4).weight.detach())

    message = r"the model's constructor .* not drawn yet under empty_weights. Build this model with"
    with pytest.raises(FaninError, match=message):
        build(make)


def test_a_model_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    fanin.initialize(model, initializer="he_normal")
    new_buffers(model).put()
    real = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    fanin.initialize(real, initializer="he_normal")
    for name, tensor in real.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


PEAK = """
import sys
import torch
from torch import nn
import fanin
from fanin._empty import empty_weights

def peak():  # not ru_maxrss, which starts at the parent's
    lines = open("/proc/self/status").read().splitlines()
    return int(next(one for one in lines if one.startswith("VmHWM")).split()[1]) / 1024

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2048, 2048)
        self.norm = nn.LayerNorm(2048)

def build(blocks):
    with empty_weights():
        return nn.Sequential(*(Block() for _ in range(blocks)))

fanin.initialize(build(1), initializer="he_normal")
before = peak()
model = build(19)
built = peak()
fanin.initialize(model, initializer=sys.argv[1])
size = sum(one.numel() * one.element_size() for one in model.parameters()) / 2**20
print(built - before, peak() - before, size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_the_model_and_64_mib() -> None:
    """The single block that was made before, 16 MiB, may have left its memory to the others."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "he_normal"], capture_output=True, text=True, check=True
    )
    built, peak, size = map(float, done.stdout.split())
    assert 300 < size < 320
    assert built < 8
    assert size - 32 < peak < size + 64


def test_without_torch_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["torch"] = None
import fanin
from fanin._empty import empty_weights
try:
    empty_weights()
except fanin.FaninError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch is not installed. Install it: pip install 'fanin[torch]'" in done.stdout
