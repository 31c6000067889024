"""Every initializer of torch, JAX and Keras against ours: distribution, std, bounds and fans.

N values are drawn from both. Kolmogorov and Smirnov's two-sample statistic must stay below what
chance exceeds once in 10**6 rows, and the peer's standard deviation within 6 standard errors of
the one that we state: over all rows, a false alarm in fewer than one of 10**4 runs (seeds are
fixed). docs/peers.md tells the differences that rows name.
"""

import inspect
import math
from typing import Any, NamedTuple

import jax
import keras
import numpy as np
import pytest
import torch
from jax._src.nn.initializers import _compute_fans as jax_fans
from keras.src.initializers.random_initializers import compute_fans as keras_fans
from scipy.stats import ks_2samp
from torch.nn.init import _calculate_fan_in_and_fan_out as torch_fans

from fanin import FaninError, fans, initializers
from fanin.axes import parse_axes
from fanin.initializers import Initializer
from fanin.streams import TruncatedNormal, Uniform

N = 10**6
LIMIT = math.sqrt(math.log(2e6) / N)  # P(D > LIMIT) = 2 exp(-N LIMIT**2) = 1e-6
STD_ERRORS = 6 / math.sqrt(2 * N)  # of a normal's; those of the others are smaller

# One convolution weight of a million values, its fans far apart, as each library stores it.
SHAPES = {"torch": (250, 40, 10, 10), "jax": (10, 10, 40, 250), "keras": (10, 10, 40, 250)}
AXES = {"torch": "out in kh kw", "jax": "kh kw in out", "keras": "kh kw in out"}


class Row(NamedTuple):
    """A peer's function called with these arguments draws what `ours` draws."""

    peer: str
    ours: str
    arguments: dict[str, Any] = {}  # noqa: RUF012
    leaks: int = 0  # so many of N values may lie outside the peer's own bounds

    def __str__(self) -> str:
        return " ".join((self.peer, *(f"{key}={value}" for key, value in self.arguments.items())))


KERAS_LEAK = 20  # expected: 4.3 of a million (docs/peers.md)

ROWS = (
    Row("torch.uniform_", "uniform(-0.3, 0.7)", {"a": -0.3, "b": 0.7}),
    Row("torch.normal_", "normal(0.1, 0.02)", {"mean": 0.1, "std": 0.02}),
    Row(
        "torch.trunc_normal_",
        "truncated_normal(0.1, 0.5, -2.0, 1.0)",
        {"mean": 0.1, "std": 0.5, "a": -0.9, "b": 0.6},
    ),
    Row("torch.trunc_normal_", "truncated_normal(0.0, 1.0, 1.5, 3.0)", {"a": 1.5, "b": 3.0}),
    # The bounds are values: the default ones cut nothing where std is small.
    Row("torch.trunc_normal_", "normal(0.0, 0.02)", {"std": 0.02}),
    Row("torch.xavier_uniform_", "glorot_uniform"),
    Row("torch.xavier_normal_", "glorot_normal"),
    Row("torch.xavier_normal_", "variance_scaling(2.0, 'fan_avg', 'normal')", {"gain": 2**0.5}),
    Row("torch.kaiming_uniform_", "he_uniform"),
    Row(
        "torch.kaiming_uniform_",
        "variance_scaling(0.3333333333333333, 'fan_in', 'uniform')",
        {"a": 5**0.5},
    ),
    Row("torch.kaiming_normal_", "he_normal"),
    Row(
        "torch.kaiming_normal_", "he_normal('fan_out')", {"mode": "fan_out", "nonlinearity": "relu"}
    ),
    Row("jax.uniform", "uniform(0.0, 0.01)"),
    Row("jax.normal", "normal(0.0, 0.01)"),
    Row("jax.truncated_normal", "truncated_normal(0.0, 0.01)"),
    Row(
        "jax.truncated_normal",
        "truncated_normal(0.0, 0.5, -1.0, 3.0)",
        {"stddev": 0.5, "lower": -1.0, "upper": 3.0},
    ),
    Row(
        "jax.variance_scaling",
        "variance_scaling(2.0, 'fan_out', 'normal')",
        {"scale": 2.0, "mode": "fan_out", "distribution": "normal"},
    ),
    Row("jax.glorot_uniform", "glorot_uniform"),
    Row("jax.glorot_normal", "glorot_truncated_normal"),
    Row("jax.lecun_uniform", "lecun_uniform"),
    Row("jax.lecun_normal", "lecun_truncated_normal"),
    Row("jax.he_uniform", "he_uniform"),
    Row("jax.he_normal", "he_truncated_normal"),
    Row("keras.RandomUniform", "uniform(-0.05, 0.05)"),
    Row("keras.RandomNormal", "normal(0.0, 0.05)"),
    Row("keras.TruncatedNormal", "truncated_normal(0.0, 0.05)", leaks=KERAS_LEAK),
    Row(
        "keras.VarianceScaling",
        "variance_scaling(1.0, 'fan_in', 'normal')",
        {"distribution": "untruncated_normal"},
    ),
    Row(
        "keras.VarianceScaling",
        "variance_scaling(1.0, 'fan_in', 'truncated_normal')",
        {"distribution": "normal"},
        leaks=KERAS_LEAK,
    ),
    Row("keras.GlorotUniform", "glorot_uniform"),
    Row("keras.GlorotNormal", "glorot_truncated_normal", leaks=KERAS_LEAK),
    Row("keras.LecunUniform", "lecun_uniform"),
    Row("keras.LecunNormal", "lecun_truncated_normal", leaks=KERAS_LEAK),
    Row("keras.HeUniform", "he_uniform"),
    Row("keras.HeNormal", "he_truncated_normal", leaks=KERAS_LEAK),
)

