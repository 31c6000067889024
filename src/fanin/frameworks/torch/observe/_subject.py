"""Subject: the model that a checkup is of, made or found, and what it is run on."""

import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

from fanin._columns import list_once
from fanin.errors import FaninError, one_line
from fanin.frameworks._adapter import Facts
from fanin.frameworks._first_steps import FirstSteps, RunAsked, StepsAsked
from fanin.frameworks._observation import Observation
from fanin.frameworks.torch.observe._objective import Objective
from fanin.frameworks.torch.observe._observe import Detail, observe
from fanin.frameworks.torch.observe._optimizers import find_left_out, is_sgd
from fanin.frameworks.torch.observe._own_loss import takes_labels
from fanin.frameworks.torch.observe._steps import take_steps
from fanin.frameworks.torch.runs._alone import run_alone
from fanin.frameworks.torch.runs._inputs import call_arguments
from fanin.frameworks.torch.runs._tensors import is_number, tensors_in
from fanin.frameworks.torch.trace._failure import locate, refuse_scripted
from fanin.frameworks.torch.tree._names import buffer_names, canonical_names, require_shape
from fanin.frameworks.torch.tree._offloaded import refuse_freed, refuse_offloaded
from fanin.frameworks.torch.write._built import prove_buffers
from fanin.frameworks.torch.write._shards import is_spread, reshard


def build(factory: Callable[[], Any], seed: int) -> Any:
    """What a factory makes when all random states start from this seed; they are put back."""
    with run_alone(seeded=False):
        _seed(seed)
        return factory()


class Subject:
    """What `fanin.frameworks._adapter.Subject` says, of a torch.nn.Module."""

    def __init__(self, model: nn.Module) -> None:
        _refuse_empty(model)
        self._model = model

    @property
    def facts(self) -> Facts:
        """What a report says of the model and the machine."""
        return _facts(self._model)

    @property
    def tiny(self) -> float:
        """The smallest number that the types of the model hold in full."""
        return _smallest_normal(self._model)

    def batch_of(self, inputs: Any) -> int:
        """How many inputs a batch holds: the first size of its first tensor that has one."""
        tensors = list(tensors_in(call_arguments(inputs)))
        if tensors and not any(tensor.numel() for tensor in tensors):
            raise FaninError("inputs hold no values, so there is nothing to measure; pass a batch.")
        return next((len(tensor) for tensor in tensors if tensor.dim() > 0), 1)

    def observe(self, run: RunAsked) -> Observation:
        """One close look, random states started from the seed; they are put back."""
        return _observe(self._model, run, self._objective(run))

    def find_left_out(self, optimizer: object) -> tuple[str, ...]:
        """The trainable parameters that an optimizer did not get."""
        return find_left_out(optimizer, canonical_names(self._model))

    def is_sgd(self, optimizer: object) -> bool:
        """Whether it is torch.optim.SGD, or "sgd"."""
        return is_sgd(optimizer)

    def take_steps(self, run: RunAsked, asked: StepsAsked) -> FirstSteps:
        """The first steps of training, taken back in the end."""
        model, objective = self._model, self._objective(run)
        with _running(model) as start:
            return take_steps(
                model,
                run.inputs,
                objective,
                asked,
                lambda: start(run.seed),
                lambda: _observe(model, run, objective),
            )

    def _objective(self, run: RunAsked) -> Objective:
        labelled = takes_labels(self._model, run.inputs)
        return Objective(run.targets, run.loss, run.seed, labelled)


def subject(model: nn.Module) -> Subject:
    """A module to check; FaninError where a parameter has no values."""
    return Subject(model)


@contextmanager
def _running(model: nn.Module) -> Iterator[Callable[[int], None]]:
    """A run that is differentiated, whatever the caller's modes; starts random states."""
    devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}

    def start(seed: int) -> None:
        _seed(seed)
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)

    with ExitStack() as stack:
        stack.enter_context(run_alone(seeded=False, devices=list(devices)))
        stack.enter_context(_disable_current_modes())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        yield start


