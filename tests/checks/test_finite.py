"""F01: what is not finite counts where it reaches the output, a gradient, the loss or a weight."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Finding

_MINUS = -float("inf")
_FUTURE = torch.ones(5, 5, dtype=torch.bool).triu(1)
Forward = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """A layer, what is tried, and a layer that it may use."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.first, self.last, self.tried = nn.Linear(16, 16), nn.Linear(16, 4), forward
        self.heads = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.tried(self, x)


def found(forward: Forward, *, inputs: Tensor | None = None, **options: Any) -> list[Finding]:
    torch.manual_seed(0)
    x = torch.randn(6, 5, 16) if inputs is None else inputs
    checkup = fanin.check(Net(forward), x, **options)
    return [one for one in checkup.findings if one.id == "F01"]


def _logits(net: Net, x: Tensor) -> Tensor:
    q = net.first(x)
    return q @ q.transpose(1, 2)


def _logsumexp(net: Net, x: Tensor) -> Tensor:
    return _logits(net, x).masked_fill(_FUTURE, _MINUS).logsumexp(-1)


def _log_softmax(net: Net, x: Tensor) -> Tensor:
    masked = _logits(net, x).masked_fill(_FUTURE, _MINUS)
    return net.last(masked.log_softmax(-1).exp() @ x)


def _concatenated(net: Net, x: Tensor) -> Tensor:
    q = net.first(x)
    masked = (q @ q.transpose(1, 2)).masked_fill(_FUTURE, _MINUS)
    both = torch.cat([masked, q @ q.mean(1, keepdim=True).transpose(1, 2)], -1)
    return net.last(both.softmax(-1)[..., :5] @ x)


def _written(net: Net, x: Tensor) -> Tensor:
    logits = _logits(net, x)
    logits[:, _FUTURE] = _MINUS
    logits[:, 4:, :2] = _MINUS
    return net.last(logits.softmax(-1) @ x)


def _added(net: Net, x: Tensor) -> Tensor:
    mask = torch.full((5, 5), _MINUS).triu(1) + (x[:, None, :, 0] < 2.5).float().log()
    return net.last((_logits(net, x) + mask).softmax(-1) @ x)


def _two_masks_of_one_attention(net: Net, x: Tensor) -> Tensor:
    absent = torch.zeros(len(x), 5, dtype=torch.bool)
    absent[:, 3:] = True
    q = net.first(x)
    return net.last(net.heads(q, q, q, attn_mask=_FUTURE, key_padding_mask=absent)[0])


def _maximum(net: Net, x: Tensor) -> Tensor:
    left_out = torch.arange(5)[:, None] > 2
    return net.last(net.first(x).masked_fill(left_out, _MINUS).amax(1))


def _minimum_of_where(net: Net, x: Tensor) -> Tensor:
    return net.last(torch.where(x > 1, float("inf"), net.first(x)).amin(1).clamp(max=3))


def _largest_alone(net: Net, x: Tensor) -> Tensor:
    logits = net.last(x)
    top = logits.topk(2, -1)
    sparse = torch.full_like(logits, _MINUS).scatter(-1, top.indices, top.values)
    return sparse.softmax(-1)


def _masked_output(net: Net, x: Tensor) -> Tensor:
    return net.last(x).masked_fill(torch.tensor([False, True, False, False]), _MINUS)


def _masked_row_that_is_replaced(net: Net, x: Tensor) -> Tensor:
    row = torch.arange(5)[:, None] == 2
    return net.last(_logits(net, x).masked_fill(row, _MINUS).softmax(-1).nan_to_num() @ x)


@pytest.mark.parametrize(
    "forward",
    [
        _logsumexp,
        _log_softmax,
        _concatenated,
        _written,
        _added,
        _two_masks_of_one_attention,
        _maximum,
        _minimum_of_where,
        _largest_alone,
        _masked_output,
        _masked_row_that_is_replaced,
    ],
)
def test_infinity_that_is_consumed_is_no_finding(forward: Forward) -> None:
    assert found(forward) == []


def test_a_row_that_is_masked_throughout() -> None:
    def masked(net: Net, x: Tensor) -> Tensor:
        row = torch.arange(5)[:, None] == 2
        return net.last(_logits(net, x).masked_fill(row, _MINUS).softmax(-1) @ x)

    (one,) = found(masked)
    assert one.measured == "nan in what softmax gives, of values that are masked with infinity"
    assert "unmasked" in one.fix


def test_a_hidden_infinity_whose_gradient_is_not_finite() -> None:
    """The other branch of `where` is multiplied with 0 on the way back, and 0 inf is NaN."""

    def hidden(net: Net, x: Tensor) -> Tensor:
        h = net.first(x)
        return net.last(torch.where(h > 0, h.clamp(min=0).log(), 0.0))

    (one,) = found(hidden)
    assert "in what log gives" in one.measured


def test_an_overflow_is_one_whether_it_ends_as_infinity_or_nan() -> None:
    """A product sums inf and -inf to NaN: which of them comes depends on the processor."""

    def overflowing(net: Net, x: Tensor) -> Tensor:
        return net.last(net.first(1e38 * x) * 1.0)

    torch.manual_seed(0)
    net = Net(overflowing)
    with torch.no_grad():
        net.first.weight.copy_(torch.tensor([100.0, -100.0]).repeat(16, 8))
    (one,) = (f for f in fanin.check(net, torch.ones(6, 5, 16)).findings if f.id == "F01")
    assert (one.layer, "overflow" in one.measured) == ("first", True)


def test_what_is_not_defined_is_no_overflow() -> None:
    def alone(net: Net, x: Tensor) -> Tensor:
        return net.last(torch.sqrt(net.first(x) - 100))

    (one,) = found(alone)
    assert "not defined" in one.why
    assert "initialize" not in one.fix


def test_a_loss_that_is_not_finite() -> None:
    (one,) = found(
        lambda net, x: net.last(x),
        targets=torch.zeros(6, 5, 4),
        loss=lambda output, targets: (output * 0 + targets).log().sum(),
    )
    assert one.layer == ""
    assert "-inf" in one.measured


@pytest.mark.parametrize(
    ("values", "severity"), [((0.0, 3e38, 1e37), "error"), ((0.0, 3e-41, 0.0), "warning")]
)
def test_memory_that_was_never_filled(values: tuple[float, ...], severity: str) -> None:
    class Pool(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line, self.query = nn.Linear(8, 6), nn.Parameter(torch.empty(1, 6))
            with torch.no_grad():
                self.query.copy_(torch.tensor([*values, *values])[None])

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.tanh(self.line(x))
            return (torch.softmax((hidden * self.query).sum(-1), -1)[..., None] * hidden).sum(1)

    (one,) = fanin.check(Pool(), torch.randn(16, 5, 8), select="F01").findings
    assert (one.severity, one.layer) == (severity, "query")
    assert "never filled" in one.why
    assert one.fix.startswith("Fill it: glorot_normal() for query")


def test_the_most_negative_number_is_a_mask() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(8, 6)
            mask = torch.full((6,), torch.finfo(torch.float32).min).where(torch.eye(6)[0] > 0, 0.0)
            self.mask = nn.Parameter(mask, requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(self.line(x) + self.mask, -1)

    assert not fanin.check(Masked(), torch.randn(16, 8), select="F01").findings
