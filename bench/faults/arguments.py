"""Arguments: for every parameter of a public function, values that it may get, and others."""

import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import fanin
from fanin import initializers
from fanin.axes import Axes
from fanin.streams import (
    ComplexNormal,
    ComplexTruncatedNormal,
    ComplexUniform,
    Constant,
    Laplace,
    Normal,
    Signs,
    TruncatedNormal,
    Uniform,
)

_DISTRIBUTIONS = (
    *(Uniform, Normal, TruncatedNormal, Laplace, Signs, Constant),
    *(ComplexNormal, ComplexUniform, ComplexTruncatedNormal),
)
Given = dict[str, Any]  # what the call has so far: an index depends on the shape
Make = Callable[[Random, Given], Any]

DTYPES = ("float32", "float64", "float16", "bfloat16", "complex64", "complex128")
AXES = (
    *("out in", "in out", "hwio", "oihw", "out in kh kw", "kh kw in out", "in out kh kw"),
    *("stack out", "expert in out", "in head dim", "out", "in", "out in kernel", ""),
)
NAMES = ("layer.weight", "0.weight", "w", "décodeur.poids", "a" * 300, "*.bias", "2.bias")
FILES = ("plan.toml", "damaged.toml", "model.safetensors", "damaged.safetensors", "new.toml")
# Before a call registers others, on which no later one may depend.
INITIALIZERS, ACTIVATIONS = initializers.names(), fanin.gains.names()


class UsersError(Exception):
    """What a function of the user raises; it may come back as it is."""


class Odd:
    """An object that does not do what its methods promise."""

    def __index__(self) -> int:
        raise UsersError("__index__")

    def __float__(self) -> float:
        raise UsersError("__float__")

    def __len__(self) -> int:
        return -1

    def __repr__(self) -> str:
        return "Odd()"


def fail(*arguments: Any, **options: Any) -> Any:
    raise UsersError("called")


def _circular() -> list[Any]:
    circular: list[Any] = []
    circular.append(circular)
    return circular


# Made anew for each call, so that a call that changes one is found out.
JUNK: tuple[Callable[[], Any], ...] = (
    *(lambda: None, lambda: True, lambda: -1, lambda: 0, lambda: 2**63, lambda: 2**64),
    *(lambda: -(2**70), lambda: 10**400, lambda: 1.5, lambda: math.nan, lambda: math.inf),
    *(lambda: -0.0, lambda: 1e-320, lambda: 1j, lambda: "", lambda: "x", lambda: "a\0b"),
    *(lambda: "\ud800", lambda: "x" * 10_000, lambda: "(" * 500, lambda: "normal(", lambda: b"x"),
    *(tuple, list, dict, set, object, Odd, lambda: Odd, lambda: ..., lambda: slice(None)),
    *(lambda: fail, lambda: lambda: None, lambda: [None], lambda: {"weight": None}),
    *(lambda: (1, "a", None), lambda: {1: 2}, lambda: _circular(), lambda: range(3), lambda: type),
    *(lambda: np.float32(2), lambda: np.array(3), lambda: np.arange(6.0).reshape(2, 3)),
    *(lambda: np.array(["a"]), lambda: np.array([None]), lambda: np.zeros((0, 3), np.float32)),
    *(lambda: iter([1, 2]), lambda: Path("plan.toml"), lambda: fanin, lambda: ValueError("x")),
    *(lambda: fanin.Stream(0, "a"), lambda: initializers.he_normal(), lambda: Axes(("out", "in"))),
)


def junk(chance: Random) -> Any:
    return chance.choice(JUNK)()


def _choose(*values: Any) -> Make:
    return lambda chance, given: chance.choice(values)


def _real(chance: Random, given: Given) -> float:
    usual = chance.choice((0.0, 1.0, 0.5, -1.0, 2, 1e-3, 0.02, 1e30, 1e-30, 12.4))
    return chance.choice((usual, chance.uniform(-3, 3), chance.uniform(0, 1)))