# The same values: a row, the stored shape, and the groups.
EXACT = (
    (Row("torch.zeros_", "zeros"), (5, 3), 1),
    (Row("torch.ones_", "ones"), (5, 3), 1),
    (Row("torch.constant_", "constant(0.3)", {"val": 0.3}), (5, 3), 1),
    (Row("torch.eye_", "identity"), (5, 3), 1),
    (Row("torch.dirac_", "dirac"), (6, 3, 3, 4), 1),
    (Row("torch.dirac_", "dirac", {"groups": 2}), (6, 2, 5), 2),
    (Row("jax.zeros", "zeros"), (5, 3), 1),
    (Row("jax.ones", "ones"), (5, 3), 1),
    (Row("jax.constant", "constant(0.3)", {"value": 0.3}), (5, 3), 1),
    (Row("keras.Zeros", "zeros"), (5, 3), 1),
    (Row("keras.Ones", "ones"), (5, 3), 1),
    (Row("keras.Constant", "constant(0.3)", {"value": 0.3}), (5, 3), 1),
    (Row("keras.Identity", "identity(2.0)", {"gain": 2.0}), (5, 3), 1),
)

# Orthogonal times 2, drawn again and again: a row, the stored shape, and the axes of ours.
ORTHOGONAL = (
    (Row("torch.orthogonal_", "orthogonal(2.0)", {"gain": 2.0}), (500, 200), "out in"),
    (Row("torch.orthogonal_", "orthogonal(2.0)", {"gain": 2.0}), (200, 50, 10), "out in k"),
    (Row("jax.orthogonal", "orthogonal(2.0)", {"scale": 2.0}), (200, 500), "in out"),
    (
        Row("jax.delta_orthogonal", "delta_orthogonal(2.0)", {"scale": 2.0}),
        (3, 5, 200, 500),
        "kh kw in out",
    ),
    (Row("keras.Orthogonal", "orthogonal(2.0)", {"gain": 2.0}), (10, 50, 200), "k in out"),
)

SPARSE = Row("torch.sparse_", "sparse(0.3, 0.02)", {"sparsity": 0.3, "std": 0.02})

NO_ROW = {
    "torch.calculate_gain": "draws nothing",
    "jax.Initializer": "a protocol",
    "keras.Initializer": "a base class",
    "keras.STFT": "a fixed transform for spectrograms, not weights that train",
}

MODULES = {"torch": torch.nn.init, "jax": jax.nn.initializers, "keras": keras.initializers}


