"""The verdicts on claims about transformers' kin, on measurements made up, and the quick forms."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

import fanin
from fanin.lab.training.initialization import pair
from fanin.studies._rows import ClaimFamily
from fanin.studies.transformers import (
    _diagonal,
    _images,
    _mimetic,
    _sine,
    _siren,
    _spectral,
    _steps,
    _zero_ends,
)
from fanin.studies.transformers._ratios import compare_losses, judge_ratio, take_best

KIN = {
    "sine": _sine.SINE,
    "siren": _siren.SIREN,
    "spectral": _spectral.SPECTRAL_FAMILY,
    "delay": _diagonal.DIAGONAL,
    "mimetic": _mimetic.MIMETIC_FAMILY,
    "zero": _zero_ends.ZERO_ENDS,
    "steps": _steps.STEPS,
}


def verdicts(family: ClaimFamily, found: Mapping[str, Any]) -> list[str]:
    return [row.claim(1).verdict for row in family.rows(found)]


@pytest.mark.parametrize("name", KIN)
def test_the_quick_form_of_a_family(name: str) -> None:
    family = KIN[name]
    told = 0

    def advance(steps: int) -> None:
        nonlocal told
        told += steps

    with pair():
        parts = family.parts(True)
        found = {part.name: part.measure(advance) for part in parts}
    assert told == sum(part.steps for part in parts if part.steps > 1)
    claims = [row.claim(1) for row in family.rows(found)]
    assert all(claim.measured and claim.source for claim in claims)
    for figure in family.figures(found):
        assert figure.draw().startswith("<svg")


def test_the_best_rate_counts_and_what_diverges_is_not_best() -> None:
    assert take_best({"0.1": [1.0, None], "0.2": [2.0, 8.0]}) == [2.0, 8.0]
    assert take_best({"0.1": [1.0, 4.0], "0.2": [2.0, 8.0]}) == [1.0, 4.0]


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.5] * 10, True),
        ([0.7] * 10, False),
        ([1.01, 0.99] * 5, False),
        ([3.0, 1 / 3] * 5, None),
    ],
)
def test_a_ratio_has_three_answers(ratios: Sequence[float], verdict: bool | None) -> None:
    gap = compare_losses(("a", {"0.1": ratios}), ("b", {"0.1": [1.0] * len(ratios)}), 1)
    assert judge_ratio(gap) is verdict
    assert gap.interval.mean == pytest.approx(sum(map(math.log, ratios)) / len(ratios))


def sines(zero: float) -> dict[str, Any]:
    """Ten seeds of each start; biases of zero end with so large a loss."""
    losses = {name: {"0.01": [0.001 + 1e-5 * k for k in range(10)]} for name in _sine.STARTS}
    own = losses | {_sine.ZERO: {"0.01": [zero] * 10}}
    return {f"sine {periods}": {"losses": own, "fits": {}} for periods in _sine.PERIODS}


def test_biases_of_a_sine() -> None:
    assert verdicts(_sine.SINE, sines(0.07)) == ["holds"] * 3
    assert verdicts(_sine.SINE, sines(0.001)) == ["refuted"] * 3


def test_knots_are_uniform_over_the_inputs() -> None:
    """10,000 knots: the largest gap of a uniform distribution function is below 0.02 in all but one
    of 1,500 seeds (Kolmogorov)."""
    model = torch.nn.Sequential(
        torch.nn.Linear(1, 10_000), torch.nn.ReLU(), torch.nn.Linear(10_000, 1)
    )
    recipe, overrides = _sine.STARTS["knots uniform"]
    fanin.initialize(model, 0, recipe=recipe, overrides=overrides)
    weight, bias = (value.detach().double().flatten() for value in model[0].parameters())
    knots = (-bias / weight).sort().values
    expected = torch.linspace(-1, 1, 10_000, dtype=torch.float64)
    assert float((knots - expected).abs().max()) < 0.04


def errors(torch_error: float, flat: float, ten: float = 0.1) -> dict[str, Any]:
    """Squared errors of eight images; SIREN's at omega 30 is 0.001."""
    means = {"omega 1": 0.1, "omega 10": ten, "omega 30": 0.001, "omega 100": 0.01}
    means |= {_siren.TORCH: torch_error, _siren.FLAT: flat}
    found: dict[str, Any] = {"sine signals": {"before": [[1.0] * 3] * 2, "behind": [[0.5] * 3] * 2}}
    for omega in _siren.OMEGAS:
        names = [f"omega {omega:g}", *(_siren.OTHERS if omega == _siren.OMEGA else ())]
        losses = {name: {"0.001": [means[name]] * 8} for name in names}
        found[f"image, omega {omega:g}"] = {"fitted": losses, "held out": losses}
    return found


