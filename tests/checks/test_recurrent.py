"""Inside of recurrent modules: states that saturate, gradients through time, weights' sizes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Finding

MODULES = (nn.LSTM, nn.GRU, nn.RNN)
CELLS = (nn.LSTMCell, nn.GRUCell, nn.RNNCell)
STACKED = {"num_layers": 2, "bidirectional": True}
Rule = Callable[[Tensor], Any]


class Reader(nn.Module):
    """Classes of sequences (batch, steps, 8), from the last output of a recurrent module."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.rnn = kind(8, 64, batch_first=True, **options)
        width = options.get("proj_size") or 64
        self.head = nn.Linear(width * (2 if options.get("bidirectional") else 1), 10)

    def forward(self, x: Any) -> Tensor:
        if isinstance(x, Tensor):
            return self.head(self.rnn(x)[0][:, -1])
        _, state = self.rnn(x)
        return self.head((state[0] if isinstance(state, tuple) else state)[-1])


class Loop(nn.Module):
    """The same of a cell, step by step."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.rnn, self.head = kind(8, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.rnn(step, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class ByHand(nn.Module):
    """An LSTM in plain torch, a linear layer for each gate."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.ModuleList(nn.Linear(8 + 64, 64) for _ in range(4))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        state = kept = x.new_zeros(len(x), 64)
        for step in x.unbind(1):
            given = torch.cat([step, state], -1)
            into, forget, new, out = (gate(given) for gate in self.rnn)
            kept = forget.sigmoid() * kept + into.sigmoid() * new.tanh()
            state = out.sigmoid() * kept.tanh()
        return self.head(state)


