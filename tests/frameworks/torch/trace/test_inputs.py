"""Inputs of a trace: what is refused and how it is said, and packed sequences."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from fanin.errors import FaninError
from fanin.frameworks.torch import observe, trace
from fanin.frameworks.torch.observe._measure import TorchProbe

X = torch.ones(4, 8)
NESTED = [torch.ones(2, 8), torch.ones(3, 8)]


@pytest.mark.parametrize("run", [trace, TorchProbe, observe])
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([X], r"^inputs is a list; it is a tensor, a tuple \(positional\) or a dict \(keywords\)"),
        ([X], r"gets it as a tuple of one: \(\[...\],\)\.$"),
        (np.ones((4, 8)), r"^inputs is an ndarray; .* Pass torch.from_numpy\(inputs\)\.$"),
        (3, r"^inputs is an int; it is a tensor"),
        (None, r"^inputs is a NoneType; it is a tensor"),
        ({3: X}, r"^inputs has the key 3; its keys are names of arguments"),
        (
            {"input": [torch.nested.nested_tensor(NESTED, layout=torch.jagged)]},
            r"^inputs hold a nested tensor.*Pass it padded",
        ),
    ],
)
def test_inputs_that_are_none(run, inputs: object, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FaninError, match=message):
        run(nn.Linear(8, 3), inputs)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_of_the_old_layout() -> None:
    with pytest.raises(FaninError, match=r"^inputs hold a nested tensor.*Pass it padded"):
        trace(nn.Linear(8, 3), torch.nested.nested_tensor(NESTED))


def test_inputs_without_memory_are_not_measured() -> None:
    message = r"inputs hold a tensor of shape \(4, 8\) without memory.*Pass a batch of real data"
    with pytest.raises(FaninError, match=message):
        TorchProbe(nn.Linear(8, 3), X.to("meta"))


def test_a_model_that_fails_before_any_operation() -> None:
    with pytest.raises(FaninError, match=r"on these inputs: TypeError: .* There is no tensor in"):
        trace(nn.Linear(8, 3), (2, 8))
    with pytest.raises(FaninError) as caught:
        trace(nn.Linear(8, 3), (X, X))
    assert "last operation" not in str(caught.value)
    assert "no tensor" not in str(caught.value)
    assert ".." not in str(caught.value)


class Reader(nn.Module):
    """Packs, runs a recurrent layer, and pads again."""

    def __init__(self, layer: type[nn.RNNBase] = nn.LSTM, batch_first: bool = True) -> None:
        super().__init__()
        self.first = batch_first
        self.table = nn.Embedding(9, 8)
        options = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
        self.layer = layer(8, 6, **options)  # type: ignore[arg-type]
        self.head = nn.Linear(12, 2)

    def forward(self, ids: Tensor, lengths: Tensor | list[int]) -> tuple[Tensor, Tensor, Tensor]:
        x = pack_padded_sequence(self.table(ids), lengths, self.first, enforce_sorted=False)
        y, state = self.layer(x)
        padded, sizes = pad_packed_sequence(y, self.first, total_length=6)
        return self.head(padded), state[0] if isinstance(state, tuple) else state, sizes


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [True, False])
def test_packed_sequences_keep_their_shapes(layer: type[nn.RNNBase], batch_first: bool) -> None:
    model = Reader(layer, batch_first)
    ids = torch.zeros((3, 5) if batch_first else (5, 3), dtype=torch.long)
    lengths = [2, 5, 3]
    outputs = model(ids, lengths)
    for given in (lengths, torch.tensor(lengths)):
        graph = trace(model, (ids, given))
        shapes = [graph.nodes[out].shape for out in graph.outputs]
        assert shapes == [tuple(one.shape) for one in outputs[:2]]
        (recurrent,) = [node for node in graph.nodes if node.op == "recurrent"]
        assert recurrent.module == "layer"
        assert recurrent.shape == (10, 12)  # the packed elements
        assert [graph.nodes[one].op for one in recurrent.inputs] == ["view"]
        assert not graph.unused


def test_a_packed_sequence_as_the_input() -> None:
    packed = pack_padded_sequence(torch.ones(3, 5, 8), torch.tensor([5, 3, 2]), batch_first=True)
    model = nn.LSTM(8, 6)
    for inputs in (packed, (packed,)):
        graph = trace(model, inputs)
        node = next(node for node in graph.nodes if node.op == "recurrent")
        assert [graph.nodes[one].shape for one in node.inputs] == [(10, 8)]
    output, (state, _) = model(packed)
    assert isinstance(output, PackedSequence)
    assert [graph.nodes[out].shape for out in graph.outputs] == [
        tuple(output.data.shape),
        *[tuple(state.shape)] * 2,
    ]


def test_a_real_run_of_a_packed_sequence_is_left_alone() -> None:
    torch.manual_seed(0)
    model, ids = Reader(), torch.arange(15).reshape(3, 5) % 9
    expected = model(ids, [2, 5, 3])
    seen = observe(model, (ids, [2, 5, 3]))
    assert all(torch.equal(a, b) for a, b in zip(seen.output, expected, strict=True))


def test_masks_that_are_made_again_are_told_by_their_node() -> None:
    """As in attention layers one behind another: their known values have no one truth."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 8)

        def forward(self, ids: Tensor) -> Tensor:
            rows: Tensor = self.table(ids)
            for _ in range(2):
                room = rows.new_ones(4).masked_fill(ids > 1, -1e9)
                room[:2] = torch.where(ids > 1, -torch.inf, room)[:2]
                rows = rows * room[:, None]
            return rows

    assert not trace(Model(), torch.arange(4)).unused
