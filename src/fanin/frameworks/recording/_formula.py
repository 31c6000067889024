"""Formula: a tensor that follows from parameters alone, as a function of their values."""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np

from fanin.graph import Function, Values

_MOST = 1 << 24  # elements of a parameter that a formula is computed for
_FEW = 64  # elements of a known tensor that are compared with those of another formula

FormulaKind = Literal["pointwise", "view", "other"]
Tensor = Any  # of the framework that runs the operations


@dataclass(frozen=True, slots=True, eq=False)
class ParameterFormula:
    """One operation; its arguments hold formulas, known tensors and what is no tensor.

    Without an operation it is the parameter `name`. Operations here are those of NumPy; an
    adapter whose own are of another kind says in a subclass what its tensors are.
    """

    name: str = ""
    shape: tuple[int, ...] = ()
    run: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    kind: FormulaKind = "other"
    pick: int | None = None  # which of its results

    known: ClassVar[type] = np.ndarray  # what known tensors are

    def leaves(self) -> Iterator["ParameterFormula"]:
        """The parameters that it reads."""
        seen: set[int] = set()
        front = [self]
        while front:
            formula = front.pop()
            if id(formula) not in seen:
                seen.add(id(formula))
                front += _inside((formula.args, formula.kwargs), ParameterFormula)
                if formula.name:
                    yield formula

    def is_plain(self) -> bool:
        """Whether an element of the result follows from one element of the parameter."""
        if self.name:
            return True
        inside = _inside((self.args, self.kwargs), ParameterFormula)
        known = _inside((self.args, self.kwargs), self.known)
        alike = all(
            len(flat := tensor.reshape(-1)) and bool((flat == flat[0]).all()) for tensor in known
        )
        return self.kind != "other" and alike and all(item.is_plain() for item in inside)

    def value(self, given: Mapping[str, Tensor], *, flat: bool = False) -> Tensor:
        """The tensor for these values; `flat`: of values in a row, views left out."""
        return self._value(given, flat, {})

    def function(self, own: str, inputs: list[int] | None = None) -> Function | None:
        """It as a function on arrays; of a weight, whose dimensions `inputs` are summed, a matrix.

        None where a parameter is too large to compute it.
        """
        if any(np.prod(leaf.shape) > _MOST for leaf in self.leaves()):
            return None
        others = dict.fromkeys(leaf.name for leaf in self.leaves() if leaf.name != own)

        def whole(given: Mapping[str, Values]) -> Values:
            return self.compute(given, inputs)

        def each(values: Values) -> Values:
            return self.compute({own: values}, None, flat=True).reshape(-1)

        plain = not others and self.is_plain()
        same = self._same([own, *others])
        if same is not None:
            same = same, None if inputs is None else tuple(inputs)
        return Function((own, *others), whole, each if plain else None, same)

    def compute(
        self, given: Mapping[str, Values], inputs: list[int] | None, flat: bool = False
    ) -> Values:
        """The value for these arrays; a matrix (outputs, inputs) where `inputs` says so."""
        with np.errstate(all="ignore"):
            made = np.asarray(self.value(given, flat=flat))
        if np.iscomplexobj(made):  # real numbers of the same size
            real = made.real if inputs is not None else np.stack([made.real, made.imag], -1)
            made = 2**0.5 * real
        return as_matrix(np.asarray(made, np.float64), inputs)

    @classmethod
    def wide(cls, tensor: Tensor) -> Tensor:
        """A known tensor in double precision."""
        return tensor.astype(np.float64) if tensor.dtype.kind == "f" else tensor

    @classmethod
    def parameter(cls, name: str, shape: tuple[int, ...]) -> Self:
        """A parameter as it is stored."""
        return cls(name, shape)

    def _same(self, names: Sequence[str]) -> Hashable | None:
        """Its operations in order, of parameters by their places; None of long known tensors."""
        places: dict[int, int] = {}
        steps: list[Hashable] = []

        def tell(value: Any) -> Hashable:
            if isinstance(value, ParameterFormula):
                if id(value) not in places:
                    what = value.run, value.pick, tell((value.args, value.kwargs))
                    steps.append((names.index(value.name), value.shape) if value.name else what)
                    places[id(value)] = len(steps) - 1
                return "step", places[id(value)]
            if isinstance(value, self.known):
                tensor: Tensor = value
                if math.prod(tensor.shape) > _FEW:
                    raise TypeError("too many values to compare")
                return str(tensor.dtype), tuple(tensor.shape), str(tensor.tolist())
            if isinstance(value, Mapping):
                return tuple((name, tell(item)) for name, item in value.items())
            if isinstance(value, (list, tuple)):
                return type(value), *map(tell, value)
            return type(value), value

        try:
            made = tell(self), tuple(steps)
            hash(made)
        except TypeError:
            return None
        return made

    def _value(self, given: Mapping[str, Tensor], flat: bool, known: dict[int, Tensor]) -> Tensor:
        if self.run is None:
            return given[self.name]
        if id(self) not in known:

            def fill(tensor: Any) -> Any:
                if isinstance(tensor, ParameterFormula):
                    return tensor._value(given, flat, known)
                if isinstance(tensor, self.known):
                    wide = self.wide(tensor)
                    return wide.reshape(-1)[0] if flat else wide
                return (
                    type(tensor)(map(fill, tensor)) if isinstance(tensor, (list, tuple)) else tensor
                )

            if flat and self.kind == "view":
                made = fill(_inside((self.args, self.kwargs), ParameterFormula)[0])
            else:
                made = self.run(*fill(self.args), **{k: fill(v) for k, v in self.kwargs.items()})
            known[id(self)] = made if self.pick is None else made[self.pick]
        return known[id(self)]


def as_matrix(values: Values, inputs: list[int] | None) -> Values:
    """Values whose dimensions `inputs` are summed as (outputs, inputs); None: as they are."""
    if inputs is None:
        return values
    rest = [dim for dim in range(values.ndim) if dim not in inputs]
    terms = int(np.prod([values.shape[dim] for dim in inputs]))
    return values.transpose(*rest, *inputs).reshape(-1, terms)


def _inside(value: Any, kind: Any) -> list[Any]:
    """What is of a kind in nested arguments."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in _inside(item, kind)]
    return []