class PlainByHand(nn.Module):
    """A tanh RNN in plain torch."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.ModuleDict({"read": nn.Linear(8, 64), "keep": nn.Linear(64, 64)})
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 64)
        for step in x.unbind(1):
            state = torch.tanh(self.rnn["read"](step) + self.rnn["keep"](state))
        return self.head(state)


def made(kind: Any, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return Loop(kind) if kind in CELLS else Reader(kind, **options)


def drawn(model: nn.Module, rule: Rule, part: str = "rnn.") -> nn.Module:
    for name, parameter in model.named_parameters():
        if part in name:
            rule(parameter)
    return model


def found(model: nn.Module, steps: int = 12) -> tuple[Finding, ...]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, steps, 8, generator=generator)
    y = torch.randint(0, 10, (64,), generator=generator)
    return tuple(one for one in fanin.check(model, x, y).findings if one.id != "F11")


def ids(model: nn.Module, steps: int = 12) -> list[tuple[str, str]]:
    return [(one.id, one.severity) for one in found(model, steps)]


SOUND = [
    *((kind, options) for kind in MODULES for options in ({}, STACKED)),
    (nn.LSTM, {"proj_size": 16, "num_layers": 2}),
    (nn.GRU, {"bias": False}),
    (nn.RNN, {"nonlinearity": "relu"}),
    *((kind, {}) for kind in CELLS),
]


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch's own
@pytest.mark.parametrize(("kind", "options"), SOUND)
def test_torchs_default_and_initialize_are_sound(kind: Any, options: dict[str, Any]) -> None:
    model = made(kind, **options)
    assert found(model, 40) == ()
    fanin.initialize(model, seed=0, inputs=torch.randn(64, 40, 8))
    assert found(model, 40) == ()


def test_widths_whose_default_is_small_beside_what_they_read_are_sound() -> None:
    torch.manual_seed(0)
    for kind in MODULES:
        model = nn.Sequential(nn.Flatten(1), nn.Unflatten(1, (96, 1)))
        model.append(kind(1, 512, batch_first=True))
        checkup = fanin.check(model, torch.randn(8, 12, 8))
        assert checkup.ok("note"), checkup


@pytest.mark.parametrize("kind", [*MODULES, *CELLS])
def test_saturated_states(kind: Any) -> None:
    model = drawn(made(kind), nn.init.normal_)
    one = next(one for one in found(model) if one.id == "F05")
    suffix = "" if kind in CELLS else "_l0"
    assert one.layer in (f"rnn.weight_ih{suffix}", f"rnn.weight_hh{suffix}")
    assert f"glorot_uniform() for rnn.weight_ih{suffix}" in one.fix
    assert f"orthogonal() for rnn.weight_hh{suffix}" in one.fix
    assert f"rnn.bias_ih{suffix}" in one.fix
    assert one.value is not None
    assert one.value > 0.4  # tanh of a normal number of deviation 3 is flat at 47 %
    # What it says helps.
    drawn(model, nn.init.xavier_uniform_, "weight_ih")
    drawn(model, nn.init.orthogonal_, "weight_hh")
    drawn(model, nn.init.zeros_, "rnn.bias")
    assert found(model) == ()


def test_plain_states_that_saturate_almost_throughout_are_an_error() -> None:
    assert ("F05", "error") in ids(drawn(made(nn.RNN), nn.init.normal_))
    assert ("F05", "error") in ids(drawn(made(nn.RNNCell), nn.init.normal_))


def test_the_worst_layer_of_a_stack_stands_for_all() -> None:
    model = drawn(made(nn.LSTM, **STACKED), nn.init.normal_)
    (one,) = (one for one in found(model) if one.id == "F05")
    assert one.layer.startswith("rnn.weight_ih_l1")  # reads 128 features
    assert "in 3 more layers" in one.measured
    assert "and so in the other layers" in one.fix


def test_one_direction_that_saturates_is_named() -> None:
    model = made(nn.GRU, **STACKED)
    drawn(model, lambda one: nn.init.normal_(one, std=5.0), "weight_ih_l1_reverse")
    (one,) = found(model)
    assert (one.id, one.layer) == ("F05", "rnn.weight_ih_l1_reverse")
    assert one.fix.startswith("glorot_uniform() for rnn.weight_ih_l1_reverse; or fanin")


def test_raw_inputs_are_to_blame_rather_than_weights() -> None:
    x = 100 + 50 * torch.randn(64, 12, 8)
    checkup = fanin.check(made(nn.LSTM), x)
    one = next(one for one in checkup.findings if one.id == "F05")
    assert one.layer == "rnn.weight_ih_l0"
    assert one.fix.startswith("Standardize the data")


def test_a_heavy_bias_is_to_blame() -> None:
    model = drawn(made(nn.LSTM), lambda bias: nn.init.constant_(bias, 3.0), "rnn.bias")
    one = next(one for one in found(model) if one.id == "F05")
    assert one.layer == "rnn.bias_ih_l0"
    assert "forget_gate() for rnn.bias_ih_l0 and zeros() for rnn.bias_hh_l0" in one.fix


CLOSED = [(nn.LSTM, 0, "input"), (nn.LSTM, 3, "output"), (nn.GRU, 1, "update")]


@pytest.mark.parametrize(("kind", "at", "gate"), CLOSED)
@pytest.mark.parametrize("rule", ["F14", "F22"])
def test_gates_that_let_nothing_through_are_named(kind: Any, at: int, gate: str, rule: str) -> None:
    model, sign = made(kind, num_layers=3), 1 if gate == "update" else -1
    for layer in range(3):
        bias = getattr(model.rnn, f"bias_ih_l{layer}").detach()
        bias[64 * at : 64 * (at + 1)] += 8.0 * sign
    x, y = torch.randn(64, 12, 8), torch.arange(64) % 10

    def look() -> list[Finding]:
        return list(fanin.check(model, x, y, optimizer="sgd", select=rule).findings)

    (one,) = look()
    assert one.severity == "error"
    assert f"The {gate} gate of rnn lets 0.0" in one.why
    word = "forget_gate()" if kind is nn.LSTM else "zeros()"
    assert f"{word} for rnn.bias_ih_l0, rnn.bias_ih_l1, rnn.bias_ih_l2" in one.fix
    drawn(model, nn.init.zeros_, "rnn.bias")  # what it says, but for the forget gate
    # Three LSTMs of torch's default are slow with SGD whatever their gates do.
    assert [one.id for one in look() if "gate" in one.why or rule == "F14"] == []


def test_gates_may_be_open_or_shut() -> None:
    """Forget gates start open by a bias of up to ln(steps), and input gates shut as far."""
    model = made(nn.LSTM)
    with torch.no_grad():
        model.rnn.bias_ih_l0[:64], model.rnn.bias_ih_l0[64:128] = -6.0, 6.0
    assert all(one.id not in ("F03", "F05", "F12") for one in found(model))


@pytest.mark.parametrize("kind", [nn.GRU, nn.RNN])
def test_gradients_that_explode_through_time_are_an_error(kind: Any) -> None:
    model = drawn(made(kind), nn.init.normal_)
    one = next(one for one in found(model, 60) if one.id == "F03")
    assert (one.severity, one.layer) == ("error", "rnn.weight_hh_l0")
    assert one.fix.startswith("orthogonal() for rnn.weight_hh_l0")


def test_explosion_is_that_of_the_gradient_that_torch_computes() -> None:
    model = drawn(made(nn.RNN), lambda weight: nn.init.normal_(weight, std=3 / 8), "weight_hh")
    one = next(one for one in found(model, 30) if one.id == "F03")
    x = torch.randn(64, 30, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    sizes = gradient.norm(dim=(0, 2))
    assert one.value is not None
    # Both are of a random direction each, over 64 sequences.
    assert 0.2 < one.value / float(sizes[0] / sizes[-1]) < 5


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell])
def test_a_large_spectral_radius(kind: Any) -> None:
    radius = 3.0
    model = drawn(made(kind), lambda one: nn.init.normal_(one, std=radius / 8), "weight_hh")
    (one,) = found(model)
    assert (one.id, one.severity) == ("F12", "warning")
    assert one.layer.startswith("rnn.weight_hh")
    assert one.value == pytest.approx(radius, rel=0.05)  # 4 standard errors of 12288 numbers: 2.6 %
    assert one.fix.startswith(f"orthogonal() for {one.layer}")


@pytest.mark.parametrize(
    ("kind", "at", "place"),
    [
        (nn.LSTM, 0, "at its input gate alone"),
        (nn.LSTM, 1, "at its forget gate alone"),
        (nn.LSTM, 2, "of what it takes up alone"),
        (nn.LSTM, 3, "at its output gate alone"),
        (nn.GRU, 0, "at its reset gate alone"),
        (nn.GRUCell, 1, "at its update gate alone"),
    ],
)
def test_one_gate_with_a_large_spectral_radius(kind: Any, at: int, place: str) -> None:
    """Of all gates together the deviation is half of its own."""

    def spoil(weight: Tensor) -> None:
        with torch.no_grad():
            weight[64 * at : 64 * (at + 1)].normal_(std=3 / 8)

    (one,) = found(drawn(made(kind), spoil, "weight_hh"))
    assert (one.id, one.severity) == ("F12", "warning")
    assert one.value == pytest.approx(3.0, rel=0.05)  # 4 standard errors of 4096 numbers: 4.4 %
    assert place in one.why


@pytest.mark.parametrize(("kind", "at"), [(nn.LSTM, 2), (nn.GRU, 2)])
def test_what_is_taken_up_hardly_depends_on_the_inputs(kind: Any, at: int) -> None:
    """The weights of the gates are as torch makes them."""

    def spoil(weight: Tensor) -> None:
        with torch.no_grad():
            weight[64 * at : 64 * (at + 1)] *= 0.01

    (one,) = found(drawn(made(kind), spoil, "weight_ih"))
    assert (one.id, one.severity, one.layer) == ("F12", "warning", "rnn.weight_ih_l0")


@pytest.mark.parametrize("kind", [*MODULES, *CELLS])
def test_weights_that_are_far_too_small(kind: Any) -> None:
    model = drawn(made(kind), lambda one: nn.init.normal_(one, std=1e-3), "rnn.weight")
    (one,) = (one for one in found(model) if one.id == "F12")
    assert one.severity == "warning"
    assert "glorot_uniform() for rnn.weight_ih" in one.fix
    assert "orthogonal() for rnn.weight_hh" in one.fix


@pytest.mark.parametrize(("kind", "severity"), [(nn.RNN, "warning"), (nn.LSTM, "note")])
def test_recurrent_weights_of_zero(kind: Any, severity: str) -> None:
    """Gates have a state of their own: such LSTMs and GRUs train as from torch's default."""
    (one,) = found(drawn(made(kind, **STACKED), nn.init.zeros_, "weight_hh"))
    assert (one.id, one.severity, one.layer) == ("F12", severity, "rnn.weight_hh_l0")
    assert one.measured == "all zero, and off in 3 more weights inside"


