"""Guesses: values in place of those that a run on fake tensors does not have.

Where a model asks for a value, it gets the one that it would have if every layer gave standard
normal values: computed from there on by the model's own operations, when it is asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, Noise, TensorEntry
from fanin.frameworks.torch.operations import _products
from fanin.frameworks.torch.record._memory import overlap
from fanin.frameworks.torch.record._record import Recorder
from fanin.frameworks.torch.runs._tensors import map_arguments, tensors_in
from fanin.frameworks.torch.trace._answers import Answers
from fanin.streams import Stream

_LARGEST = 1 << 24  # elements of a tensor that is computed with; a larger one's results are drawn
_KEPT = 1 << 16  # elements of a value that is kept, lest a loop computes it again and again

# What layers and random operations give is drawn, whatever they are given.
_DRAWN = frozenset((*_products.TABLE, "empty", "empty_like", "new_empty", "empty_strided"))
# Indices of a largest value: every place is chosen equally often.
_CHOOSING = {"argmax": 0, "argmin": 0, "multinomial": 0, "topk": 1, "max": 1, "min": 1}
_PICKING = ("nonzero", "masked_select", "index", "_unsafe_index")


@dataclass(frozen=True, slots=True)
class GuessedArguments:
    """The arguments of an operation, and by tensor what stood behind each before it wrote."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    behind: dict[int, "Tensor | Guess"]

    def tree(self) -> Any:
        """The arguments with what stands behind them in their places."""

        def change(tensor: Tensor) -> "Tensor | Guess":
            return self.behind.get(id(tensor), tensor)

        return map_arguments(change, (self.args, self.kwargs))


class Guess:
    """A tensor's value: of an operation on other guesses and on known tensors, or drawn."""

    __slots__ = ("_call", "_value", "like", "real")

    def __init__(
        self,
        like: Tensor,
        call: tuple[Any, GuessedArguments, int] | None = None,
        real: Tensor | None = None,
    ) -> None:
        self.like = like  # the fake tensor: shape and type
        self.real = real  # one of a parameter or an input, whose values may be asked for
        self._call = call
        self._value: Tensor | None = None

    def value(self) -> Tensor:
        """Computed without recursion: a loop makes long chains."""
        large: list[Guess] = []
        waiting = [self]
        while waiting:
            guess = waiting[-1]
            missing = [source for source in guess._sources() if source._value is None]
            if guess._value is None and missing:
                waiting.extend(missing)
                continue
            if guess._value is None:
                guess._value = guess._compute()
                if guess._value.numel() > _KEPT:
                    large.append(guess)
            waiting.pop()
        found = self._value
        assert found is not None
        for item in large:
            item._value = None
        return found

    def choose_all(self) -> Tensor:
        """From now on a mask that leaves everything in."""
        self._value, self._call = torch.ones(self.like.shape, dtype=torch.bool, device="cpu"), None
        return self._value

    def _sources(self) -> Iterator["Guess"]:
        if self._call is not None:
            yield from (item for item in self._call[1].behind.values() if isinstance(item, Guess))

    def _compute(self) -> Tensor:
        if self._call is not None:
            func, given, position = self._call
            args, kwargs = given.tree()
            result = _carry_out(func, args, kwargs, position)
            if result is not None and result.shape == self.like.shape:
                return result
        return _read_own(self.real) if self.real is not None else draw(self.like)


