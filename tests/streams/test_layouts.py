"""Layouts that the kernel writes in blocks: sizes around its blocks, batches and tiles."""

import numpy as np
import pytest

from fanin import Stream
from fanin.streams import Normal

DTYPES = ("float32", "float64", "bfloat16", "float16")
LAYOUTS = {
    "a transposed matrix": ((300, 210), (1, 0)),
    "one block and a bit": ((17, 129), (1, 0)),
    "narrow": ((1000, 5), (1, 0)),
    "wide": ((5, 1000), (1, 0)),
    "a convolution kernel, hwio": ((3, 3, 40, 70), (3, 2, 0, 1)),
    "a small kernel of many outputs": ((1, 2, 3, 900), (3, 2, 0, 1)),
    "stacked kernels": ((4, 3, 33, 65), (0, 3, 2, 1)),
    "middle axis first": ((20, 130, 35), (1, 0, 2)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_permuted_layout_holds_the_canonical_values(
    backend: str, layout: str, dtype: str
) -> None:
    shape, order = LAYOUTS[layout]
    stream = Stream(7, "weight")
    canonical = stream.normal(tuple(shape[axis] for axis in order), dtype=dtype)
    stored = stream.draw(Normal(0.0, 1.0), shape, dtype=dtype, order=order, threads=2)
    assert stored.flags.c_contiguous
    assert np.array_equal(stored.transpose(order), canonical)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "strided",
    [np.s_[:, ::2], np.s_[::-1, ::-3], np.s_[1:, 2:-1], np.s_[::7]],
    ids=["every other column", "backwards", "inside a frame", "every seventh row"],
)
def test_a_permuted_layout_into_strided_memory(
    backend: str, strided: tuple[slice, ...], dtype: str
) -> None:
    stream = Stream(8, "weight")
    bits = np.float64 if dtype == "float64" else np.float32 if dtype == "float32" else np.uint16
    memory = np.zeros((301, 403), bits)
    out = memory[strided]
    stream.draw(Normal(0.0, 1.0), out.shape, dtype=dtype, order=(1, 0), out=out)
    expected = stream.normal(out.shape[::-1], dtype=dtype).T
    assert np.array_equal(out, expected.view(bits) if bits is np.uint16 else expected)
    out[...] = 0
    assert not memory.any(), "a value was written beside its place"


def test_nothing_beside_a_short_draw_is_touched(backend: str) -> None:
    """Lengths around a vector, a batch of words and a tile."""
    stream = Stream(9, "bias")
    for n in (*range(1, 40), 63, 64, 65, 127, 129, 255, 257, 2047, 2049):
        memory = np.zeros(n + 64, np.float32)
        stream.normal(n, out=memory[32 : 32 + n])
        assert not memory[:32].any()
        assert not memory[32 + n :].any()
        assert memory[32 : 32 + n].all()
