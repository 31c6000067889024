"""orthogonal, delta_orthogonal, unit_rows: lengths kept, uniform, the same in every layout."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fanin import FaninError, Stream
from fanin.axes import Axes
from fanin.initializers import _householder, _orthogonal
from fanin.initializers._orthogonal import delta_orthogonal, orthogonal, unit_rows
from fanin.initializers._parts import to_cells

Array = Any
LAYOUTS = [
    ((6, 4), None),
    ((4, 6), None),
    ((5, 5), Axes(("in", "out"))),
    ((8, 3, 3, 2), None),
    ((3, 2, 4, 7), Axes(("kernel", "kernel", "in", "out"))),
    ((12, 2, 3), Axes(("out", "in", "kernel"), groups=3)),
    ((6, 4, 3), Axes(("in", "out", "kernel"), groups=3, transposed=True, stride=2)),
    ((3, 5, 4), Axes(("stack", "in", "out"))),
    ((2, 6, 2, 3), Axes(("stack", "out", "in", "out"))),
    ((9, 1, 3, 3), Axes(("out", "in", "kernel", "kernel"), groups=9)),
    ((1, 1), None),
    ((200, 130), None),
    ((130, 260), None),
]
layouts = pytest.mark.parametrize(("shape", "axes"), LAYOUTS)
FACTORIES = (orthogonal, delta_orthogonal, unit_rows)
WIDENING = (8, 3, 3, 2)
HAAR = 20_000


def matrices(values: Array, axes: Axes | None) -> Array:
    """The matrices (map, out, in * kernel) of a weight without packed blocks."""
    plain = Axes(("out", "in", *("kernel",) * (values.ndim - 2)))
    split = to_cells(values, axes or plain)
    return split.reshape(-1, split.shape[2], math.prod(split.shape[3:])).astype(np.float64)


def defect(maps: Array) -> Array:
    """Q Q^T - I or Q^T Q - I, whichever is smaller, in float64."""
    rows, columns = maps.shape[-2:]
    maps = maps.astype(np.float64)
    gram = maps @ maps.mT if rows <= columns else maps.mT @ maps
    return gram - np.eye(min(rows, columns))


def stewart(gaussian: Array) -> Array:
    """Stewart's construction as it is written: one reflection after the other."""
    rows, columns = gaussian.shape
    product = np.eye(rows)
    signs = np.ones(columns)
    for k in range(columns):
        v = np.zeros(rows)
        v[k:] = gaussian[k:, k]
        signs[k] = -np.sign(v[k])
        v[k] -= signs[k] * np.linalg.norm(v)
        product = product - 2 * np.outer(product @ v, v) / (v @ v)
    return product[:, :columns] * signs


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (7, 3), (3, 7), (300, 100), (210, 210)])
def test_it_is_stewarts_matrix_of_the_weights_own_normals(shape: tuple[int, int]) -> None:
    drawn = Stream(3, "w").normal(shape, dtype="float64")
    expected = stewart(drawn) if shape[0] >= shape[1] else stewart(drawn.T).T
    made = orthogonal(2.0)(shape, seed=3, name="w", dtype="float64")
    assert np.abs(made - 2 * expected).max() < 1e-13
    single = orthogonal(2.0)(shape, seed=3, name="w")
    assert single.dtype == np.float32
    assert np.abs(single - 2 * expected).max() < 1e-5


@layouts
@pytest.mark.parametrize(("dtype", "error"), [("float32", 2e-6), ("float64", 5e-15)])
def test_every_map_is_orthonormal(
    shape: tuple[int, ...], axes: Axes | None, dtype: str, error: float
) -> None:
    made = orthogonal(0.5)(shape, seed=0, name="w", axes=axes, dtype=dtype)
    assert np.abs(defect(matrices(made, axes) * 2)).max() < error


@layouts
@pytest.mark.parametrize("make", [orthogonal, unit_rows])
def test_std_is_exact(make: Any, shape: tuple[int, ...], axes: Axes | None) -> None:
    made = make(0.5)(shape, seed=0, name="w", axes=axes, dtype="float64")
    assert make(0.5).std(shape, axes) == pytest.approx(np.sqrt((made**2).mean()), rel=1e-13)


@pytest.mark.parametrize("blocks", [(5, 5, 5, 5), (3, 12, 5)])
def test_every_packed_block_is_orthonormal(blocks: tuple[int, ...]) -> None:
    axes = Axes(("in", "out"), blocks=blocks)
    made = orthogonal()((5, 20), seed=0, name="lstm", axes=axes, dtype="float64")
    for block in np.split(made.T, np.cumsum(blocks)[:-1]):
        assert np.abs(defect(block)).max() < 5e-15
    assert orthogonal().std((5, 20), axes) == pytest.approx(np.sqrt((made**2).mean()), rel=1e-13)


