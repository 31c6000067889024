"""Mode: sees every operation of a run on fake tensors, and hands it to the recorder."""

from contextlib import ExitStack
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._decomp import decomposition_table
from torch._subclasses.fake_tensor import (
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_map_only

from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.operations._aten import FACTORIES, is_known, translate
from fanin.frameworks.torch.record._call import Call
from fanin.frameworks.torch.record._memory import onto_itself, spread
from fanin.frameworks.torch.record._record import Recorder
from fanin.frameworks.torch.runs._tensors import SPARSE, arguments_in, map_arguments, tensors_in
from fanin.frameworks.torch.trace._answers import Answers
from fanin.frameworks.torch.trace._fakes import fake_like
from fanin.frameworks.torch.trace._guesses import Guesses, typical
from fanin.frameworks.torch.trace._shapes import carry_out

# Values of constants are computed up to this many elements.
_KNOWN = 1 << 20

# Operations whose results have a shape that depends on values.
_SHAPED_BY_VALUES = frozenset(
    (
        *("nonzero", "masked_select", "bincount", "repeat_interleave", "_unique", "_unique2"),
        *("unique_dim", "unique_consecutive", "unique_dim_consecutive"),
    )
)
_INDEXING = frozenset(("index", "index_put", "index_put_", "_unsafe_index"))
_READ = torch.ops.aten._local_scalar_dense.default
_DEVICE = torch.ops.prim.device.default


class Unreadable(Exception):  # noqa: N818 - leaves the model's forward, for the tracer alone
    """The model read a value that a run without arithmetic does not have."""


class RecordingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records operations while the fake mode carries them out."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled in a run (`eager`), and saying so at every step takes long."""
        return False

    unpacks = True  # recurrent modules get packed sequences as one sequence: shapes are all

    def __init__(
        self, recorder: Recorder, fakes: FakeTensorMode, answers: Answers | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder
        self.paused = 0  # inside a module that is recorded as a whole
        self.fakes = fakes
        self.answers = answers or Answers()
        self.guesses = Guesses(recorder, self.read_known, self.answers)
        self._adopted: dict[int, tuple[Tensor, Tensor]] = {}

    def adopt(self, tensor: Tensor, entry: TensorEntry | None = None) -> Tensor:
        """The fake twin of a real tensor that the model held or made: a constant."""
        if isinstance(tensor, FakeTensor):
            return tensor
        if id(tensor) not in self._adopted:
            fake = fake_like(self.fakes, tensor)
            self._adopted[id(tensor)] = (tensor, fake)
            self.recorder.set(fake, entry or ConstantTensor(read_value(tensor)))
        return self._adopted[id(tensor)][1]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is _DEVICE:  # asked for at every other step
            return args[0].fake_device if type(args[0]) is FakeTensor else func(*args)
        kwargs = kwargs or {}
        if func.namespace in ("prim", "prims") and "device_put" not in str(func):
            return func(*args, **kwargs)
        tensors = arguments_in(args, kwargs)
        if not all(type(tensor) is FakeTensor for tensor in tensors):
            args, kwargs = map_arguments(self.adopt, (args, kwargs))
            tensors = arguments_in(args, kwargs)
        if kwargs.get("device") is not None:  # one device for all: the record is the same
            kwargs = {**kwargs, "device": torch.device("cpu")}
        if func is _READ:
            return self._read(args[0])
        if func._schema.name in ("aten::equal", "aten::allclose"):
            return self._compares(func, args, kwargs)
        if not self.paused and not is_known(func) and self._follows(tensors):
            with self:
                out = decompose(func, args, kwargs)
            if out is not NotImplemented:
                return out
        value = self._value(func, args, kwargs, tensors)
        sources = None
        if value is None and not self.paused:
            sources = self.guesses.sources(args, kwargs, tensors)
        behind = self.guesses.behind(func, args) if sources is not None else []
        out = self._run(func, args, kwargs, value, sources)
        if not self.paused:
            with unset_fake_temporarily(), torch.no_grad():  # real values are computed beside
                self._record(func, args, kwargs, out, value)
        if sources is not None:
            self.guesses.note(func, sources, out, behind)
        return out

    def look_inside(
        self, node: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Look at what a recurrent module, one node here, does inside: where values are real."""

    def _follows(self, tensors: list[Tensor]) -> bool:
        """Whether an argument is more than a constant."""
        entries = map(self.recorder.entry, tensors)
        return any(not isinstance(entry, ConstantTensor) for entry in entries)

    def _run(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Any, sources: Any
    ) -> Any:
        name = func.overloadpacket.__name__
        if name == "_grouped_mm":  # refuses types on fake tensors that it takes elsewhere
            rows, width = args[0].shape[-2], args[1].shape[-1]
            return args[0].new_empty((*args[0].shape[:-2], rows, width))
        picks = name in _INDEXING and _has_mask(args[1])
        if picks or name in _SHAPED_BY_VALUES:
            return self._shape(func, args, kwargs, value, sources)
        try:
            return carry_out(self.fakes, func, args, kwargs)
        except DynamicOutputShapeException:
            return self._shape(func, args, kwargs, value, sources)

    def _shape(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Any, sources: Any
    ) -> Any:
        """A result shaped by values: theirs if they are known, else by guessed ones."""
        name = func.overloadpacket.__name__
        if name.startswith("index") or name == "_unsafe_index":
            if value is None and sources is not None:
                self.guesses.never_empty(func, sources)
            indices = [self._places(argument) for argument in args[1]]
            flat = [item for several in indices for item in several]
            return func(args[0], flat, *args[2:], **kwargs)
        if value is None:
            if sources is None:
                sources = self.guesses.sources(args, kwargs, arguments_in(args, kwargs))
            value = self.guesses.shape(func, sources)
        return tree_map_only(Tensor, lambda item: fake_like(self.fakes, item), value)

    def _places(self, index: Tensor | None) -> list[Tensor | None]:
        """An index as integers: of a mask, where it is true."""
        if index is None or index.dtype not in (torch.bool, torch.uint8):
            return [index]
        value = self.guesses.of(index)
        with _disable_current_modes():
            places = value.nonzero(as_tuple=True)
        return [fake_like(self.fakes, place) for place in places]

    def read(self, tensor: Tensor) -> Tensor:
        """All values of a tensor, for the model's own Python: known, or guessed."""
        known = self.read_known(tensor)
        if known is not None:
            return known
        self.answers.ask(self.recorder.path[-1])
        return self.guesses.of(tensor)

    def _read(self, tensor: Tensor) -> Any:
        known = self.read_known(tensor)
        with _disable_current_modes():
            if known is not None:
                return known.item()
        entry = self.recorder.entry(tensor)
        if isinstance(entry, ConstantTensor) and entry.noise is not None:
            return typical(entry.noise, tensor.dtype)
        with _disable_current_modes():
            guess = self.guesses.of(tensor).item()
        return self.answers.give(guess, self.recorder.path[-1])

    def _compares(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether two tensors are equal, or nearly."""
        known = [self.read_known(argument) for argument in args[:2]]
        with _disable_current_modes():
            values = [self.guesses.of(argument) for argument in args[:2]]
            same = args[0] is args[1] or bool(func(*values, *args[2:], **kwargs))
        if all(item is not None for item in known):
            return same
        return bool(self.answers.give(same, self.recorder.path[-1]))

    def read_known(self, tensor: Tensor) -> Tensor | None:
        entry = self.recorder.entry(tensor)
        if isinstance(entry, ConstantTensor):
            return entry.value if entry.noise is None else None
        return entry.value if isinstance(entry, ActivationTensor) else None

    def _value(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]
    ) -> Any:
        """The real result, where all arguments are known; None where they are not."""
        name = func.overloadpacket.__name__
        if _has_no_value(func):
            return None
        known: dict[int, Tensor] = {}
        for tensor in tensors:
            value = self._stand_in(tensor, name)
            if value is None:
                return None
            known[id(tensor)] = value
        if _is_large(func, args, kwargs):
            return None
        if not tensors and "device" in {argument.name for argument in func._schema.arguments}:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        with ExitStack() as stack:
            stack.enter_context(_disable_current_modes())
            stack.enter_context(torch.no_grad())
            real = map_arguments(lambda item: known[id(item)], (args, kwargs))
            try:
                return func(*real[0], **real[1])
            except (RuntimeError, NotImplementedError, IndexError):
                return None  # a value that only the record wants

    def _stand_in(self, tensor: Tensor, name: str) -> Tensor | None:
        """The values of an argument; any, where the operation reads its shape alone."""
        if name not in FACTORIES:
            return self.read_known(tensor)
        with _disable_current_modes():
            return torch.zeros((), dtype=tensor.dtype, device="cpu").expand(tensor.shape)

    def _record(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, value: Any
    ) -> None:
        call = Call(func, args, kwargs, out, self.recorder)
        outs = call.outs
        if not outs:
            return
        entries = translate(call)
        values = list(tensors_in(value)) if value is not None else [None] * len(outs)
        for tensor, entry, known in zip(outs, entries, values, strict=False):
            small = known is not None and known.numel() <= _KNOWN
            if small and not isinstance(entry, ParameterTensor) and not _is_noise(entry):
                entry = (
                    ConstantTensor(known, name=getattr(entry, "name", "constant"))
                    if isinstance(entry, ConstantTensor)
                    else ActivationTensor(entry.node, known)
                )
            written = call.writes and any(tensor is source for source in call.inputs())
            self.recorder.set(tensor, entry)
            if written and call.name not in ("fill", "zero") and not onto_itself(call):
                spread(self.recorder, tensor, entry)
        if call.writes:
            _set_written(call, entries)


def _is_noise(entry: TensorEntry) -> bool:
    """Whether it is what it is by its distribution: a real run's values say less."""
    return isinstance(entry, ConstantTensor) and entry.noise is not None


def decompose(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operation carried out as those that it consists of; NotImplemented if it is one."""
    parts = decomposition_table.get(func)
    return func.decompose(*args, **kwargs) if parts is None else parts(*args, **kwargs)


def _set_written(call: Call, entries: list[TensorEntry]) -> None:
    """Arguments that the operation wrote without returning them."""
    outs = {id(item) for item in tensors_in(call.out)}
    for argument in call.func._schema.arguments:
        target = call.get(argument.name)
        written = argument.alias_info is not None and argument.alias_info.is_write
        if not written or not isinstance(target, Tensor) or id(target) in outs:
            continue
        if isinstance(call.entry(target), ConstantTensor) and "norm" not in call.name:
            call.recorder.set(target, entries[0])


def read_value(tensor: Tensor) -> Tensor | None:
    """A copy of a real tensor's values on the CPU; None where it has none, or very many."""
    if tensor.is_meta or isinstance(tensor, FakeTensor) or tensor.numel() > _KNOWN:
        return None
    if tensor.is_quantized:
        return None
    sparse = tensor.layout in SPARSE
    if tensor.layout is not torch.strided and not sparse:
        return None
    with _disable_current_modes(), torch.no_grad():
        tensor = tensor.to_dense() if sparse else tensor
        return tensor.detach().to("cpu", copy=True)


@cache
def _has_no_value(func: Any) -> bool:
    """Whether what an operation returns is drawn, or whatever its memory held."""
    drawn = torch.Tag.nondeterministic_seeded in func.tags
    return drawn or func.overloadpacket.__name__.startswith(("empty", "new_empty"))


def _has_mask(indices: Any) -> bool:
    return any(isinstance(index, Tensor) and index.dtype == torch.bool for index in indices)


def _is_large(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a factory, or an expansion, would make more values than are kept."""
    sizes = [argument for argument in args if isinstance(argument, (list, tuple)) and argument]
    counted = [item for item in sizes if all(isinstance(size, int) for size in item)]
    product = 1
    for size in counted[0] if counted else ():
        product *= max(abs(int(size)), 1)
    numbers = [
        argument
        for argument in args
        if isinstance(argument, int) and not isinstance(argument, bool)
    ]
    if func.overloadpacket.__name__ == "arange" and numbers:
        product = max(map(abs, numbers))
    return product > _KNOWN