def test_siren() -> None:
    assert verdicts(_siren.SIREN, errors(0.01, 0.01)) == ["holds"] * 5
    assert verdicts(_siren.SIREN, errors(0.001, 0.0001))[1:4] == ["refuted"] * 3
    assert verdicts(_siren.SIREN, errors(0.01, 0.01, 0.0006))[-1] == "holds"
    assert verdicts(_siren.SIREN, errors(0.01, 0.01, 0.0004))[-1] == "refuted"
    off = errors(0.01, 0.01)
    off["sine signals"]["behind"] = [[0.5, 0.432, 0.4]] * 2
    assert verdicts(_siren.SIREN, off)[0] == "refuted"


def test_a_chessboard_of_pixels_is_fitted() -> None:
    board = _siren.choose_pixels().reshape(28, 28)
    assert int(board.sum()) == 392
    assert not (board[1:] == board[:-1]).any()
    assert _siren.find_psnr({"0.1": [0.04, 0.04]}) == pytest.approx(20)


def test_a_spectral_start() -> None:
    """Known: 32 to 1024 and back 1.177, 256 to 256 2, of the limit of large matrices."""
    norms = {"1024 to 32": [1.177] * 2, "256 to 256": [1.99] * 2, "32 to 1024": [1.177] * 2}

    def verdict(fan_in: float, square: float = 1.99) -> list[str]:
        found: dict[str, Any] = {
            "spectral norms": {
                _spectral.SPECTRAL: norms | {"256 to 256": [square] * 2},
                _spectral.FAN_IN: norms,
            }
        }
        for wide in _spectral.WIDE:
            losses = {
                _spectral.SPECTRAL: {"0.001": [0.1] * 8, "0.01": [0.2] * 8},
                _spectral.FAN_IN: {"0.001": [fan_in] * 8, "0.01": [0.5] * 8},
            }
            uneven = {start: [2.0, 3.0] for start in losses}
            found[f"{wide} and 32 wide"] = {"losses": losses, "uneven": uneven}
        return verdicts(_spectral.SPECTRAL_FAMILY, found)

    assert verdict(0.15) == ["holds"] * 3
    assert verdict(0.1) == ["holds", "refuted", "refuted"]
    assert verdict(0.15, square=1.8) == ["refuted", "holds", "holds"]


def test_the_deviation_of_yang() -> None:
    assert _spectral.deviation(_spectral.SPECTRAL, 1024, 16) == 0.25
    assert _spectral.deviation(_spectral.SPECTRAL, 16, 64) == 0.0625
    assert _spectral.deviation(_spectral.FAN_IN, 16, 64) == 0.125


def test_branches_that_start_at_zero() -> None:
    def verdict(he: float | None, zero: float) -> str:
        found = {}
        for blocks in _zero_ends.BLOCKS:
            losses = {name: {"0.001": [zero] * 3} for name in _zero_ends.STARTS}
            found[f"{blocks} blocks"] = losses | {_zero_ends.HE: {"0.001": [he] * 3}}
        (told,) = verdicts(_zero_ends.ZERO_ENDS, found)
        return told

    assert verdict(None, 0.5) == "holds"
    assert verdict(50.0, 0.5) == "holds"
    assert verdict(1.0, 0.5) == "refuted"
    assert verdict(None, 2.25) == "refuted"


def steps(ones: float, constant: float) -> list[str]:
    losses = {_steps.ONES: ones, _steps.DRAWN: 2.0, _steps.CONSTANT: constant}
    return verdicts(_steps.STEPS, {f"Mamba, {name}": [v] * 8 for name, v in losses.items()})