def peer_draw(
    row: Row, shape: tuple[int, ...], seed: int = 1, dtype: type = np.float32
) -> np.ndarray:
    """The peer's values, stored its way; `dtype` is for JAX."""
    library, _, name = row.peer.partition(".")
    function = getattr(MODULES[library], name)
    if library == "torch":
        generator = {"generator": torch.Generator().manual_seed(seed)}
        takes = "generator" in inspect.signature(function).parameters
        tensor = function(torch.empty(shape), **row.arguments, **(generator if takes else {}))
        return tensor.numpy()
    if library == "jax":
        made = function if name in ("zeros", "ones") else function(**row.arguments)
        return np.asarray(made(jax.random.key(seed), shape, dtype))
    takes = "seed" in inspect.signature(function).parameters
    return function(**row.arguments, **({"seed": seed} if takes else {}))(shape).numpy()


def bounds(ours: Initializer, library: str) -> tuple[float, float]:
    distribution = ours.distribution(SHAPES[library], AXES[library])
    match distribution:
        case Uniform(low, high):
            return low, high
        case TruncatedNormal(mean, std, lower, upper):
            return mean + std * lower, mean + std * upper
    return -math.inf, math.inf


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_same_distribution(row: Row) -> None:
    library = row.peer.split(".")[0]
    shape, axes = SHAPES[library], AXES[library]
    ours = initializers.get(row.ours)
    theirs = peer_draw(row, shape)
    own = ours(shape, seed=1, name="weight", axes=axes)
    assert theirs.size == own.size == N
    assert theirs.dtype == own.dtype == np.float32

    distance = ks_2samp(theirs.ravel(), own.ravel(), method="asymp").statistic
    assert distance < LIMIT, f"the distributions differ: D = {distance:.5f}"
    stated = ours.std(shape, axes)
    for values in (theirs, own):
        assert abs(values.std(dtype=np.float64) / stated - 1) < STD_ERRORS

    low, high = bounds(ours, library)
    assert low <= float(own.min())
    assert float(own.max()) <= high
    # A peer rounds its bounds to float32, and some multiply after cutting.
    slack = 4e-7 * max(abs(low), abs(high)) if math.isfinite(low) else 0
    outside = int(((theirs < low - slack) | (theirs > high + slack)).sum())
    assert outside <= row.leaks


# JAX divides by 0.9531 where the std of its truncated complex normal is 0.9620.
CUT = math.exp(-4.0)
JAX_EXCESS = math.sqrt(1 - 4 * CUT / (1 - CUT)) / 0.95311164380491208


@pytest.mark.parametrize(
    ("distribution", "excess"),
    [("normal", 1.0), ("uniform", 1.0), ("truncated_normal", JAX_EXCESS)],
)
def test_the_same_complex_distribution(distribution: str, excess: float) -> None:
    shape, axes = SHAPES["jax"], AXES["jax"]
    row = Row(
        "jax.variance_scaling", "", {"scale": 2.0, "mode": "fan_in", "distribution": distribution}
    )
    ours = initializers.variance_scaling(2.0, "fan_in", distribution)
    theirs = peer_draw(row, shape, dtype=np.complex64) / excess
    own = ours(shape, seed=1, name="weight", axes=axes, dtype="complex64")
    for values in (theirs, own):
        square = np.mean(np.abs(values.astype(np.complex128)) ** 2)
        assert abs(math.sqrt(square) / ours.std(shape, axes) - 1) < STD_ERRORS
    for look in (np.real, np.imag, np.abs):
        pair = (look(values).ravel() for values in (theirs, own))
        assert ks_2samp(*pair, method="asymp").statistic < LIMIT


@pytest.mark.parametrize(("row", "shape", "groups"), EXACT, ids=str)
def test_the_same_values(row: Row, shape: tuple[int, ...], groups: int) -> None:
    own = initializers.get(row.ours)(shape, seed=0, name="weight", groups=groups)
    assert np.array_equal(peer_draw(row, shape), own)