def _count(chance: Random, given: Given) -> int:
    return chance.choice((1, 1, 2, 3, 4, 8, 0))


def _seed(chance: Random, given: Given) -> Any:
    return chance.choice((0, 1, 2**64 - 1, chance.getrandbits(64), np.uint64(5), np.int8(3)))


def _shape(chance: Random, given: Given) -> Any:
    sizes = tuple(chance.choice((0, 1, 2, 3, 4, 6, 9, 16)) for _ in range(chance.randrange(5)))
    large = chance.choice(((2**40,), (2**31, 2**31), (10**6, 10**6, 2), (2**62, 1, 1)))
    middle = (chance.randrange(300), chance.randrange(300))
    return chance.choice((*[sizes] * 6, list(sizes), middle, large, 7, np.int64(4)))


def sizes_of(given: Given) -> tuple[int, ...]:
    """The shape that a call was given, where it is one."""
    try:
        return tuple(int(size) for size in np.atleast_1d(given.get("shape", (2, 3))))
    except (TypeError, ValueError, OverflowError, UsersError):
        return (2, 3)


def _index(chance: Random, given: Given) -> Any:
    def axis(size: int) -> Any:
        place = chance.randrange(-size, size) if size > 0 else 0
        start = chance.choice((place, None)) if size < 1000 else place
        stop = chance.choice((None, -1)) if size < 1000 else place + chance.randrange(9)
        return chance.choice((place, slice(start, stop, chance.choice((1, None, 2, -1, -3)))))

    whole = tuple(axis(size) for size in sizes_of(given))
    if max(sizes_of(given), default=0) > 1000:  # all of it takes minutes, or more than there is
        return whole
    short = whole[: chance.randrange(len(whole) + 1)]
    return chance.choice((None, whole, whole, short, (..., *short[-1:]), whole[0] if whole else ()))


def _out(chance: Random, given: Given) -> Any:
    shape = sizes_of(given)
    dtype = chance.choice((given.get("dtype"), "float32", "float64", "float16", "uint16", "int32"))
    index = given.get("index")
    try:
        if index is not None:  # of the slice's shape
            shape = np.broadcast_to(np.float32(0), shape)[index].shape
        if math.prod(shape) > 1 << 20:
            return None
        array = np.full(shape, 7, dtype if isinstance(dtype, str) else "float32")
    except Exception:  # what was given so far is junk
        return np.full((2, 3), 7, "float32")
    kind = chance.randrange(8)
    if kind == 0:
        array.flags.writeable = False
    elif kind == 1:
        array = np.repeat(array[..., None], 2, -1)[..., 0]
    elif kind == 2:
        array = array.astype(array.dtype.newbyteorder())
    elif kind == 3:
        array = np.broadcast_to(np.float32(7), shape)
    elif kind == 4:
        array = array[::-1] if array.ndim else array
    return array


def _distribution(chance: Random, given: Given) -> Any:
    kind = chance.choice(_DISTRIBUTIONS)
    try:
        return kind(*(_real(chance, given) for _ in range(chance.randrange(5))))
    except (TypeError, fanin.FaninError):
        return Normal(0.0, 1.0)


def made_initializer(chance: Random, given: Given) -> Any:
    """One that can be called."""
    try:
        return initializers.get(chance.choice(INITIALIZERS))
    except (fanin.FaninError, TypeError):  # one that needs arguments
        return initializers.normal(std=0.02)


def initializer(chance: Random, given: Given) -> Any:
    """One as users name it, or one that can be called."""
    texts = chance.choice(INITIALIZERS), "normal(std=0.02)", "uniform(-0.5, 0.5)", "he(", "nam"
    made = made_initializer(chance, given)
    return chance.choice((made, made, *texts))


