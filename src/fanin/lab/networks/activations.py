"""The activations that the lab's networks can have: every torch activation, by name."""

import re
from collections.abc import Callable

import torch
from torch import nn

from fanin._expression import parse_expression
from fanin.errors import FaninError, one_line, suggestion

ActivationModule = Callable[[], nn.Module]
_OTHERS = ("MultiheadAttention", "GLU")  # no functions of one signal that keep its shape


def find(text: str) -> ActivationModule:
    """A maker of modules: `relu`, `leaky_relu(0.2)`, `GELU(approximate='tanh')`.

    Names are those of torch.nn, in snake_case or as they are. Raises FaninError for other names,
    for arguments that the module refuses, and where it does not keep a signal's shape.
    """
    name, positional, keywords = parse_expression(text, "activation", "leaky_relu(0.2)")
    kind = KINDS.get(_plain(name))
    if kind is None:
        known = sorted(map(_snake, (kind.__name__ for kind in KINDS.values())))
        raise FaninError(f"unknown activation {name!r}{suggestion(name, known)}")

    def make() -> nn.Module:
        module: nn.Module = kind(*positional, **keywords)
        return module

    _check(text, make)
    return make


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()


def _check(text: str, make: ActivationModule) -> None:
    signal = torch.linspace(-2, 2, 8, device="cpu").reshape(1, 2, 2, 2)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            shape = make()(signal).shape
    except Exception as error:  # whatever a module raises at arguments that it cannot use
        raise FaninError(f"activation {text!r} cannot be made: {one_line(error)}.") from error
    if shape != signal.shape:
        raise FaninError(f"activation {text!r} changes the shape of a signal. Use another one.")


KINDS: dict[str, Callable[..., nn.Module]] = {
    _plain(name): getattr(nn, name) for name in nn.modules.activation.__all__ if name not in _OTHERS
}