class Guesses:
    """The guess of every tensor of a run that has no known value."""

    def __init__(
        self, recorder: Recorder, known: Callable[[Tensor], Tensor | None], answers: Answers
    ) -> None:
        self._recorder = recorder
        self._known = known
        self._answers = answers
        self._held: dict[int, tuple[TensorEntry | None, Guess]] = {}  # valid for this entry alone

    def hold(self, fake: Tensor, real: Tensor) -> None:
        """The values of a parameter or an input stand behind a fake tensor."""
        self._set(fake, Guess(fake, real=real))

    def sources(self, args: Any, kwargs: Any, tensors: list[Tensor]) -> GuessedArguments:
        """The arguments of an operation, `tensors` among them, as they are before it writes."""
        return GuessedArguments(
            args, kwargs, {id(tensor): self._source(tensor) for tensor in tensors}
        )

    def behind(self, func: Any, args: Any) -> list[tuple[Tensor, Tensor | Guess]]:
        """What else lies in the memory that an operation writes, before it does."""
        if not func._schema.is_mutable or not isinstance(args[0], Tensor):
            return []
        others = self._recorder.sharing(args[0])
        return [(other, self._source(other)) for other in others if overlap(args[0], other)]

    def note(
        self,
        func: Any,
        sources: GuessedArguments,
        out: Any,
        behind: list[tuple[Tensor, Tensor | Guess]],
    ) -> None:
        """What an operation returned, and what it wrote into the memory of others."""
        for position, tensor in enumerate(tensors_in(out)):
            self._set(tensor, Guess(tensor, (func, sources, position)))
        if isinstance(out, Tensor):
            for other, before in behind:
                written = _GuessAfterWrite(_place(other), _place(out))
                both = before, self._source(out)
                given = GuessedArguments(both, {}, {id(item): item for item in both})
                self._set(other, Guess(other, (written, given, 0)))

    def _set(self, tensor: Tensor, guess: Guess) -> None:
        self._held[id(tensor)] = (self._recorder.entry(tensor), guess)

    def of(self, tensor: Tensor) -> Tensor:
        """The value of a tensor, known or guessed."""
        with _disable_current_modes(), torch.no_grad():
            found = self._source(tensor)
            return found.value() if isinstance(found, Guess) else found

    def say_typical(self) -> None:
        """Tells the nodes that feed a weight the mean squares of their guesses."""
        nodes = self._recorder.nodes
        fed = {source for node in nodes if node.op == "linear" for source in node.inputs}
        for entry, guess in self._held.values():
            if isinstance(entry, ActivationTensor) and entry.node in fed:
                self._recorder.replace_node(entry.node, typical=partial(_mean_square, guess))

    def shape(self, func: Any, sources: GuessedArguments) -> Any:
        """The result of an operation whose shape depends on values."""
        self.never_empty(func, sources)
        with _disable_current_modes(), torch.no_grad():
            return _run(func, *sources.tree())

    def never_empty(self, func: Any, sources: GuessedArguments) -> None:
        """What a mask picks is not nothing at first: a layer behind it would not be seen."""
        if func.overloadpacket.__name__ not in _PICKING:
            return
        with _disable_current_modes(), torch.no_grad():
            for leaf in sources.behind.values():
                if not isinstance(leaf, Guess) or leaf.like.dtype != torch.bool:
                    continue
                if not leaf.like.numel() or leaf.value().any():
                    continue
                if self._answers.give(True):
                    leaf.choose_all()

    def _source(self, tensor: Tensor) -> Tensor | Guess:
        known = self._known(tensor)
        if known is not None:
            return known
        entry = self._recorder.entry(tensor)
        held, guess = self._held.get(id(tensor), (None, None))
        if guess is None or held is not entry:
            guess = Guess(tensor)
            if isinstance(entry, ConstantTensor) and entry.noise is not None:
                kept = typical(entry.noise, tensor.dtype)
                guess._value = torch.full(tensor.shape, kept, dtype=tensor.dtype, device="cpu")
            self._held[id(tensor)] = (entry, guess)
        return guess


@dataclass(frozen=True, slots=True)
class _GuessAfterWrite:
    """A tensor after another one in its memory was written; both by size, stride and offset."""

    own: tuple[Any, ...]
    other: tuple[Any, ...]

    def __call__(self, before: Tensor, written: Tensor) -> Tensor:
        ends = [
            offset + sum((size - 1) * step for size, step in zip(shape, steps, strict=True)) + 1
            for shape, steps, offset in (self.own, self.other)
        ]
        memory = torch.empty(max(ends), dtype=before.dtype, device="cpu")
        memory.as_strided(*self.own).copy_(before)
        memory.as_strided(*self.other).copy_(written)
        return memory.as_strided(*self.own).clone()


