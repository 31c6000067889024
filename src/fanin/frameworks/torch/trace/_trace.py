"""Trace: one run of a model on fake tensors, as a graph of what it did with its parameters."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributions import Distribution
from torch.utils._python_dispatch import _disable_current_modes

from fanin.errors import FaninError
from fanin.frameworks.recording._finish import finish
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor
from fanin.frameworks.recording._weights import whole
from fanin.frameworks.torch.record._formula import ParameterFormula
from fanin.frameworks.torch.record._record import Recorder
from fanin.frameworks.torch.runs._alone import pause_collection, run_alone
from fanin.frameworks.torch.runs._inputs import Arguments, call_arguments
from fanin.frameworks.torch.runs._tensors import is_number, map_tensors, nothing_in, tensors_in
from fanin.frameworks.torch.trace._answers import Answers
from fanin.frameworks.torch.trace._disguise import disguise
from fanin.frameworks.torch.trace._failure import (
    UNREADABLE,
    FailedError,
    has_values,
    real_error,
    refuse_scripted,
)
from fanin.frameworks.torch.trace._fakes import conversions, fake_like, fake_model
from fanin.frameworks.torch.trace._mode import RecordingMode, read_value
from fanin.frameworks.torch.trace._packed import PackingMode
from fanin.frameworks.torch.trace._running import running_paths
from fanin.frameworks.torch.tree._names import (
    buffer_names,
    canonical_names,
    find_wrapped,
    module_paths,
)
from fanin.frameworks.torch.tree._offloaded import refuse_offloaded
from fanin.frameworks.torch.write._buffers import typical_buffers
from fanin.graph import Graph


def trace(model: nn.Module, inputs: Any, rename: Mapping[str, str] | None = None) -> Graph:
    """The operations that a model runs on these inputs, without memory and arithmetic.

    The model runs once on fake tensors, in train mode, so that dropout shows; where it fails
    so, or leaves parameters unused, once more in eval mode. Its parameters may be on any
    device, meta too. The model is as it was afterwards, and what it holds, lists and objects
    too; what forward writes to globals and classes stays.

    Where forward reads a value that the run does not have, it gets the one that it would have if
    all layers gave standard normal values, and another one where that makes it raise;
    `Graph.guessed` names the modules that asked.

    `inputs` is a tensor, a tuple (positional) or a dict (keywords), nested as the model wants
    it; integers and masks among them are read, other values are where forward asks for them, and
    types of numbers are not checked. Forward hooks run as they do in any call, for they may be a
    part of the model: what they see is fake. Only one model is traced at a time; other threads may
    run other models meanwhile. Raises FaninError where the model does not run, NoGraphError where
    it does and this run does not.

    >>> import torch
    >>> graph = trace(torch.nn.Linear(3, 2), torch.zeros(5, 3))
    >>> [node.op for node in graph.nodes]
    ['input', 'linear', 'shift']
    """
    while (attribute := find_wrapped(model)) is not None:
        model = model.get_submodule(attribute)
    # Modes of the caller (fake tensors of its own, counters) have no part in it.
    names = canonical_names(model, rename)
    refuse_offloaded(model, names, "a run on fake tensors cannot follow it", "Plan")
    with (
        run_alone(seeded=True),
        pause_collection(),
        _disable_current_modes(),
        typical_buffers(model),
    ):
        return _trace(model, names, call_arguments(inputs))


def _trace(model: nn.Module, names: dict[str, nn.Parameter], inputs: Arguments) -> Graph:
    """The graph of the run that used the most parameters."""
    refuse_scripted(
        model,
        ", or inputs=None (in a shell no --input): then its modules say what its parameters are",
    )
    found: Graph | None = None
    failure: FaninError | None = None
    answers, affirmative = Answers(), Answers(affirmative=True)
    attempts = (
        *((True, True, answers), (False, True, answers), (True, False, answers)),
        (True, True, affirmative),
    )
    # Frozen parameters run as trainable ones, which torch computes otherwise; but a model may
    # write into its frozen ones, which torch refuses then.
    for train, trainable, given in attempts:
        if found is not None and (
            not found.unused or not trainable or (given is affirmative and not found.guessed)
        ):
            continue
        try:
            graph = _run_answered(model, inputs, names, given, train=train, trainable=trainable)
        except FaninError as error:
            failure = failure or error
            continue
        if found is None or len(graph.unused) < len(found.unused):
            found = graph
    if found is None:
        assert failure is not None
        raise _judge(failure, model, inputs)
    return found


def _run_answered(
    model: nn.Module,
    inputs: Arguments,
    names: dict[str, nn.Parameter],
    answers: Answers,
    *,
    train: bool,
    trainable: bool,
) -> Graph:
    """One run, repeated with other answers where the model raises for those that it got."""
    first: FailedError | None = None
    while True:
        answers.start()
        try:
            graph = _run(model, inputs, names, answers, train=train, trainable=trainable)
            return dataclasses.replace(graph, guessed=tuple(answers.modules))
        except FailedError as error:
            if first is None and answers.modules and has_values(model, inputs):
                real = real_error(model, inputs, train)
                if real is not None:  # no fault of the guess
                    raise FailedError(model, inputs, real) from real
            first = first or error
            if not answers.revise():
                raise first from None


def _judge(failure: FaninError, model: nn.Module, inputs: Arguments) -> FaninError:
    """Whether the model fails, or only the run on fake tensors, which is no fault of it."""
    if not isinstance(failure, FailedError):
        return failure
    if not has_values(model, inputs):
        return failure.without_graph() if failure.by_values else failure
    error = real_error(model, inputs)
    return failure.without_graph() if error is None else FailedError(model, inputs, error)


def _run(
    model: nn.Module,
    inputs: Arguments,
    names: dict[str, nn.Parameter],
    answers: Answers,
    *,
    train: bool,
    trainable: bool,
) -> Graph:
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    recorder = Recorder()
    mode = RecordingMode(recorder, fakes, answers)
    buffers = buffer_names(model)
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(eager())
        stack.enter_context(_silent())
        stack.enter_context(_without_validation())
        stack.enter_context(disguise())
        parameters, held = stack.enter_context(
            fake_model(model, fakes, train=train, trainable=trainable)
        )
        for name, tensor in names.items():
            recorder.set(parameters[id(tensor)], whole(name, tensor.shape, ParameterFormula))
            mode.guesses.hold(parameters[id(tensor)], tensor)
            recorder.shapes[name] = tuple(tensor.shape)
            known = None if tensor.requires_grad else read_value(tensor)
            if known is not None:
                recorder.frozen[name] = known
        for name, buffer in buffers.items():
            recorder.set(held[id(buffer)], ConstantTensor(read_value(buffer), name=name))
        args, kwargs = _arguments(inputs, mode)
        stack.enter_context(running_paths(module_paths(model), mode))
        stack.enter_context(conversions(recorder))
        stack.enter_context(fakes)
        stack.enter_context(mode)
        stack.enter_context(PackingMode(mode))
        result = _forward(model, args, kwargs, mode)
        outputs = _outputs(result, recorder)
        if answers.modules:
            mode.guesses.say_typical()
    return finish(recorder, outputs, list(names))


def _forward(model: nn.Module, args: Any, kwargs: Any, mode: RecordingMode) -> Any:
    try:
        return model(*args, **kwargs)
    except Exception as error:
        asked = bool(mode.answers.modules) or isinstance(error, UNREADABLE)
        raise FailedError(model, (args, kwargs), error, by_values=asked) from error


def _arguments(inputs: Arguments, mode: RecordingMode) -> Arguments:
    """Fake inputs, as positional and keyword arguments; each is a node."""
    known: dict[int, Tensor] = {}

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in known:
            real = is_number(tensor)
            made = mode.recorder.emit("input", (), tensor.shape, label="" if real else "integers")
            if not real:
                mode.recorder.integers.add(made.node)
            if not real or _is_adjacency(tensor):
                made = ActivationTensor(made.node, read_value(tensor))
            known[id(tensor)] = fake_like(mode.fakes, tensor)
            mode.recorder.set(known[id(tensor)], made)
            mode.guesses.hold(known[id(tensor)], tensor)
        return known[id(tensor)]

    made: Arguments = map_tensors(fake, inputs)
    return made


def _is_adjacency(tensor: Tensor) -> bool:
    """Whether an input says which of its rows are neighbours: it mixes positions, as given."""
    if tensor.dim() not in (2, 3) or not 1 < tensor.shape[-1] == tensor.shape[-2]:
        return False
    known = read_value(tensor)
    if known is None or known.is_complex() or bool((known < 0).any()):
        return False
    return bool((known > 0).any()) and bool((known == 0).any())


def _outputs(result: Any, recorder: Recorder) -> list[int]:
    """The nodes of what the model returned; integers only where there is nothing else."""
    tensors = list(tensors_in(result))
    real = [tensor for tensor in tensors if is_number(tensor)]
    nodes = [recorder.activation(item).node for item in real or tensors]
    if not nodes:
        raise FaninError(nothing_in(result))
    return list(dict.fromkeys(nodes))


def eager() -> Any:
    """Compiled modules and functions run as they were written."""
    import torch._dynamo  # which every fake run loads sooner or later

    return torch.compiler.set_stance("force_eager")


@contextmanager
def _silent() -> Iterator[None]:
    """torch logs an operation that fails on fake tensors; the error says it here."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def _without_validation() -> Iterator[None]:
    """Distributions do not ask whether their parameters are valid: there are no values."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)
