"""The starts of the cells: a network with the weights of one seed."""

import re
import warnings

import torch
from torch import Tensor, nn

import fanin
from bench.calibration.families.grid import Cell
from bench.calibration.families.tasks import Task, task_of
from bench.starts.protocol import prepare_torch
from fanin import initializers

NORMALIZATIONS = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d)
EXAMPLE = 0  # the seed of the batch that `auto` sees
SPECS = {
    "he": "he_normal",
    "glorot": "glorot_normal",
    "lecun": "lecun_normal",
    "orthogonal": "orthogonal",
    "uniform 0..1": "uniform(0, 1)",
    "uniform -.5...5": "uniform(-0.5, 0.5)",
    "zeros": "zeros",
    "constant": "constant(0.1)",
    "bias -5": "he_normal",
    "zero head": "he_normal",
}


def prepare() -> None:
    """One thread, and no warnings of rules at starts that are wrong on purpose."""
    prepare_torch()
    warnings.simplefilter("ignore")


def build(cell: Cell, seed: int) -> nn.Module:
    """The cell's network with the weights of one seed."""
    task = task_of(cell)
    torch.manual_seed(seed)
    model = task.build(cell)
    with torch.no_grad():
        _start(model, cell, seed, task)
    return model


def _start(model: nn.Module, cell: Cell, seed: int, task: Task) -> None:
    start = cell.start
    if start == "auto":
        example, _ = task.draw_batch(torch.Generator().manual_seed(EXAMPLE))
        fanin.initialize(model, seed, example)
    elif factor := re.fullmatch(r"own x (.+)", start):
        _scale(model, float(factor[1]))
    elif start != "own":
        spec = SPECS.get(start) or f"normal(0, {start.removeprefix('std ')})"
        _draw(model, spec, seed)
        _set_biases(model, -5.0 if start == "bias -5" else 0.0)
        if start == "zero head":
            _weights(model)[-1][1].zero_()


def _weights(model: nn.Module) -> list[tuple[str, Tensor]]:
    """All parameters of two axes or more: of linear maps, recurrences, tables, positions."""
    return [(name, value) for name, value in model.named_parameters() if value.ndim > 1]


def _scale(model: nn.Module, factor: float) -> None:
    for _, value in _weights(model):
        value.mul_(factor)


def _draw(model: nn.Module, spec: str, seed: int) -> None:
    """Weights by the initializer, each by its own fans."""
    initializer = initializers.get(spec)
    for name, value in _weights(model):
        value.copy_(torch.from_numpy(initializer(tuple(value.shape), seed=seed, name=name)))


def _set_biases(model: nn.Module, hidden: float) -> None:
    """Those of the readout are zero, and normalizations keep theirs."""
    biases = [
        value
        for name, value in model.named_parameters()
        if "bias" in name
        and not isinstance(model.get_submodule(name.rpartition(".")[0]), NORMALIZATIONS)
    ]
    for value in biases:
        value.fill_(hidden)
    biases[-1].zero_()