def test_time_steps() -> None:
    assert steps(2.1, 2.1) == ["holds", "holds"]
    assert steps(1.9, 2.0) == ["refuted", "refuted"]


def test_a_state_block_is_its_recurrence() -> None:
    """In float64, step by step as the docstring says."""
    torch.manual_seed(0)
    block = _steps.StateBlock(8).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    seen = block.norm(x)
    value, gate = block.values(seen).chunk(2, dim=-1)
    value = torch.nn.functional.silu(value).reshape(2, 5, block.heads, -1)
    put, get = block.states(seen).chunk(2, dim=-1)
    step = torch.nn.functional.softplus(block.steps(seen) + block.step_biases)
    state = torch.zeros(2, block.heads, value.shape[-1], _steps.STATES, dtype=torch.float64)
    for t in range(5):
        decay = torch.exp(-step[:, t] * block.log_rates.exp())[..., None, None]
        fed = step[:, t, :, None, None] * value[:, t, ..., None] * put[:, t, None, None]
        state = decay * state + fed
        y = (state * get[:, t, None, None]).sum(-1) + block.direct[:, None] * value[:, t]
        y = block.mixed(y.flatten(1) * torch.nn.functional.silu(gate[:, t]))
        torch.testing.assert_close(block(x)[:, t], x[:, t] + y)


def test_frequencies_of_a_delay() -> None:
    def verdict(real: float) -> list[str]:
        means = {_diagonal.LIN: 0.2, _diagonal.INV: 0.3, _diagonal.REAL: real}
        losses = {name: {"0.01": [mean] * 8} for name, mean in means.items()}
        return verdicts(_diagonal.DIAGONAL, {"delay": {"losses": losses}})

    assert verdict(0.5) == ["holds", "holds"]
    assert verdict(0.25) == ["holds", "refuted"]


def test_a_kernel_is_the_answer_to_an_impulse_and_delays_are_asked_for() -> None:
    model = _diagonal.DelayModel()
    _diagonal.make_plan(_diagonal.INV).apply(model, 0)
    with torch.no_grad():
        kernel = model.find_kernel()
        assert torch.allclose(model(torch.eye(64)[3:4])[0, 3:], kernel[:-3], atol=1e-6)
        # Gu et al. 2022: the last of S4D-Inv's is N / pi (N / (2 N - 1) - 1).
        assert float(model.frequencies[0, -1]) == pytest.approx(8 / math.pi * (8 / 15 - 1))
    inputs, targets = _diagonal.draw_noise(0, 0)
    assert torch.equal(inputs[:, :-16], targets[:, 16:])
    assert not targets[:, :16].any()


def test_mimetic_attention() -> None:
    def verdict(*gains: float) -> list[str]:
        accuracies = {"auto": [0.5] * len(gains), "mimetic": [0.5 + gain for gain in gains]}
        measured = {name: {"accuracy": values} for name, values in accuracies.items()}
        return verdicts(_mimetic.MIMETIC_FAMILY, {"mimetic": measured})

    assert verdict(*[0.03] * 8) == ["holds"]
    assert verdict(*[-0.03] * 8) == ["refuted"]
    assert verdict(*[0.001, -0.001] * 4) == ["refuted"]
    assert verdict(*[0.1, -0.1] * 4) == ["undecided"]


def test_patches_are_squares_of_pixels() -> None:
    """A token reads the four pixels of its patch and no other."""
    model = _mimetic.PatchTransformer(8, 0)
    image = torch.zeros(1, 14, 14)
    image[0, 2:4, 6:8] = 1.0
    seen = []
    model.embed.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(image.flatten(1))
    assert seen[0][0].sum(dim=1).nonzero().flatten().tolist() == [7 + 3]
    assert torch.equal(seen[0][0, 10], torch.ones(4))


def test_images_to_test_on_are_no_others() -> None:
    batch = _images.make_batches([3], 125, 32)
    trained = {tuple(row.tolist()) for step in range(125) for row in batch(step, 3)[0]}
    images, labels = _images.cut_test(3)
    assert len(trained) >= 3990  # of 4,000: few images are alike at 7 x 7
    assert (len(images), len(labels)) == (1000, 1000)
    assert sum(tuple(row.tolist()) in trained for row in images) <= 2