@pytest.mark.parametrize("make", FACTORIES)
def test_layouts_hold_the_same_values_transposed(make: Any) -> None:
    torch_layout = make()(WIDENING, seed=0, name="w")
    keras_layout = make()((3, 2, 3, 8), seed=0, name="w", axes="hwio")
    assert torch_layout.tobytes() == keras_layout.transpose(3, 2, 0, 1).tobytes()
    groups = Axes(("in", "out", "kernel"), groups=3, transposed=True)
    first = make()((6, 4, 3), seed=0, name="w", axes=groups)
    second = make()((12, 2, 3), seed=0, name="w", groups=3)  # (group, out, in, kernel) alike
    stacked = second.reshape(3, 4, 2, 3).swapaxes(1, 2).reshape(6, 4, 3)
    assert first.tobytes() == stacked.tobytes()


@pytest.mark.parametrize("shape", [(70, 70), (90, 40), (40, 90)])
@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-6), ("float64", 3e-15)])
def test_the_size_of_blocks_and_tiles_is_felt_in_the_last_bits_alone(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], dtype: str, error: float
) -> None:
    """Another BLAS sums in another order, as another size of blocks does."""
    usual = orthogonal()((2, *shape), seed=0, name="w", axes="stack out in", dtype=dtype)
    monkeypatch.setattr(_householder, "_TILE", 100)
    monkeypatch.setattr(_orthogonal, "_TOGETHER", 1)
    for size in (1, 7, 32):
        monkeypatch.setattr(_householder, "_BLOCK", size)
        other = orthogonal()((2, *shape), seed=0, name="w", axes="stack out in", dtype=dtype)
        assert np.abs(usual - other).max() < error


def test_it_is_as_orthonormal_as_torchs() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = defect(torch.nn.init.orthogonal_(torch.empty(512, 512)).numpy())
    own = defect(orthogonal()((512, 512), seed=0, name="w"))
    assert np.abs(own).max() < np.abs(theirs).max()
    assert np.linalg.norm(own) < 1.1 * np.linalg.norm(theirs)


def test_a_deep_linear_net_keeps_lengths_and_a_normal_one_does_not() -> None:
    """Saxe et al. 2014: variance of squared singular values over 8 layers, mean 1: 0 against 8."""

    def spread(layers: list[Array]) -> float:
        squared = np.linalg.svd(np.linalg.multi_dot(layers), compute_uv=False) ** 2
        return float(np.var(squared / squared.mean()))

    made = [orthogonal()((100, 100), seed=0, name=f"{k}.weight") for k in range(8)]
    normal = [Stream(0, f"{k}.weight").normal((100, 100)) for k in range(8)]
    assert spread(made) < 1e-10
    assert spread(normal) > 4


slices = st.builds(
    slice, *[st.one_of(st.none(), st.integers(-9, 9))] * 2, st.sampled_from([1, 2, -1])
)


@pytest.mark.parametrize("make", FACTORIES)
@given(first=st.one_of(st.integers(0, 7), slices), second=slices)
def test_a_slice_is_cut_from_the_whole(make: Any, first: Any, second: Any) -> None:
    whole = make()(WIDENING, seed=1, name="w")
    part = make()(WIDENING, seed=1, name="w", index=(first, second))
    assert part.tobytes() == whole[first, second].tobytes()


@pytest.mark.parametrize("make", FACTORIES)
def test_sixteen_bits_are_the_float32_values_rounded(make: Any) -> None:
    single = make()(WIDENING, seed=0, name="w")
    for dtype in ("float16", ml_dtypes.bfloat16):
        made = make()(WIDENING, seed=0, name="w", dtype=dtype)
        assert np.array_equal(made, single.astype(dtype))


@pytest.mark.parametrize("make", FACTORIES)
def test_it_writes_into_out(make: Any) -> None:
    out = np.zeros(WIDENING[::-1], np.float32).T
    assert make()(WIDENING, seed=0, name="w", out=out) is out
    assert np.array_equal(out, make()(WIDENING, seed=0, name="w"))


@pytest.mark.parametrize("make", [orthogonal, delta_orthogonal])
def test_an_empty_slice_computes_nothing(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_orthogonal, "orthonormalize", None)
    huge = (1 << 20, 1 << 20)
    assert make()(huge, seed=0, name="w", index=slice(0, 0)).shape == (0, 1 << 20)
    assert make()((3, 0), seed=0, name="w").shape == (3, 0)
    assert make().std(huge) == 2**-10


