"""bilinear and icnr: what they do to a map."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, pixel_shuffle

from fanin import FaninError
from fanin.initializers import bilinear, he_normal, icnr, zeros


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bilinear_interpolates(factor: int) -> None:
    """As torch's own bilinear upsampling, but at the borders."""
    kernel = 2 * factor - factor % 2
    weight = torch.from_numpy(bilinear()((3, 3, kernel, kernel), seed=0, name="w"))
    x = torch.randn(2, 3, 7, 6, generator=torch.manual_seed(0))
    padding = (kernel - factor) // 2
    found = conv_transpose2d(x, weight, stride=factor, padding=padding)
    wanted = interpolate(x, scale_factor=factor, mode="bilinear")
    inner = (..., slice(factor, -factor), slice(factor, -factor))
    assert torch.allclose(found[inner], wanted[inner], atol=1e-5)


def test_bilinear_is_one_map_for_every_group() -> None:
    made = bilinear(2.0)((4, 1, 4), seed=0, name="w", groups=4)
    assert np.array_equal(made, np.tile(np.float32([0.5, 1.5, 1.5, 0.5]), (4, 1, 1)))
    assert np.array_equal(bilinear()((2, 3), seed=0, name="w"), np.eye(2, 3))
    with pytest.raises(FaninError, match="bilinear makes linear maps"):
        bilinear()((3,), seed=0, name="w")


def test_icnr_starts_without_a_checkerboard() -> None:
    """Behind a pixel shuffle every block of 2x2 pixels is flat."""
    weight = torch.from_numpy(icnr(he_normal())((12, 5, 3, 3), seed=1, name="w"))
    x = torch.randn(2, 5, 6, 6, generator=torch.manual_seed(0))
    shown = pixel_shuffle(conv2d(x, weight, padding=1), 2)
    blocks = shown.unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2)
    assert torch.equal(blocks.amax(-1), blocks.amin(-1))
    small = he_normal()((3, 5, 3, 3), seed=1, name="w")
    assert np.array_equal(weight[::4].numpy(), small)
    assert icnr(he_normal()).std((12, 5, 3, 3)) == he_normal().std((3, 5, 3, 3))
    assert icnr(zeros()).seeded is False


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: icnr("he_normal"), "initializer of icnr is 'he_normal'; give one, such as"),
        (lambda: icnr(he_normal(), 0), "scale of icnr is 0; it is an integer >= 1"),
        (
            lambda: icnr(he_normal()).std((6, 3, 3, 3)),
            "makes 4 equal copies of every output channel",
        ),
        (lambda: icnr(he_normal()).std((8, 1, 3, 3), groups=8), "of one group; shape"),
        (lambda: bilinear(0), "gain of bilinear is 0; it must be a finite number > 0"),
    ],
)
def test_wrong_ones(call: object, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        call()  # type: ignore[operator]
