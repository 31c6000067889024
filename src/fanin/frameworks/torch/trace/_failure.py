"""Failure: whether a model runs at all, and what to say where it does not."""

import traceback
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    UnsupportedOperatorException,
)

from fanin.errors import FaninError, one_line
from fanin.frameworks.torch.runs._inputs import Arguments
from fanin.frameworks.torch.runs._saved import Saved, write_back
from fanin.frameworks.torch.runs._tensors import map_tensors, tensors_in
from fanin.frameworks.torch.trace._answers import Endless
from fanin.frameworks.torch.trace._mode import Unreadable
from fanin.frameworks.torch.tree._names import module_paths
from fanin.graph import NoGraphError

# What torch and the run itself raise where values are missing.
UNREADABLE = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
    Unreadable,
    Endless,
)


class FailedError(FaninError):
    """A model's forward raised; `by_values` where values are missing that it asked for."""

    def __init__(
        self, model: nn.Module, inputs: Arguments, cause: Exception, by_values: bool = False
    ) -> None:
        self._place = locate(model, cause)
        self._cause = cause
        self.by_values = by_values
        given = "" if [*tensors_in(inputs)] else "There is no tensor in the inputs. "
        super().__init__(
            f"{self._place} does not run on these inputs: {one_line(cause, named=True)}. {given}"
            "Check that model(inputs) runs, or pass inputs=None (in a shell no --input): then its "
            "modules say what its parameters are."
        )

    def without_graph(self) -> NoGraphError:
        """What to raise where the model itself runs."""
        return NoGraphError(
            f"{self._place} asks for what a run without values does not have "
            f"({one_line(self._cause, named=True)})."
        )


def refuse_scripted(model: nn.Module, otherwise: str = "") -> None:
    """FaninError for torch.jit: its parameters stay where they are, its steps are its own."""
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise FaninError(
                f"{path or 'the model'} is scripted by torch.jit and cannot be traced. Pass the "
                f"module that it was scripted from{otherwise}."
            )


def locate(model: nn.Module, error: Exception) -> str:
    """The innermost layer of a model that was running when it raised an error: path and type."""
    paths = module_paths(model)
    path, kind = "", ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and owner in paths:
            path, kind = paths[owner], type(owner).__name__
    return f"{path} ({kind})" if path else "the model"


def has_values(model: nn.Module, inputs: Arguments) -> bool:
    """Whether a model and its inputs have values to run on."""
    held: list[Any] = [*model.parameters(), *model.buffers(), *tensors_in(inputs)]
    return not any(tensor.is_meta or isinstance(tensor, FakeTensor) for tensor in held)


def real_error(model: nn.Module, inputs: Arguments, train: bool | None = None) -> Exception | None:
    """What the model raises when it really runs, in its own or another mode; None where it runs.

    The model is as it was afterwards; the random states are the caller's to put back.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.callback(Saved(model.modules(), tensors=True).restore)
        stack.enter_context(write_back(model.parameters()))
        if train is not None:
            model.train(train)
        args, kwargs = map_tensors(lambda tensor: tensor.detach().clone(), inputs)
        try:
            model(*args, **kwargs)
        except Exception as error:
            return error
    return None