# The O(n) tests below make matrices in one call, as a stack. Blocks of two reflections, so that
# products of several blocks are tested too.


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_householder, "_BLOCK", 2)


def drawn(rows: int, columns: int, name: str) -> Array:
    shape = (HAAR, rows, columns)
    return orthogonal()(shape, seed=0, name=name, axes="stack out in", dtype="float64")


def unsigned(rows: int, columns: int) -> Array:
    """What leaving out the signs makes: LAPACK's Q, which is not uniform."""
    return np.linalg.qr(np.random.default_rng(0).normal(size=(HAAR, rows, columns)))[0]


def p_of_element(maps: Array, row: int, column: int) -> float:
    """An element q of a uniform matrix, n long: (q + 1) / 2 is Beta((n - 1) / 2, (n - 1) / 2)."""
    half = (max(maps.shape[1:]) - 1) / 2
    return float(stats.kstest((maps[:, row, column] + 1) / 2, "beta", (half, half)).pvalue)


def p_of_angle(maps: Array) -> float:
    """The rotation in a uniform 3 x 3 matrix has an angle a of density (1 - cos a) / pi."""
    rotations = maps * np.linalg.det(maps)[:, None, None]
    angles = np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1))
    return float(stats.kstest((angles - np.sin(angles)) / np.pi, "uniform").pvalue)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (5, 3), (3, 5)])
def test_elements_are_those_of_a_uniform_matrix(rows: int, columns: int) -> None:
    """n = 20 000 matrices, p > 1e-6 for every element: false alarms 25e-6 at most a case."""
    maps = drawn(rows, columns, "elements")
    for row in range(rows):
        for column in range(columns):
            assert p_of_element(maps, row, column) > 1e-6


@pytest.mark.usefixtures("small_blocks")
def test_the_angles_of_rotations_are_those_of_uniform_ones() -> None:
    """n = 20 000 matrices, p > 1e-6: false alarms 1e-6."""
    assert p_of_angle(drawn(3, 3, "angles")) > 1e-6


@pytest.mark.usefixtures("small_blocks")
def test_traces_have_the_moments_of_uniform_matrices() -> None:
    """On O(n), n >= 4: E tr Q = 0, E (tr Q)^2 = 1, E (tr Q)^4 = 3, E tr Q^2 = 1 (Diaconis and
    Shahshahani 1994). n = 20 000; within 5 standard errors: false alarms 4 * 6e-7."""
    maps = drawn(5, 5, "traces")
    trace = np.trace(maps, axis1=1, axis2=2)
    of_square = np.trace(maps @ maps, axis1=1, axis2=2)
    for values, mean in ((trace, 0), (trace**2, 1), (trace**4, 3), (of_square, 1)):
        assert abs(values.mean() - mean) < 5 * values.std() / math.sqrt(HAAR)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("size", [1, 2, 5])
def test_half_of_the_determinants_are_negative(size: int) -> None:
    """n = 20 000; within 5 standard errors: false alarms 6e-7 a size."""
    negative = (np.linalg.det(drawn(size, size, "signs")) < 0).sum()
    assert abs(negative - HAAR / 2) < 5 * math.sqrt(HAAR / 4)


@pytest.mark.usefixtures("small_blocks")
def test_turning_the_matrices_changes_nothing() -> None:
    """U Q V for fixed U, V is as Q: elements of it, n = 20 000, p > 1e-6: false alarms 2e-6."""
    turn = stats.ortho_group.rvs(5, random_state=np.random.default_rng(1))
    maps = drawn(5, 5, "turned")
    assert p_of_element(turn @ maps, 1, 2) > 1e-6
    assert p_of_element(maps @ turn, 3, 0) > 1e-6


def test_these_tests_find_missing_signs() -> None:
    assert p_of_element(unsigned(5, 5), 0, 0) < 1e-30
    assert p_of_angle(unsigned(3, 3)) < 1e-30
    trace = np.trace(unsigned(5, 5), axis1=1, axis2=2)
    assert abs(trace.mean()) > 20 * trace.std() / math.sqrt(HAAR)
    assert len({*np.sign(np.linalg.det(unsigned(5, 5)))}) == 1


def test_delta_orthogonal_keeps_lengths_at_every_frequency() -> None:
    made = delta_orthogonal(3.0)((6, 4, 3, 5), seed=0, name="w", dtype="float64")
    assert np.count_nonzero(made) == np.count_nonzero(made[:, :, 1, 2]) == 24
    spectrum = np.fft.fft2(made, (8, 8)).transpose(2, 3, 0, 1)
    gram = spectrum.mT.conj() @ spectrum
    assert np.abs(gram - 9 * np.eye(4)).max() < 1e-13
    std = delta_orthogonal(3.0).std(made.shape)
    assert std == pytest.approx(np.sqrt((made**2).mean()), rel=1e-13)


