"""identity, dirac, zero_hadamard: the published matrices, whatever the seed and the layout."""

import math
import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from scipy.linalg import hadamard

from fanin import FaninError
from fanin.axes import Axes
from fanin.initializers._structured import _corner_sum, dirac, identity, zero_hadamard

FACTORIES = (identity, dirac, zero_hadamard)
every = pytest.mark.parametrize("make", FACTORIES)


def made(initializer: Any, shape: tuple[int, ...], **keywords: Any) -> Any:
    return initializer(shape, **({"seed": 0, "name": "w"} | keywords))


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (1, 1)])
def test_identity_is_torchs_eye(shape: tuple[int, int]) -> None:
    theirs = torch.nn.init.eye_(torch.empty(shape)).numpy()
    assert np.array_equal(made(identity(), shape), theirs)
    assert np.array_equal(made(dirac(), shape), theirs)
    assert np.array_equal(made(identity(0.5), shape, dtype="float64"), theirs / 2)


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("shape", [(6, 4, 3), (6, 2, 4, 5), (12, 5, 3, 1, 2)])
def test_dirac_is_torchs(shape: tuple[int, ...], groups: int) -> None:
    theirs = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
    assert np.array_equal(made(dirac(), shape, groups=groups), theirs)


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_passes_the_signal_through_a_convolution(groups: int) -> None:
    signal = torch.arange(4.0 * 7).reshape(1, 4, 7)
    weight = torch.from_numpy(made(dirac(), (4, 4 // groups, 3), groups=groups))
    assert torch.equal(torch.conv1d(signal, weight, padding=1, groups=groups), signal)
    axes = Axes(("in", "out", "kernel"), groups=groups, transposed=True)
    weight = torch.from_numpy(made(dirac(), (4, 4 // groups, 3), axes=axes))
    back = torch.conv_transpose1d(signal, weight, padding=1, groups=groups)
    assert torch.equal(back, signal)


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (4, 3), (5, 4), (8, 3), (9, 8), (100, 60)])
def test_zero_hadamard_of_a_widening_map_is_the_papers(shape: tuple[int, int]) -> None:
    m = math.ceil(math.log2(shape[0]))
    expected = 2 ** (-(m - 1) / 2) * hadamard(2**m)[: shape[0], : shape[1]]
    assert np.allclose(made(zero_hadamard(), shape, dtype="float64"), expected, rtol=1e-15)
    kernel = made(zero_hadamard(3.0), (*shape, 5, 3), dtype="float64")
    assert np.allclose(kernel[:, :, 2, 1], 3 * expected, rtol=1e-15)
    assert np.count_nonzero(kernel) == expected.size


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (3, 7)])
def test_zero_hadamard_of_other_maps_is_an_identity(shape: tuple[int, int]) -> None:
    assert np.array_equal(made(zero_hadamard(), shape), np.eye(*shape))


def test_widening_lifts_the_rank_that_identities_hold() -> None:
    """The first step's gradient of a 2 - 8 - 8 linear net reaches more than two directions."""
    narrow = made(identity(), (8, 2))
    wide = made(zero_hadamard(), (8, 2))
    assert np.count_nonzero(np.abs(narrow).sum(1)) == 2
    assert np.count_nonzero(np.abs(wide).sum(1)) == 8
    assert np.allclose(wide.T @ wide, 2 * np.eye(2))


@pytest.mark.parametrize("rows", range(1, 10))
def test_the_sum_of_a_corner(rows: int) -> None:
    for columns in range(1, 20):
        assert _corner_sum(rows, columns) == hadamard(32)[:rows, :columns].sum()


@every
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((6, 4), None),
        ((4, 6), None),
        ((4, 6), "in out"),
        ((3, 6, 4), "stack out in"),
        ((6, 2), Axes(("out", "in"), groups=2)),
        ((7, 2), Axes(("out", "in"), blocks=(4, 3))),
    ],
)
def test_std_is_that_of_the_values(make: Any, shape: tuple[int, ...], axes: Any) -> None:
    values = made(make(0.5), shape, axes=axes, dtype="float64")
    assert make(0.5).std(shape, axes) == pytest.approx(values.std(), rel=1e-13)


