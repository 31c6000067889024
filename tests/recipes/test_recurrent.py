"""Recurrent layers: the size of their state, and what the layers of a stack read."""

import pytest
import torch
from torch import nn

import fanin
from fanin.recipes._parameters import _STATE

STEPS, SAMPLES, INPUTS, WIDTH = 60, 16, 64, 128


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_the_state_has_the_second_moment_that_plans_count_with(layer: type[nn.RNNBase]) -> None:
    """Mean square of 20 x 16 x 128 values: seeds and widths differ by less than 5 %."""
    model = layer(INPUTS, WIDTH, batch_first=True)
    inputs = torch.from_numpy(fanin.Stream(0, "inputs").normal((SAMPLES, STEPS, INPUTS)))
    fanin.initialize(model, seed=0, inputs=inputs)
    with torch.no_grad():
        state = model(inputs)[0][:, -20:]
    expected = _STATE[layer.__name__.lower()]
    assert state.square().mean().item() == pytest.approx(expected, rel=0.05)


def test_the_first_layer_is_sized_for_its_input_and_those_above_are_not() -> None:
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.LSTM(10, 8, 2, bidirectional=True))
    plan = fanin.plan(model, torch.zeros(3, 2, 6))
    for end in ("", "_reverse"):
        first, above = plan[f"2.weight_ih_l0{end}"], plan[f"2.weight_ih_l1{end}"]
        assert str(first.initializer) == "he_normal()"
        assert first.why == "input through relu has second moment 0.5"
        assert str(above.initializer) == "lecun_normal()"
        assert above.why == "state of the layer below has second moment 0.053"
        assert str(plan[f"2.weight_hh_l1{end}"].initializer) == "orthogonal(1.0)"


def test_cells_read_what_feeds_them() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(5, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = x.new_zeros(len(x), 7)
            for _ in range(3):
                state = self.cell(torch.relu(x), state)
            return state

    plan = fanin.plan(Loop(), torch.zeros(2, 5))
    assert plan["cell.weight_ih"].why == "input through relu has second moment 0.5"


def test_an_override_of_a_recurrent_weight_stands() -> None:
    model = nn.GRU(5, 7)
    plan = fanin.plan(model, torch.zeros(3, 2, 5), overrides={"weight_ih*": "zeros"})
    assert str(plan["weight_ih_l0"].initializer) == "zeros()"