def test_delta_orthogonal_takes_the_second_middle_of_even_kernels() -> None:
    made = delta_orthogonal()((2, 2, 4), seed=0, name="w")
    assert np.flatnonzero(np.abs(made).sum((0, 1))).tolist() == [2]


def test_delta_orthogonal_of_groups_strides_and_blocks() -> None:
    axes = Axes(("in", "out", "kernel"), groups=2, transposed=True, stride=(2,))
    made = delta_orthogonal()((4, 3, 3), seed=0, name="w", axes=axes, dtype="float64")
    for group in np.split(made[:, :, 1], 2):
        assert np.abs(group @ group.T - np.eye(2)).max() < 1e-14
    packed = Axes(("out", "in", "kernel"), blocks=(3, 2))
    made = delta_orthogonal()((5, 2, 1), seed=0, name="w", axes=packed, dtype="float64")
    assert np.abs(defect(made[:3, :, 0])).max() < 1e-14
    assert np.abs(defect(made[3:, :, 0])).max() < 1e-14


@layouts
def test_unit_rows_have_the_directions_of_the_weights_own_normals(
    shape: tuple[int, ...], axes: Axes | None
) -> None:
    made = matrices(unit_rows(2.0)(shape, seed=0, name="w", axes=axes, dtype="float64"), axes)
    assert np.abs(np.linalg.norm(made, axis=2) - 2).max() < 1e-14
    if axes is None:
        normal = Stream(0, "w").normal(shape, dtype="float64").reshape(made.shape)
        cosine = (made * normal).sum(2) / np.linalg.norm(normal, axis=2) / 2
        assert np.abs(cosine - 1).max() < 1e-14
    single = matrices(unit_rows(2.0)(shape, seed=0, name="w", axes=axes), axes)
    assert np.abs(single - made).max() < 2e-6


@pytest.mark.parametrize("make", FACTORIES)
@pytest.mark.parametrize(
    ("shape", "axes", "missing"),
    [
        ((512,), None, "no `out` and no `in` axis"),
        ((), None, "no `out` and no `in` axis"),
        ((10, 4), "stack out", "no `in` axis"),
        ((10, 4), "stack in", "no `out` axis"),
    ],
)
def test_what_holds_no_map_is_refused(make: Any, shape: Any, axes: Any, missing: str) -> None:
    with pytest.raises(FaninError, match=missing) as caught:
        make()(shape, seed=0, name="w", axes=axes)
    assert str(shape) in str(caught.value)
    assert f"{make.__name__} makes linear maps" in str(caught.value)
    assert "Use constant(...) or normal(...), or name its axes." in str(caught.value)
    with pytest.raises(FaninError, match=missing):
        make().std(shape, axes)


@pytest.mark.parametrize("make", FACTORIES)
@pytest.mark.parametrize("gain", [0, -1.0, math.nan, math.inf, "1", None])
def test_a_bad_gain_is_refused(make: Any, gain: Any) -> None:
    message = f"gain of {make.__name__} is {gain!r}; it must be a finite number > 0"
    with pytest.raises(FaninError) as caught:
        make(gain)
    assert message in str(caught.value)


@pytest.mark.parametrize("make", FACTORIES)
@pytest.mark.parametrize(("gain", "dtype"), [(1e39, "float32"), (1e6, "float16")])
def test_a_gain_beyond_the_dtype_leaves_out_untouched(make: Any, gain: float, dtype: str) -> None:
    out = np.ones((4, 2), dtype)
    with pytest.raises(FaninError, match=f"beyond the range of {dtype}"):
        make(gain)((4, 2), seed=0, name="w", out=out)
    assert (out == 1).all()


def test_delta_orthogonal_refuses_a_map_that_narrows() -> None:
    with pytest.raises(FaninError, match=r"\(4, 8, 3\) maps 8 inputs to 4 outputs.*orthogonal\("):
        delta_orthogonal()((4, 8, 3), seed=0, name="w")
    with pytest.raises(FaninError, match="maps 4 inputs to 2 outputs"):
        delta_orthogonal().std((4, 4, 3), groups=2)


def test_groups_must_fit_packed_blocks() -> None:
    axes = Axes(("out", "in"), groups=2, blocks=(4, 3, 1))
    with pytest.raises(FaninError, match="must divide the 3 outputs"):
        orthogonal()((8, 3), seed=0, name="w", axes=axes)