def _observe(model: nn.Module, run: RunAsked, objective: Objective) -> Observation:
    with _running(model) as start:
        start(run.seed)
        try:
            seen = observe(model, run.inputs, objective, detail=Detail(run.flat, run.same))
        except FaninError:
            raise
        except Exception as error:
            with _disable_current_modes():
                wrong = [proof for proof in prove_buffers(model, None) if proof.fault]
            told = [f" Buffer {proof.name} is {proof.fault}." for proof in wrong]
            blamed = "".join((told or _find_beyond(model, error))[:1])
            raise FaninError(
                f"{locate(model, error)} does not run on these inputs: "
                f"{one_line(error, named=True)}.{blamed} Check that model(inputs) runs, in the "
                "mode that the model is in."
            ) from error
    return replace(
        seen,
        output=None,
        loss_name=objective.name,
        classes=objective.classes if objective.name == "cross-entropy" else None,
        targets=objective.compared,
    )


def _find_beyond(model: nn.Module, error: Exception) -> list[str]:
    """Buffers of indices that hold one beyond the size that an error of indexing tells."""
    found = re.search(r"index -?\d+ is out of bounds for dimension \d+ with size (\d+)", str(error))
    size = int(found[1]) if found else 0
    return [
        f" Buffer {name} is OUT OF RANGE: it holds {int(low)} to {int(high)}, and indexes {size} "
        "positions."
        for name, buffer in buffer_names(model).items()
        if size and buffer.numel() and not buffer.is_floating_point() and buffer.dtype != torch.bool
        for low, high in [buffer.aminmax()]
        if low < -size or high >= size
    ]


def _refuse_empty(model: nn.Module) -> None:
    """Parameters without values, or of which a process holds a part, cannot be judged."""
    refuse_scripted(model)
    refuse_freed(model)
    reshard(model)
    names = canonical_names(model)
    refuse_offloaded(model, names, "there are no values to check here", "Check")
    for name, tensor in names.items():
        require_shape(name, tensor)
        if is_spread(tensor):
            raise FaninError(
                f"{name} of shape {tuple(tensor.shape)} is sharded, and a sharded model cannot be "
                "checked. Check it before sharding."
            )
        if tensor.is_meta or isinstance(tensor, FakeTensor):
            raise FaninError(
                f"{name} of shape {tuple(tensor.shape)} has no values to check: it is on the meta "
                "device. Call fanin.initialize(model) first."
            )


def _seed(seed: int) -> None:
    random.seed(seed)
    sys.modules["numpy"].random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)


def place(values: Any, model: nn.Module) -> Any:
    """An array, or several in a tuple, as tensors where the model is; real ones in its type.

    On the CPU for a model without memory. None stays None.
    """
    if isinstance(values, tuple):
        return tuple(place(value, model) for value in values)
    if values is None:
        return None
    tensor = torch.from_numpy(values)
    real = next((held for held in model.parameters() if held.is_floating_point()), None)
    if real is None:
        return tensor
    dtype = real.dtype if tensor.is_floating_point() else tensor.dtype
    return tensor.to("cpu" if real.is_meta else real.device, dtype)


def _facts(model: nn.Module) -> Facts:
    parameters = canonical_names(model)
    modes = {module.training for module in model.modules()}
    return Facts(
        model=type(model).__name__,
        parameters=sum(tensor.numel() for tensor in parameters.values()),
        framework=f"torch {torch.__version__}",
        dtype=list_once(str(tensor.dtype).removeprefix("torch.") for tensor in parameters.values()),
        device=list_once(str(tensor.device) for tensor in parameters.values()),
        mode="mixed" if len(modes) > 1 else "train" if modes.pop() else "eval",
    )


def _smallest_normal(model: nn.Module) -> float:
    """The smallest number that the types of a model hold in full."""
    types = {tensor.dtype for tensor in model.parameters() if is_number(tensor)}
    return max((float(torch.finfo(dtype).tiny) for dtype in types), default=0.0)