@pytest.mark.parametrize("make", [dirac, zero_hadamard])
def test_std_counts_every_tap(make: Any) -> None:
    values = made(make(0.5), (6, 4, 3, 3), dtype="float64")
    assert make(0.5).std((6, 4, 3, 3)) == pytest.approx(values.std(), rel=1e-13)
    assert make().std((3, 0, 3)) == 0.0
    assert made(make(), (3, 0, 3)).shape == (3, 0, 3)


@every
def test_it_draws_nothing(make: Any) -> None:
    first = made(make(), (6, 4))
    assert first.tobytes() == made(make(), (6, 4), seed=7, name="other").tobytes()


@every
def test_layouts_stacks_and_blocks_hold_the_same_matrix(make: Any) -> None:
    one = made(make(), (6, 4))
    assert np.array_equal(made(make(), (4, 6), axes="in out"), one.T)
    for stacked in made(make(), (3, 6, 4), axes="stack out in"):
        assert np.array_equal(stacked, one)
    packed = made(make(), (11, 4), axes=Axes(("out", "in"), blocks=(6, 5)))
    assert np.array_equal(packed[:6], one)
    assert np.array_equal(packed[6:], made(make(), (5, 4)))
    assert np.array_equal(made(make(), (12, 4), groups=2), np.concatenate([one, one]))


@pytest.mark.parametrize("make", [dirac, zero_hadamard])
def test_layouts_of_kernels_hold_the_same_values(make: Any) -> None:
    one = made(make(), (6, 4, 3, 2))
    assert np.array_equal(made(make(), (3, 2, 4, 6), axes="hwio"), one.transpose(2, 3, 1, 0))


@every
def test_slices_dtypes_and_out(make: Any) -> None:
    whole = made(make(0.3), (6, 4))
    assert np.array_equal(made(make(0.3), (6, 4), index=(slice(4, None, -2), 1)), whole[4::-2, 1])
    for dtype in ("float16", ml_dtypes.bfloat16):
        assert np.array_equal(made(make(0.3), (6, 4), dtype=dtype), whole.astype(dtype))
    out = np.full((4, 6), 9, np.float32).T
    assert made(make(0.3), (6, 4), out=out) is out
    assert np.array_equal(out, whole)


def test_identity_refuses_kernel_axes() -> None:
    for call in (lambda: made(identity(), (4, 4, 3)), lambda: identity().std((4, 4, 3))):
        with pytest.raises(
            FaninError, match=r"shape \(4, 4, 3\) has kernel axes.*Use dirac\(\) or delta_ortho"
        ):
            call()


@every
def test_what_holds_no_map_is_refused(make: Any) -> None:
    message = rf"shape \(7,\) has no `out` and no `in` axis, and {make.__name__} makes linear maps"
    with pytest.raises(FaninError, match=message):
        made(make(), (7,))
    with pytest.raises(FaninError, match=message):
        make().std(7)


@every
@pytest.mark.parametrize("gain", [0.0, -2.0, math.nan, math.inf, "x"])
def test_a_bad_gain_is_refused(make: Any, gain: Any) -> None:
    message = f"gain of {make.__name__} is {gain!r}; it must be a finite number > 0"
    with pytest.raises(FaninError, match=re.escape(message)):
        make(gain)


@every
def test_a_gain_beyond_the_dtype_leaves_out_untouched(make: Any) -> None:
    for gain, dtype in ((1e39, "float32"), (1e5, "float16")):
        out = np.ones((4, 4), dtype)
        with pytest.raises(FaninError, match=f"beyond the range of {dtype}"):
            made(make(gain), (4, 4), out=out)
        assert (out == 1).all()
