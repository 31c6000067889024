"""Param: what fanin knows of one parameter of a model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from fanin._arguments import keep_names
from fanin.axes import Axes

__all__ = ["Param"]

# Beyond these sizes no parameter lies, and half of the random bits of unwritten memory.
TINY, HUGE = 1e-30, 1e30

Kind = Literal[
    "weight",  # of a linear map or a convolution
    "table",  # rows looked up by integers
    "recurrent",  # hidden to hidden, gates packed as blocks
    "bias",
    "scale",  # of a normalization or a layer
    "shift",  # of a normalization, or another term that starts at zero
    "magnitude",  # the norms of a weight-normalized weight's rows
    "direction",  # the other half of it
    "norms",  # of the rows or columns of a frozen weight: DoRA's magnitudes
    "factor",  # of a low-rank update that was made of a frozen weight: PiSSA's, OLoRA's
    "other",  # no rule covers it
]


@keep_names(kept="kept_rms", made="constant")
@dataclass(frozen=True, slots=True)
class Param:
    """One parameter, as an adapter describes it; rules decide on nothing else.

    `owner` is the class of its module. `aliases` are the other names of a tied parameter.
    `constant` is the one value that the constructor gave to every element, None where elements
    differ or there is no memory to look at; `meant` says that elements differ as those of no drawn
    weight do, as time steps and frequencies. `activation` is the function that the module tree
    puts before a weight, where it shows one. `kept_rms` is that of the values of a parameter
    that stays as it is, such as a frozen one; None of one that is drawn. `head` says that a
    table is the weight of a linear layer, too. `gate` is "forget" of an LSTM's bias that is of that
    gate alone, and "" of all else. `read` gives the values that it has now, where it has any.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: Kind
    owner: str
    axes: Axes
    aliases: tuple[str, ...] = ()
    constant: float | None = None
    meant: bool = False
    trainable: bool = True
    activation: Callable[..., Any] | None = None
    kept_rms: float | None = None
    head: bool = False
    gate: str = ""
    read: Callable[[], Any] | None = field(default=None, compare=False, repr=False)
