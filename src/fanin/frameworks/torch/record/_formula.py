"""Formula: a tensor that follows from parameters alone, as a function of their values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from fanin.graph import Function, Values

_MOST = 1 << 24  # elements of a parameter that a formula is computed for

Kind = Literal["pointwise", "view", "other"]


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """One operation; its arguments hold formulas, known tensors and what is no tensor.

    Without an operation it is the parameter `name`.
    """

    name: str = ""
    shape: tuple[int, ...] = ()
    run: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = "other"
    pick: int | None = None  # which of its results

    def leaves(self) -> Iterator["Formula"]:
        """The parameters that it reads."""
        seen: set[int] = set()
        front = [self]
        while front:
            formula = front.pop()
            if id(formula) not in seen:
                seen.add(id(formula))
                front += _inside((formula.args, formula.kwargs), Formula)
                if formula.name:
                    yield formula

    def is_plain(self) -> bool:
        """Whether an element of the result follows from one element of the parameter."""
        if self.name:
            return True
        inside = _inside((self.args, self.kwargs), Formula)
        known = _inside((self.args, self.kwargs), Tensor)
        alike = all(
            tensor.numel() and bool((tensor == tensor.reshape(-1)[0]).all()) for tensor in known
        )
        return self.kind != "other" and alike and all(item.is_plain() for item in inside)

    def value(self, given: Mapping[str, Tensor], *, flat: bool = False) -> Tensor:
        """The tensor for these values; `flat`: of values in a row, views left out."""
        return self._value(given, flat, {})

    def _value(self, given: Mapping[str, Tensor], flat: bool, known: dict[int, Tensor]) -> Tensor:
        if self.run is None:
            return given[self.name]
        if id(self) not in known:

            def fill(tensor: Any) -> Any:
                if isinstance(tensor, Formula):
                    return tensor._value(given, flat, known)
                if isinstance(tensor, Tensor):
                    wide = tensor.double() if tensor.is_floating_point() else tensor
                    return wide.reshape(-1)[0] if flat else wide
                return (
                    type(tensor)(map(fill, tensor)) if isinstance(tensor, (list, tuple)) else tensor
                )

            if flat and self.kind == "view":
                made = fill(_inside((self.args, self.kwargs), Formula)[0])
            else:
                made = self.run(*fill(self.args), **{k: fill(v) for k, v in self.kwargs.items()})
            known[id(self)] = made if self.pick is None else made[self.pick]
        return known[id(self)]


def parameter(name: str, shape: tuple[int, ...]) -> Formula:
    """A parameter as it is stored."""
    return Formula(name, shape)


def function(formula: Formula | None, own: str, inputs: list[int] | None = None) -> Function | None:
    """It as a function on arrays; of a weight, whose dimensions `inputs` are summed, a matrix."""
    if formula is None or any(np.prod(leaf.shape) > _MOST for leaf in formula.leaves()):
        return None
    others = dict.fromkeys(leaf.name for leaf in formula.leaves() if leaf.name != own)

    def whole(given: Mapping[str, Values]) -> Values:
        with _disable_current_modes(), torch.no_grad():
            made = formula.value({name: torch.from_numpy(item) for name, item in given.items()})
            if made.is_complex():  # real numbers of the same size
                made = 2**0.5 * (torch.view_as_real(made) if inputs is None else made.real)
            if inputs is not None:
                rest = [dim for dim in range(made.dim()) if dim not in inputs]
                terms = int(np.prod([made.shape[dim] for dim in inputs]))
                made = made.permute(*rest, *inputs).reshape(-1, terms)
            array: Values = made.to(torch.float64).numpy()
        return array

    def each(values: Values) -> Values:
        with _disable_current_modes(), torch.no_grad():
            made = formula.value({own: torch.from_numpy(values)}, flat=True)
            array: Values = made.to(torch.float64).reshape(-1).numpy()
        return array

    return Function((own, *others), whole, each if not others and formula.is_plain() else None)


def _inside(value: Any, kind: Any) -> list[Any]:
    """What is of a kind in nested arguments."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in _inside(item, kind)]
    return []