def _place(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.storage_offset()


def _mean_square(guess: Guess) -> float:
    with _disable_current_modes(), torch.no_grad():
        found = guess.value()
        wide = found.to(torch.complex128 if found.is_complex() else torch.float64)
        return float((wide.abs() ** 2).mean())


def typical(noise: Noise, dtype: torch.dtype) -> float | bool:
    """What a random value is taken for: a layer that is dropped now and then is kept."""
    if noise.kind == "bernoulli":
        kept = noise.rate <= 0.5
        return kept if dtype == torch.bool else float(kept)
    return noise.rate + (noise.scale / 2 if noise.kind == "uniform" else 0.0)


def draw(like: Tensor) -> Tensor:
    """Standard normal values, the same for the same shape; truth, or zero, of other types."""
    shape, dtype = tuple(like.shape), like.dtype
    if dtype == torch.bool:
        return torch.ones(shape, dtype=dtype, device="cpu")
    if not (dtype.is_floating_point or dtype.is_complex) or prod(shape) > _LARGEST:
        return torch.zeros((), dtype=dtype, device="cpu").expand(shape)
    values = np.asarray(Stream(0, "guess").normal(shape))
    return torch.from_numpy(values).to(dtype)


def _read_own(real: Tensor) -> Tensor:
    """The values of an input, or of a parameter that is constant; others are to be drawn."""
    empty = real.is_meta or isinstance(real, FakeTensor) or real.layout is not torch.strided
    if empty or real.numel() > _LARGEST or not real.numel():
        return draw(real)
    value = real.detach().to("cpu", copy=True)
    constant = bool((value == value.reshape(-1)[0]).all())
    if isinstance(real, torch.nn.Parameter):
        return value if constant else draw(real)
    placeholder = constant and real.numel() > 1 and not value.any()  # zeros say a shape alone
    return draw(real) if placeholder else value


def _carry_out(func: Any, args: Any, kwargs: Any, position: int) -> Tensor | None:
    """One result of an operation on guesses; None where it is drawn."""
    if isinstance(func, _GuessAfterWrite):
        return func(
            *(argument.value() if isinstance(argument, Guess) else argument for argument in args)
        )
    name = func.overloadpacket.__name__.removesuffix("_")
    tensors = [
        leaf.like if isinstance(leaf, Guess) else leaf for leaf in tree_leaves((args, kwargs))
    ]
    sizes = [tensor.numel() for tensor in tensors if isinstance(tensor, Tensor)]
    if name in _DRAWN or max(sizes, default=0) > _LARGEST:
        return None
    with suppress(RuntimeError, NotImplementedError, IndexError, TypeError, ValueError):
        found = list(tensors_in(_run(func, args, kwargs)))[position]
        if _CHOOSING.get(name) == position and not found.is_floating_point():
            return _evenly(name, tensors[0], args, found)
        return found
    return None


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    """The operation carried out; copies are written, not the sources."""
    written = func._schema.is_mutable

    def real(tensor: Any) -> Any:
        if isinstance(tensor, Guess):
            tensor = tensor.value()
        return tensor.clone() if written and isinstance(tensor, Tensor) else tensor

    kwargs = {**kwargs, "device": torch.device("cpu")} if kwargs.get("device") else kwargs
    args, kwargs = tree_map_only((Guess, Tensor), real, (args, kwargs))
    return func(*args, **kwargs)


def _evenly(name: str, source: Tensor, args: Any, found: Tensor) -> Tensor:
    """Indices along a dimension, in turn, as if the values of no place were the largest."""
    if not source.is_floating_point():
        return found
    some = name in ("topk", "multinomial")
    at = {"topk": 2, "multinomial": len(args)}.get(name, 1)
    given = args[at] if at < len(args) else None
    dim = -1 if given is None else int(given)
    count = source.numel() if given is None and not some else source.shape[dim]
    turn = torch.arange(found.numel(), device="cpu") % max(count, 1)
    if not some:
        return turn.reshape(found.shape)
    shape = list(found.shape)
    shape.append(shape.pop(dim))
    return turn.reshape(shape).movedim(-1, dim)
