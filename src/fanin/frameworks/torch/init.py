"""torch.nn.init's functions with fanin's values: switch an import, then give seed and name.

Each function has torch's parameters and defaults, writes in place and returns the tensor, and
takes `seed` and `name` besides. The values are those of `fanin.initializers` under this seed and
name. Without a name it is "weight"; a second tensor of one seed, name and shape gets the numbers
of the first, and a FaninWarning says so. Without a seed, one is drawn from `generator`, else from
torch's default CPU generator: torch.manual_seed governs, and each call differs.

Errors are FaninErrors that are RuntimeErrors too, for torch raises a ValueError for a wrong rank
and a RuntimeError for a wrong number. After one the tensor is as it was. Tensors on the meta
device have no values: they are returned as they are. Of a DTensor each process draws its part,
under a seed that is given.
"""

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.nn.init import calculate_gain as calculate_gain

from fanin import initializers
from fanin._arguments import check_choice, check_number, check_seed
from fanin._fans import fans
from fanin.axes import parse_axes
from fanin.errors import FaninError, one_line, quote, warn
from fanin.frameworks.torch.write._shards import shard_of
from fanin.frameworks.torch.write._slot import Slot
from fanin.frameworks.torch.write._twins import TWINS
from fanin.initializers import Initializer
from fanin.param import Param

