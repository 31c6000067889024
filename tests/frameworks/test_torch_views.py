"""Where stored axes are after views: checked against the indices themselves."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fanin.frameworks.torch._views import (
    Atom,
    Dims,
    expanded,
    permuted,
    removed,
    repeated,
    reshaped,
    sliced,
    stored,
)


def predicted(dims: Dims, shape: tuple[int, ...], axes: int) -> list[np.ndarray]:
    """The index along every stored axis, at every position of a tensor with these dims."""
    indices = [np.zeros(shape, int) for _ in range(axes)]
    for dim, atoms in enumerate(dims):
        position = np.arange(shape[dim])
        for atom in reversed(atoms):
            position, digit = np.divmod(position, atom.size)
            if atom.axis is not None:
                along = [1] * len(shape)
                along[dim] = shape[dim]
                indices[atom.axis] = indices[atom.axis] + (digit * atom.stride).reshape(along)
        assert not position.any()
    return indices


def check(dims: Dims, arrays: list[np.ndarray]) -> None:
    """The prediction is right, except for where slices begin."""
    for found, true in zip(predicted(dims, arrays[0].shape, len(arrays)), arrays, strict=True):
        assert (found - found.min() == true - true.min()).all()


@st.composite
def factored(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    """A shape of this many elements."""
    shape: list[int] = []
    while size > 1:
        factor = draw(st.sampled_from([n for n in range(2, size + 1) if size % n == 0]))
        shape.append(factor)
        size //= factor
        if draw(st.booleans()):
            shape.append(1)
    return tuple(shape) or (1,)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_views_are_followed(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4)))
    arrays = list(np.indices(shape))
    dims = stored(shape)
    for _ in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from(["permute", "reshape", "slice", "select", "repeat"]))
        now = arrays[0].shape
        if kind == "permute":
            order = data.draw(st.permutations(range(len(now))))
            dims, arrays = permuted(dims, order), [one.transpose(order) for one in arrays]
        elif kind == "reshape":
            wanted = data.draw(factored(math.prod(now)))
            view = reshaped(dims, wanted)
            if view is None:
                return
            dims, arrays = view, [one.reshape(wanted) for one in arrays]
        elif kind == "slice":
            dim = data.draw(st.integers(0, len(now) - 1))
            size = data.draw(st.integers(1, now[dim]))
            view = sliced(dims, dim, size)
            if view is None:
                return
            dims, arrays = view, [one.take(range(size), dim) for one in arrays]
        elif kind == "repeat":
            counts = data.draw(st.lists(st.integers(1, 2), min_size=len(now), max_size=len(now)))
            dims, arrays = repeated(dims, counts), [np.tile(one, counts) for one in arrays]
        elif len(now) > 1:
            dim = data.draw(st.integers(0, len(now) - 1))
            dims, arrays = removed(dims, dim), [one.take(0, dim) for one in arrays]
        check(dims, arrays)


def test_a_split_axis_is_whole_again_after_it_was_joined() -> None:
    split = reshaped(stored((12, 5)), (3, 4, 5))
    assert split == ((Atom(0, 4, 3),), (Atom(0, 1, 4),), (Atom(1, 1, 5),))
    joined = reshaped(split, (12, 5))
    assert joined == ((Atom(0, 4, 3), Atom(0, 1, 4)), (Atom(1, 1, 5),))


def test_broadcast_dimensions_are_no_stored_axes() -> None:
    dims = expanded(stored((1, 5)), (2, 3, -1))
    assert dims == ((Atom(None, 1, 2),), (Atom(0, 1, 1), Atom(None, 1, 3)), (Atom(1, 1, 5),))


def test_uneven_views_are_given_up() -> None:
    assert reshaped(stored((4, 6)), (3, 8)) is None
    assert sliced(((Atom(0, 1, 4), Atom(1, 1, 6)),), 0, 9) is None
