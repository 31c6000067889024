"""Idioms: every way to write an activation is read right.

A module of one linear layer, the idiom, and the layer that reads it: what the plan says feeds
that layer is compared with what does, on normal inputs (256 units, 64 rows, three seeds: the
mean squares of these are sure to about 2 %, the limits are 10 % or what a row says).
"""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin

WIDTH = 256
Idiom = Callable[[Tensor], Tensor]


class Reads(nn.Module):
    """A layer, the idiom, and a layer that reads it."""

    def __init__(self, idiom: Idiom, width: int) -> None:
        super().__init__()
        self.idiom = idiom
        self.before, self.after = nn.Linear(WIDTH, WIDTH), nn.Linear(width, 8)
        self.fed = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.fed = self.idiom(self.before(x))
        return self.after(self.fed)


def planned_and_measured(idiom: Idiom, *shape: int, train: bool = True) -> tuple[float, float]:
    torch.manual_seed(0)
    width = idiom(torch.zeros(2, *shape, WIDTH)).shape[-1]
    model, rows = Reads(idiom, width).train(train), (64, *shape, WIDTH)
    measured = []
    for seed in range(3):
        plan = fanin.initialize(model, seed, torch.randn(rows))
        model(torch.randn(rows))
        measured.append(float(model.fed.detach().square().mean()))
    found = re.search(r"second moment ([0-9.e+-]+)", plan["after.weight"].why)
    assert found is not None
    return float(found[1]), sum(measured) / len(measured)


def assigned(h: Tensor, slope: float = 0.0) -> Tensor:
    h = h.clone()
    h[h < 0] = slope * h[h < 0] if slope else 0.0
    return h


def scaled_in_place(h: Tensor) -> Tensor:
    h = h.clone()
    h[h < 0] *= 0.1
    return h


class OwnBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:  # type: ignore[override]
        return x * (x > 0)


def halves(gate: Idiom) -> Idiom:
    def gated(h: Tensor) -> Tensor:
        a, b = h.chunk(2, -1)
        return a * gate(b)

    return gated