__all__ = [
    "InitError",
    "calculate_gain",
    *("constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_"),
    *("orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_"),
    "zeros_",
    # As torch has them, with its warning.
    *("constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "normal", "orthogonal"),
    *("sparse", "uniform", "xavier_normal", "xavier_uniform"),
]

Generator = torch.Generator | None
Filler = TypeVar("Filler", bound=Callable[..., Tensor])


class InitError(FaninError, RuntimeError):
    """A FaninError that code written for torch.nn.init catches too."""


def _guard(function: Filler) -> Filler:
    """What is wrong with the tensor or a number, ours or torch's own error, as an InitError."""

    @functools.wraps(function)
    def check(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not isinstance(tensor, Tensor):
            raise InitError(f"{function.__name__} got {quote(tensor)}; give a tensor.")
        try:
            return function(tensor, *args, **kwargs)
        except FaninError as error:
            raise InitError(str(error)) from None
        except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:
            raise InitError(f"{one_line(error)}.") from error

    return cast(Filler, check)


def _fill(
    tensor: Tensor,
    generator: Generator,
    seed: int | None,
    name: str | None,
    make: Callable[..., Initializer],
    *arguments: float,
) -> Tensor:
    """Draw the initializer that `make` gives into the tensor."""
    if not isinstance(generator, torch.Generator | None):
        raise FaninError(f"generator is {quote(generator)}; give a torch.Generator.")
    if seed is not None and generator is not None:
        raise FaninError(f"seed is {quote(seed)} and a generator is given; give one of them.")
    initializer = make(*arguments)
    if tensor.is_meta:
        return tensor
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        raise FaninError(
            f"the tensor of shape {tuple(tensor.shape)} was made in inference mode, and can "
            "be written there only; write its clone()."
        )
    param = _param(tensor, "weight" if name is None else name)
    slot = Slot(param, tensor, shard=shard_of(param.name, tensor))
    if seed is None and slot.shard is not None:
        raise FaninError(
            f"the tensor of shape {param.shape} is sharded, and every process has a generator "
            "of its own; give seed= and name=."
        )
    slot.rehearse(initializer, 0 if seed is None else check_seed(seed))
    if tensor.numel():
        item = (slot, initializer, None)
        same = seed is not None and TWINS.find([item], seed)
        drawn = _seed_from(generator) if seed is None else seed
        slot.write(initializer, drawn)
        TWINS.remember([item], drawn)
        if same:
            warn(
                f"{param.name!r} of shape {param.shape} gets the same numbers as another "
                f"tensor: the same seed {seed}, name and shape. Give each its own name=."
            )
    return tensor


def _param(tensor: Tensor, name: str) -> Param:
    shape = tuple(tensor.shape)
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Param(name, shape, dtype, "weight", "Tensor", parse_axes(None, shape))


def _seed_from(generator: Generator) -> int:
    """64 bits of a generator, which moves on."""
    device = "cpu" if generator is None else generator.device
    bits = torch.empty((), dtype=torch.int64, device=device)
    return int(bits.random_(-(2**63), None, generator=generator)) % 2**64


@_guard
def uniform_(
    tensor: Tensor,
    a: float = 0.0,
    b: float = 1.0,
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Uniform on the open interval (a, b); torch's has a in it. a where a == b.

    Of a complex tensor both parts are, drawn as a last axis of 2.
    """
    _fill(_real(tensor), generator, seed, name, _uniform, a, b)
    return tensor


@_guard
def normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal with this mean and standard deviation."""
    return _fill(tensor, generator, seed, name, initializers.normal, mean, std)


@_guard
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal cut to [a, b]: as torch's, the bounds are values and not multiples of `std`.

    `std` is the standard deviation before truncation, and > 0. Where both bounds lie on one side
    of the mean, the nearer is at most 12.5 std away (torch takes any). Warns, as torch does,
    where the mean is more than 2 std outside [a, b]; the values are exact there too.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"mean {mean} of trunc_normal_ is more than 2 std from [{a}, {b}].", stacklevel=3
        )
    return _fill(tensor, generator, seed, name, _cut, mean, std, a, b)


@_guard
def constant_(
    tensor: Tensor, val: float, *, seed: int | None = None, name: str | None = None
) -> Tensor:
    """`val` everywhere: torch's own; seed and name change nothing."""
    return torch.nn.init.constant_(tensor, val)


@_guard
def ones_(tensor: Tensor, *, seed: int | None = None, name: str | None = None) -> Tensor:
    """1 everywhere: torch's own; seed and name change nothing."""
    return torch.nn.init.ones_(tensor)


@_guard
def zeros_(tensor: Tensor, *, seed: int | None = None, name: str | None = None) -> Tensor:
    """0 everywhere: torch's own; seed and name change nothing."""
    return torch.nn.init.zeros_(tensor)


@_guard
def eye_(tensor: Tensor, *, seed: int | None = None, name: str | None = None) -> Tensor:
    """The identity, of a matrix: torch's own; seed and name change nothing."""
    with tensor.device:  # torch makes it on the default device otherwise
        return torch.nn.init.eye_(tensor)


@_guard
def dirac_(
    tensor: Tensor, groups: int = 1, *, seed: int | None = None, name: str | None = None
) -> Tensor:
    """The identity of a convolution: torch's own; seed and name change nothing."""
    check_number("groups", groups, 0, max(len(tensor), 1))  # which torch counts up to
    return torch.nn.init.dirac_(tensor, groups)


@_guard
def xavier_uniform_(
    tensor: Tensor,
    gain: float = 1.0,
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Uniform with std = gain * sqrt(2 / (fan_in + fan_out)); glorot_uniform() for gain 1."""
    limit = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -limit, limit, generator, seed=seed, name=name)


@_guard
def xavier_normal_(
    tensor: Tensor,
    gain: float = 1.0,
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal with std = gain * sqrt(2 / (fan_in + fan_out)); glorot_normal() for gain 1."""
    std = _xavier_std(tensor, gain)
    return _fill(tensor, generator, seed, name, initializers.normal, 0.0, std)


@_guard
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Uniform with std = calculate_gain(nonlinearity, a) / sqrt(fan); he_uniform() by default."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    limit = math.sqrt(3.0) * std
    return uniform_(tensor, -limit, limit, generator, seed=seed, name=name)


@_guard
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal with std = calculate_gain(nonlinearity, a) / sqrt(fan); he_normal() by default."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    return _fill(tensor, generator, seed, name, initializers.normal, 0.0, std)


@_guard
def orthogonal_(
    tensor: Tensor,
    gain: float = 1,
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Orthonormal rows or columns, times a gain > 0; 16-bit tensors too, which torch refuses."""
    if tensor.ndim < 2:
        raise _wrong_rank("orthogonal_", tensor, "two or more axes")
    return _fill(tensor, generator, seed, name, initializers.orthogonal, gain)


@_guard
def sparse_(
    tensor: Tensor,
    sparsity: float,
    std: float = 0.01,
    generator: Generator = None,
    *,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normal values, with ceil(sparsity * rows) zeros in every column; sparsity is in [0, 1]."""
    if tensor.ndim != 2:
        raise _wrong_rank("sparse_", tensor, "two axes")
    return _fill(tensor, generator, seed, name, initializers.sparse, sparsity, std)


def _wrong_rank(function: str, tensor: Tensor, allowed: str) -> FaninError:
    return FaninError(f"{function} got a tensor of shape {tuple(tensor.shape)}; give {allowed}.")


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor


def _uniform(low: float, high: float) -> Initializer:
    return initializers.constant(low) if low == high else initializers.uniform(low, high)


def _cut(mean: float, std: float, a: float, b: float) -> Initializer:
    """A truncated normal with bounds that are values."""
    if not std > 0:
        raise FaninError(f"std of trunc_normal_ is {quote(std)}; it must be > 0.")
    if a == b:
        return initializers.constant(a)
    lower, upper = _in_units(a, mean, std, 1), _in_units(b, mean, std, -1)
    return initializers.truncated_normal(mean, std, lower, upper)


def _in_units(bound: float, mean: float, std: float, inward: int) -> float:
    """The bound in units of std around the mean; taken back, rounding does not pass it."""
    units = (bound - mean) / std
    while (mean + std * units - bound) * inward < 0:
        units = math.nextafter(units, inward * math.inf)
    return units


def _xavier_std(tensor: Tensor, gain: float) -> float:
    both = fans(tuple(tensor.shape), convention="torch")
    return gain * math.sqrt(2.0 / max(sum(both), 1))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float | None:
    """The standard deviation; None, with torch's warning, where there are no elements."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=4)
        return None
    mode = mode.lower() if isinstance(mode, str) else mode
    check_choice("mode", mode, ("fan_in", "fan_out"))
    both = fans(tuple(tensor.shape), convention="torch")
    fan = both.fan_in if mode == "fan_in" else both.fan_out
    gain = calculate_gain(nonlinearity, a)  # type: ignore[arg-type]
    if gain == calculate_gain("relu"):
        return math.sqrt(2.0 / fan)  # as he_normal has it: rounded once less
    return gain / math.sqrt(fan)


def _deprecate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """torch's old name of a function: it warns, as torch's does."""
    new = function.__name__

    def old(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"`{new[:-1]}` is deprecated: use `{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    old.__name__, old.__doc__ = new[:-1], f"Deprecated, as torch's is: use `{new}`."
    return old


uniform = _deprecate(uniform_)
normal = _deprecate(normal_)
constant = _deprecate(constant_)
eye = _deprecate(eye_)
dirac = _deprecate(dirac_)
xavier_uniform = _deprecate(xavier_uniform_)
xavier_normal = _deprecate(xavier_normal_)
kaiming_uniform = _deprecate(kaiming_uniform_)
kaiming_normal = _deprecate(kaiming_normal_)
orthogonal = _deprecate(orthogonal_)
sparse = _deprecate(sparse_)
