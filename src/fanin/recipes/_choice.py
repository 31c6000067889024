"""Choice: what a recipe decides for one parameter, and why."""

from dataclasses import dataclass

from fanin._arguments import keep_names
from fanin.axes import Axes
from fanin.initializers import Initializer


@keep_names(lr="lr_factor")
@dataclass(frozen=True, slots=True)
class Choice:
    """An initializer and its reason; no initializer means that the parameter is kept.

    `axes` are the roles as the traced operation uses them, None for those of the module tree;
    `output` is the second moment that the recipe gives to the operation's output; `lr_factor`
    what it multiplies the learning rate by, as `eps_factor` Adam's epsilon and `decay_factor` the
    weight decay; `averaged` says that an attention averages the input
    over T positions, so that the output's RMS is 1/sqrt(T) to 1 of the given one; `guessed` that
    nothing supports it.
    """

    initializer: Initializer | None
    role: str
    why: str
    axes: Axes | None = None
    output: float | None = None
    lr_factor: float = 1.0
    averaged: bool = False
    guessed: bool = False
    eps_factor: float = 1.0
    decay_factor: float = 1.0