@pytest.mark.parametrize(("row", "shape", "axes"), ORTHOGONAL, ids=str)
def test_the_same_orthogonal_maps(row: Row, shape: tuple[int, ...], axes: str) -> None:
    """Values of one map depend on each other, which makes their distance smaller than chance's."""
    count = 10
    theirs = np.stack([peer_draw(row, shape, seed) for seed in range(count)])
    own = initializers.get(row.ours)((count, *shape), seed=1, name="weight", axes=f"stack {axes}")
    roles = parse_axes(axes, shape)
    order = [0, *(1 + axis for axis in roles.order() or range(len(shape)))]
    rows, features = roles.size("out", shape), own[0].size // roles.size("out", shape)
    maps = [drawn.transpose(order).reshape(count, rows, features) for drawn in (theirs, own)]
    used, own_used = ((stack != 0).any(axis=(0, 1)) for stack in maps)  # the centre tap
    assert np.array_equal(used, own_used)
    maps = [stack[..., used] for stack in maps]
    for stack in maps:
        small = stack if rows <= stack.shape[-1] else stack.mT
        product = small.astype(np.float64) @ small.mT
        assert np.abs(product - 4 * np.eye(small.shape[1])).max() < 1e-4
    for values in (maps, [np.diagonal(stack, axis1=1, axis2=2) for stack in maps]):
        distance = ks_2samp(*(part.ravel() for part in values), method="asymp").statistic
        assert distance < LIMIT * math.sqrt(N / values[0].size)


def test_the_same_sparse_matrices() -> None:
    shape = (1000, 1000)
    theirs = peer_draw(SPARSE, shape)
    own = initializers.get(SPARSE.ours)(shape, seed=1, name="weight")
    for values in (theirs, own):
        assert ((values == 0).sum(axis=0) == 300).all()
    assert ks_2samp(theirs.ravel(), own.ravel(), method="asymp").statistic < LIMIT
    zeros = [(values == 0).sum(axis=1) for values in (theirs, own)]  # by rows
    assert ks_2samp(*zeros).pvalue > 1e-6


def public(library: str) -> dict[str, Any]:
    """What a library offers for import, every thing once under its first name."""
    module = MODULES[library]
    if library == "torch":
        # torch 2.6 has no list of what it offers.
        made = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        names = getattr(module, "__all__", [name for name in made if not name.startswith("_")])
        old = [name for name in names if f"{name}_" in names]
        return {name: getattr(module, name) for name in names if name not in old}
    found: dict[int, str] = {}
    for name, value in sorted(vars(module).items(), key=lambda item: item[0].startswith("k")):
        classes = library == "jax" or (
            inspect.isclass(value) and issubclass(value, keras.initializers.Initializer)
        )
        if callable(value) and not name.startswith("_") and classes:
            found.setdefault(id(value), name)
    return {name: getattr(module, name) for name in found.values()}


@pytest.mark.parametrize("library", MODULES)
def test_every_public_initializer_has_a_row(library: str) -> None:
    tables = (*ROWS, *(row for row, *_ in (*EXACT, *ORTHOGONAL)), SPARSE)
    rows = [row.peer for row in tables]
    covered = {
        id(getattr(MODULES[library], peer.split(".")[1], None))  # some are new
        for peer in (*rows, *NO_ROW)
        if peer.startswith(library)
    }
    offered = public(library)
    assert len(offered) > 10
    assert not [name for name, value in offered.items() if id(value) not in covered]


@pytest.mark.parametrize("shape", [(5, 7), (7, 5, 3), (8, 4, 3, 2), (3, 4, 5, 6, 7), (0, 4)])
def test_the_same_fans(shape: tuple[int, ...]) -> None:
    assert fans(shape, convention="torch") == torch_fans(torch.empty(shape))
    assert fans(shape, convention="keras") == keras_fans(shape)
    if 0 not in shape:  # JAX divides by them
        assert fans(shape, convention="jax") == jax_fans(shape)


def test_the_fans_of_one_axis() -> None:
    assert fans((7,), convention="keras") == keras_fans((7,))
    assert fans((), convention="keras") == keras_fans(())
    for convention, theirs in (
        ("torch", lambda shape: torch_fans(torch.empty(shape))),
        ("jax", jax_fans),
    ):
        with pytest.raises(ValueError, match=r"(?i)fan|sizes"):
            theirs((7,))
        with pytest.raises(FaninError, match="no fan-in"):
            fans((7,), convention=convention)


def test_a_wrong_std_and_a_wrong_shape_would_be_found() -> None:
    normal = initializers.normal()((N,), seed=1, name="a")
    wide = initializers.normal(std=1.01)((N,), seed=1, name="b")
    assert abs(wide.std(dtype=np.float64) - 1) > STD_ERRORS
    cut = initializers.truncated_normal(0.0, 1.0, -2.5, 2.5)((N,), seed=1, name="b")
    assert ks_2samp(normal, cut, method="asymp").statistic > LIMIT