def test_packed_sequences_are_looked_at_where_they_are_real() -> None:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 20, (64,), generator=generator)
    x = torch.randn(64, 20, 8, generator=generator)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    model = made(nn.RNN)
    assert fanin.check(model, (packed,)).ok("warning")
    drawn(model, nn.init.normal_)
    shares = [fanin.check(model, one).findings for one in ((packed,), x)]
    one, other = (next(one for one in found if one.id == "F05") for found in shares)
    assert one.value == pytest.approx(other.value, abs=0.05)


def test_states_that_are_given_count() -> None:
    class Stepwise(nn.Module):
        """One step a call, as decoders do."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(8, 64), nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            state = None
            for step in x.unbind(1):
                _, state = self.rnn(step[None], state)
            return self.head(state[-1])

    torch.manual_seed(0)
    model = Stepwise()
    assert found(model) == ()
    (one,) = found(drawn(model, lambda one: nn.init.normal_(one, std=3.0), "weight_hh"))[:1]
    assert (one.id, one.layer) == ("F05", "rnn.weight_hh_l0")


def test_a_forward_of_the_users_own_is_left_alone() -> None:
    class Scaled(nn.LSTM):
        def forward(self, input: Tensor, hx: Any = None) -> Any:
            return super().forward(input / 100, hx)

    class Net(Reader):
        def __init__(self) -> None:
            super().__init__(Scaled)

    torch.manual_seed(0)
    assert all(one.id not in ("F03", "F05", "F12") for one in found(drawn(Net(), nn.init.normal_)))


def test_the_check_leaves_random_states_and_gradients_alone() -> None:
    model = made(nn.LSTM, num_layers=2, dropout=0.5)
    before = torch.get_rng_state()
    found(model)
    assert torch.equal(before, torch.get_rng_state())
    assert all(one.grad is None for one in model.parameters())


def test_what_is_not_finite_is_the_matter_of_one_rule() -> None:
    model = made(nn.LSTM, num_layers=2)
    with torch.no_grad():
        model.rnn.weight_ih_l0[0, 0] = torch.nan
    assert {one.id for one in found(model)} == {"F01"}


def test_weights_that_read_nothing_are_far_too_small() -> None:
    assert ("F12", "warning") in ids(drawn(made(nn.GRU), nn.init.zeros_, "weight_ih"))


def test_under_autocast() -> None:
    class Net(Reader):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return super().forward(x).float()

    torch.manual_seed(0)
    model = Net(nn.GRU)
    assert found(model) == ()
    assert any(one.id == "F05" for one in found(drawn(model, nn.init.normal_)))


def test_by_hand_the_forget_gate_has_nothing_to_forget_at_first() -> None:
    torch.manual_seed(0)
    model = ByHand()
    assert found(model) == ()
    fanin.initialize(model, seed=0, inputs=torch.randn(64, 12, 8))
    assert found(model) == ()


def test_by_hand_the_tanh_that_a_gate_lets_through_saturates() -> None:
    torch.manual_seed(0)
    one = next(one for one in found(drawn(ByHand(), nn.init.normal_)) if one.id == "F05")
    assert one.layer == "rnn.2"


def test_by_hand_a_faded_state_is_no_error() -> None:
    """Late inputs come in late: from such weights digits by rows are learned to 0.09."""
    torch.manual_seed(0)
    model = drawn(PlainByHand(), lambda one: nn.init.normal_(one, std=1e-3), "weight")
    checkup = fanin.check(model, torch.randn(64, 12, 8), torch.randint(0, 10, (64,)))
    assert checkup.ok(), checkup
    assert any(one.id == "F14" for one in checkup.findings)