POINTWISE: dict[str, Idiom] = {
    "times a comparison": lambda h: h * (h > 0),
    "a comparison times": lambda h: (h > 0) * h,
    "times its float": lambda h: h * (h >= 0).float(),
    "times its integer": lambda h: h * (h > 0).int(),
    "times gt().type_as": lambda h: h * h.gt(0).type_as(h),
    "times the opposite's opposite": lambda h: h * ~(h < 0),
    "times 1 - mask": lambda h: h * (1 - (h < 0).float()),
    "what is negative taken away": lambda h: h - h * (h < 0),
    "times a detached mask": lambda h: h * (h.detach() > 0),
    "mul_ by a comparison": lambda h: h.clone().mul_(h > 0),
    "addcmul": lambda h: torch.addcmul(torch.zeros_like(h), h, (h > 0).float()),
    "lerp by a mask": lambda h: torch.lerp(0.1 * h, h, (h > 0).float()),
    "slopes from a mask": lambda h: h * (0.1 + 0.9 * (h > 0).float()),
    "custom function": lambda h: OwnBackward.apply(h),
    "where zeros": lambda h: torch.where(h > 0, h, torch.zeros_like(h)),
    "where a number": lambda h: torch.where(h > 0, h, 0.0),
    "where leaky": lambda h: torch.where(h < 0, 0.2 * h, h),
    "where elu": lambda h: torch.where(h > 0, h, torch.exp(h) - 1),
    "where in where": lambda h: torch.where(h > 1, 1.0, torch.where(h < -1, -1.0, h)),
    "masked_fill": lambda h: h.masked_fill(h < 0, 0.0),
    "masked_fill_": lambda h: h.clone().masked_fill_(h < 0, 0),
    "assigned": assigned,
    "assigned, leaky": lambda h: assigned(h, 0.1),
    "scaled where negative": scaled_in_place,
    "masked_scatter": lambda h: torch.zeros_like(h).masked_scatter(h > 0, h[h > 0]),
    "clamp": lambda h: h.clamp(min=0),
    "mean with its size": lambda h: (h + h.abs()) / 2,
    "largest of a stack": lambda h: torch.stack([h, torch.zeros_like(h)]).max(0)[0],
    "leaky by amax": lambda h: torch.stack([h, 0.1 * h], -1).amax(-1),
    "maximum": lambda h: torch.maximum(h, 0.1 * h),
    "leaky from two": lambda h: F.relu(h) - 0.1 * F.relu(-h),
    "celu from two": lambda h: F.relu(h) + torch.minimum(torch.zeros_like(h), h.exp() - 1),
    "rrelu": lambda h: F.rrelu(h, training=True),
    "rrelu, mean slope": lambda h: F.rrelu(h),
    "gelu by tanh": lambda h: 0.5 * h * (1 + torch.tanh(0.79788456 * (h + 0.044715 * h**3))),
    "gelu by erf": lambda h: h * 0.5 * (1 + torch.erf(h / math.sqrt(2))),
    "swish": lambda h: h / (1 + torch.exp(-h)),
    "softplus by logsumexp": lambda h: torch.stack([h, torch.zeros_like(h)]).logsumexp(0),
    "mish": lambda h: h * torch.tanh(torch.log1p(h.exp())),
    "softsign": lambda h: h / (1 + h.abs()),
    "hardswish": lambda h: h * (h + 3).clamp(0, 6) / 6,
    "squared relu": lambda h: h * h * (h > 0),
    "hard shrink": lambda h: h * (h.abs() > 1),
    "band": lambda h: h * ((h > -1) & (h < 1)),
    "outside a band": lambda h: h * torch.logical_or(h < -1, h > 1).float(),
    "step": lambda h: (h > 0).float(),
    "sign by a mask": lambda h: (h > 0).float() * 2 - 1,
    "sign by where": lambda h: torch.where(h > 0, 1.0, -1.0),
    "straight through": lambda h: h + (h.sign() - h).detach(),
    "gated by another's sign": lambda h: h[:, :128] * (h[:, 128:] > 0),
    "smaller ones dropped": lambda h: h[:, :128] * (h[:, :128] > h[:, 128:]),
    "where of two": lambda h: torch.where(h[:, :128] > 0, h[:, :128], h[:, 128:]),
    "a slice gates itself": lambda h: h[:, :128] * torch.sigmoid(h[:, :128]),
    "glu": halves(torch.sigmoid),
    "swiglu": halves(F.silu),
    "reglu by hand": halves(lambda b: b * (b > 0)),
    "crelu": lambda h: torch.cat([F.relu(h), F.relu(-h)], -1),
    "maxout": lambda h: h.view(-1, 64, 4).amax(-1),
    "max feature map": lambda h: torch.max(h[:, ::2], h[:, 1::2]),
    "heads gate themselves": lambda h: (
        h.view(-1, 4, 64) * torch.sigmoid(h).view(-1, 4, 64)
    ).flatten(1),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_functions_element_by_element(name: str) -> None:
    planned, measured = planned_and_measured(POINTWISE[name])
    assert planned == pytest.approx(measured, rel=0.1)


GRID = torch.linspace(-2, 2, 8)
CHANNELS = torch.linspace(-1, 1, WIDTH)


def splines(h: Tensor) -> Tensor:
    """Cubic, on evenly spaced knots."""
    x, knots = h[..., None], torch.arange(-3, 9) * 0.4 - 1
    made = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
    for order in range(1, 4):
        rise = (x - knots[: -order - 1]) / (knots[order:-1] - knots[: -order - 1])
        fall = (knots[order + 1 :] - x) / (knots[order + 1 :] - knots[1:-order])
        made = rise * made[..., :-1] + fall * made[..., 1:]
    return made.flatten(1)


GRIDS: dict[str, Idiom] = {
    "splines": splines,
    "splines of tanh": lambda h: splines(torch.tanh(h)),
    "squared ramps": lambda h: (
        (F.relu(h[..., None] - GRID) * F.relu(GRID + 1 - h[..., None])).pow(2).flatten(1)
    ),
    "bins": lambda h: ((h[..., None] >= GRID[:-1]) & (h[..., None] < GRID[1:])).float().flatten(1),
    "where": lambda h: torch.where(h[..., None] > GRID, h[..., None] - GRID, 0.0).flatten(1),
    "times radial functions": lambda h: (
        h[..., None] * torch.exp(-((h[..., None] - GRID) ** 2))
    ).flatten(1),
    "powers": lambda h: (torch.tanh(h)[..., None] ** torch.arange(4)).flatten(1),
    "thresholds by channel": lambda h: h * (h > 3 * CHANNELS),
    "wavelets": lambda h: (1 - (h - CHANNELS) ** 2) * torch.exp(-((h - CHANNELS) ** 2) / 2),
}


@pytest.mark.parametrize("name", GRIDS)
def test_functions_of_constants_that_vary(name: str) -> None:
    planned, measured = planned_and_measured(GRIDS[name])
    assert planned == pytest.approx(measured, rel=0.1)


def test_a_grid_may_be_a_frozen_parameter() -> None:
    class Bins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.knots = nn.Parameter(GRID.expand(WIDTH, 8).clone(), requires_grad=False)
            self.last = nn.Linear(7 * WIDTH, 8, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            left, right = self.knots[:, :-1], self.knots[:, 1:]
            here = (x[..., None] >= left) * (x[..., None] < right)
            return self.last(((x[..., None] - left) / (right - left) * here).flatten(1))

    model, rows = Bins(), torch.randn(256, WIDTH)
    fanin.initialize(model, 0, rows)
    assert 0.8 < float(model(rows).detach().square().mean()) < 1.25


def centre(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def mean_square(x: Tensor) -> Tensor:
    return x.pow(2).mean(-1, keepdim=True)


def by_var_mean(x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, -1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def by_moments(x: Tensor) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    return (x - mean) * torch.rsqrt((x * x).mean(-1, keepdim=True) - mean * mean + 1e-5)


def of_groups(x: Tensor) -> Tensor:
    parts = x.view(*x.shape[:-1], 8, -1)
    deviation = (parts.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    return (centre(parts) / deviation).view(x.shape)


def squashed(x: Tensor) -> Tensor:
    size = x.pow(2).sum(-1, keepdim=True)
    return size / (1 + size) * x / size.sqrt()


NORMS: dict[str, Idiom] = {
    "mean taken away twice": lambda x: centre(x) * torch.rsqrt(mean_square(centre(x)) + 1e-5),
    "and over its root": lambda x: centre(x) / torch.sqrt(mean_square(centre(x)) + 1e-5),
    "square as a product": lambda x: (
        centre(x) / torch.sqrt((centre(x) * centre(x)).mean(-1, keepdim=True) + 1e-5)
    ),
    "std": lambda x: centre(x) / (x.std(-1, keepdim=True) + 1e-6),
    "var": lambda x: centre(x) * x.var(-1, keepdim=True, unbiased=False).clamp(min=1e-6).rsqrt(),
    "unsqueezed": lambda x: (x - x.mean(-1).unsqueeze(-1)) / x.std(-1)[..., None],
    "div_": lambda x: centre(x).div_(x.std(-1, keepdim=True) + 1e-5),
    "var_mean": by_var_mean,
    "mean of squares less square": by_moments,
    "groups": of_groups,
    "batch": lambda x: (x - x.mean(0)) / x.std(0),
    "rms by norm": lambda x: x / (x.norm(dim=-1, keepdim=True) * x.shape[-1] ** -0.5 + 1e-6),
    "rms by norm, scaled before": lambda x: 16 * x / x.norm(dim=-1, keepdim=True),
    "normalize": lambda x: F.normalize(x, dim=-1) * x.shape[-1] ** 0.5,
    "rms of size": lambda x: x / x.abs().pow(2).mean(-1, keepdim=True).sqrt(),
    "rms by a sum": lambda x: x / torch.sqrt((x * x).sum(-1, keepdim=True) / WIDTH + 1e-6),
    "rms by einsum": lambda x: x * (torch.einsum("bi,bi->b", x, x) / WIDTH).rsqrt()[:, None],
    "rms by a product": lambda x: x / ((x[:, None] @ x[:, :, None])[:, 0] / WIDTH + 1e-6).sqrt(),
    "rms by an inverse": lambda x: x * (1 / torch.sqrt(mean_square(x) + 1e-6)),
    "mean size": lambda x: x / x.abs().mean(-1, keepdim=True),
    "sum of sizes": lambda x: F.normalize(x, p=1, dim=-1) * WIDTH,
    "between least and largest": lambda x: (
        (x - x.amin(-1, keepdim=True)) / (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True))
    ),
    "over its deviation": lambda x: x / x.std(-1, keepdim=True),
    "over the deviation of all": lambda x: x / x.std(),
    "only centred": centre,
    "squashed": squashed,
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_by_hand(name: str) -> None:
    planned, measured = planned_and_measured(lambda h: NORMS[name](5 * F.relu(h) + 1))
    assert planned == pytest.approx(measured, rel=0.1)


def rows(places: list[int]) -> Idiom:
    return lambda h: h[:, torch.tensor(places)]


def pairs_of_rectified(h: Tensor) -> Tensor:
    r = F.relu(h)
    return r[:, :, None] - r[:, None]


PAIRS: dict[str, Idiom] = {
    "differences": lambda h: h[:, :, None] - h[:, None],
    "products": lambda h: h.unsqueeze(2) * h.unsqueeze(1),
    "differences of rectified": pairs_of_rectified,
    "differences of rows": lambda h: rows([0, 2, 4])(h) - rows([1, 5, 3])(h),
    "rows gate themselves": lambda h: rows([0, 2, 4])(h) * torch.sigmoid(rows([0, 2, 4])(h)),
    "rolled": lambda h: h - h.roll(1, 1),
    "flipped": lambda h: h * h.flip(1),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_positions(name: str) -> None:
    """Of six positions; the plan leaves out that one of six pairs is of a position with itself."""
    planned, measured = planned_and_measured(PAIRS[name], 6)
    assert 0.7 < planned / measured < 1.4


KINKED: dict[str, Idiom] = {
    "hardshrink(0.3)": lambda h: F.hardshrink(h, 0.3),
    "softshrink(0.3)": lambda h: F.softshrink(h, 0.3),
    "hardtanh(-0.3, 0.4)": lambda h: h.clamp(-0.3, 0.4),
    "threshold(0.1, 20)": nn.Threshold(0.1, 20.0),
    "prelu": nn.PReLU(),
    "gelu_tanh": nn.GELU("tanh"),
}


@pytest.mark.parametrize("name", KINKED)
def test_a_weight_behind_an_activation_has_its_gain(name: str) -> None:
    row = fanin.plan(Reads(KINKED[name], WIDTH), torch.zeros(4, WIDTH))["after.weight"]
    assert row.initializer is not None
    std = row.initializer.std((8, WIDTH), row.axes)
    assert std * math.sqrt(WIDTH) == pytest.approx(fanin.gain(name), rel=1e-6)


def over_sum(x: Tensor, value: Tensor) -> Tensor:
    weights = torch.sigmoid(x @ x.mT / 8)
    return (weights / (weights.sum(-1, keepdim=True) + 1e-6)) @ value


def linear_attention(x: Tensor, value: Tensor) -> Tensor:
    """By ones beside the values, which sum the weights."""
    query, key = F.relu(x), F.relu(x.flip(-1))
    sums = query @ (key.mT @ F.pad(value, (0, 1), value=1.0))
    return sums[..., :-1] / (sums[..., -1:] + 1e-5)


def linear_attention_of_columns(x: Tensor, value: Tensor) -> Tensor:
    """The same with positions along the last axis: what is summed comes first."""
    query, key = F.relu(x).mT, F.relu(x.flip(-1)).mT
    sums = (F.pad(value.mT, (0, 0, 0, 1), value=1.0) @ key.mT) @ query
    return (sums[:, :-1] / (sums[:, -1:] + 1e-15)).mT


def gated_attention(x: Tensor, value: Tensor) -> Tensor:
    """Every weight times an activation of its own: one for each of 16 positions."""
    return (torch.softmax(x @ x.mT / 8, -1) * x[..., :16]) @ value


def by_logarithms(x: Tensor, value: Tensor) -> Tensor:
    return torch.log_softmax(x @ x.flip(-1).mT / 16, -1).exp() @ value


def in_a_loop(x: Tensor, value: Tensor) -> Tensor:
    """Shifted copies, weighted by how alike a Fourier transform finds them."""
    query, key = torch.fft.rfft(x, dim=1), torch.fft.rfft(x.flip(-1), dim=1)
    alike = torch.fft.irfft(query * key.conj(), n=x.shape[1], dim=1).mean(-1)
    weights = alike.topk(8, -1).values.softmax(-1)
    made = torch.zeros_like(value)
    for place in range(8):
        made = made + value.roll(-place, 1) * weights[:, place, None, None]
    return made


@pytest.mark.parametrize(
    "average",
    [
        *(over_sum, linear_attention, linear_attention_of_columns, gated_attention),
        *(by_logarithms, in_a_loop),
    ],
)
def test_averages_by_hand(average: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Of 16 positions, their second moment is 1/16 to 1 of the plan's."""
    torch.manual_seed(0)
    model, rows = Reads(lambda h: average(*h.chunk(2, -1)), WIDTH // 2), torch.randn(32, 16, WIDTH)
    row = fanin.initialize(model, 0, rows)["after.weight"]
    model(rows)
    assert row.averaged or average is in_a_loop
    assert re.search(r"second moment 1(,|;|$)", row.why)
    assert 1 / 20 < float(model.fed.detach().square().mean()) < 1


def test_a_softmax_of_one_number_averages_nothing() -> None:
    """As where tokens get a score each, and its softmax is taken over the axis of scores."""

    def total(h: Tensor) -> Tensor:
        return (torch.softmax(h.mean(-1, keepdim=True), -1) * h).sum(1)

    planned, measured = planned_and_measured(total, 16)
    assert planned == pytest.approx(measured, rel=0.1)
    assert planned == pytest.approx(16, rel=0.1)


SINGLE: dict[str, Idiom] = {
    "layer_norm": lambda h: F.layer_norm(h[..., None], (1,))[..., 0],
    "group_norm": lambda h: F.group_norm(h, WIDTH),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_norm_of_single_values_leaves_nothing(name: str) -> None:
    model, rows = Reads(lambda h: h + SINGLE[name](h), WIDTH), torch.randn(4, WIDTH)
    assert "second moment 1" in fanin.plan(model, rows)["after.weight"].why
    row = fanin.plan(Reads(SINGLE[name], WIDTH), rows)["after.weight"]
    assert row.output == 0