def _activation(chance: Random, given: Given) -> Any:
    name = chance.choice(ACTIVATIONS)
    return chance.choice((name, name, "leaky_relu(0.2)", np.tanh, lambda x: x * 2, fail, "reluu"))


def _overrides(chance: Random, given: Given) -> Any:
    return {chance.choice(NAMES): initializer(chance, given) for _ in range(chance.randrange(3))}


def _path(chance: Random, given: Given) -> Any:
    name = chance.choice((*FILES, "missing/plan.toml", "folder/x.toml", "folder", "n" * 300, "."))
    return chance.choice((name, Path(name)))


def _names(chance: Random, given: Given) -> Any:
    names = chance.sample(NAMES, 2)
    return chance.choice((names[0], names, tuple(names), lambda name: "weight" in name, fail))


_REALS = (
    *("gain", "mean", "std", "low", "high", "lower", "upper", "a", "b", "val", "scale", "sparsity"),
    *("negative_slope", "variance", "value", "weight_variance", "bias_variance", "param", "lr"),
    *("eps", "weight_decay", "sigma", "omega", "largest", "r_min", "r_max", "bound", "power"),
    *("fan_in", "fan_out", "c", "q"),
)
_COUNTS = (
    "threads",
    "groups",
    "stride",
    "blocks",
    "draws",
    "steps",
    "layers",
    "seeds",
    "n",
)

# By the parameter's name, which means the same wherever it stands.
VALID: dict[str, Make] = {
    **dict.fromkeys(_REALS, _real),
    **dict.fromkeys(_COUNTS, _count),
    "seed": _seed,
    "start": lambda chance, given: chance.choice((0, 5, 2**64 - 1, 2**64 - 9, 2**32)),
    "name": _choose(*NAMES),
    "version": _choose(1, 1, 1, 2),
    "shape": _shape,
    "index": _index,
    "out": _out,
    "dtype": _choose(None, *DTYPES, np.float32, np.dtype("float64"), "int32"),
    "axes": _choose(None, None, *AXES, Axes(("out", "in")), Axes(("in", "out"), groups=2)),
    "roles": _choose(("out", "in"), ("in",), ("out", "out"), ("stack", "out", "in")),
    "role": _choose("in", "out", "kernel", "stack"),
    "order": _choose(None, (0, 1), (1, 0), (0, 0), (2, 1, 0)),
    "transposed": _choose(False, True),
    "strict": _choose(False, True),
    "mode": _choose("fan_in", "fan_out", "fan_avg", "fan_geo"),
    "distribution": _distribution,
    "init": initializer,
    "spec": initializer,
    "initializer": initializer,
    "initializers": initializer,
    "nonlinearity": _activation,
    "activation": _activation,
    "f": _activation,
    "fn": _activation,
    "direction": _choose("forward", "backward", "both"),
    "convention": _choose("fanin", "torch", "jax", "keras", "article"),
    "spatial_out": _choose(None, (4, 4), (1,)),
    "overrides": _overrides,
    "unplaced": _choose("error", "keep"),
    "only": _names,
    "keep": _names,
    "rename": _choose(None, {"weight": "0.weight"}, {"0.weight": "x", "2.weight": "x"}),
    "prefix": _choose("", "critic1", "a.", "a\0"),
    "path": _path,
    "folder": _choose("folder", "new", "plan.toml", "missing/new"),
    "level": _choose("note", "warning", "error"),
    "select": _choose(None, "F03", ("F03", "F12"), "backward-scale", "F99"),
    "ignore": _choose(None, "F03", ("F03", "F12"), "backward-scale", "F99"),
    "transform": _choose(None, "log", "softplus", "exp"),
    "sizes": _choose((1, 2), (2, 2), (0, 3), (3,)),
    "p": lambda chance, given: chance.choice((0.5, (0.2, 0.8), np.array([0.5, 0.5]))),
    "bounds": _choose(None, (-2, 2), (2, -2), (0.0, math.inf)),
}
