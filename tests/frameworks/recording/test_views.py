"""Where stored axes are after views: checked against the indices themselves."""

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fanin.frameworks.recording._views import (
    Atom,
    Dims,
    dims_of,
    expand,
    permute,
    remove,
    repeat,
    reshape,
    slice_neighbours,
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


shapes = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4).map(tuple)


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


def test_views_are_followed() -> None:
    """Whatever is followed is followed rightly, and most of what can be is."""
    followed: Counter[bool] = Counter()

    @settings(max_examples=200)
    @given(st.data())
    def follow(data: st.DataObject) -> None:
        shape = data.draw(shapes)
        arrays = list(np.indices(shape))
        dims = dims_of(shape)
        for _ in range(data.draw(st.integers(1, 5))):
            view, arrays = step(data, dims, arrays)
            followed[view is not None] += 1
            if view is None:
                return
            dims = view
            check(dims, arrays)

    follow()
    assert followed[True] > 9 * followed[False]


def step(
    data: st.DataObject, dims: Dims, arrays: list[np.ndarray]
) -> tuple[Dims | None, list[np.ndarray]]:
    """A view of any kind, of the dims and of the indices themselves."""
    now = arrays[0].shape
    kind = data.draw(st.sampled_from(["permute", "reshape", "slice", "select", "repeat"]))
    if kind == "permute":
        order = data.draw(st.permutations(range(len(now))))
        return permute(dims, order), [indices.transpose(order) for indices in arrays]
    if kind == "reshape":
        wanted = data.draw(factored(math.prod(now)))
        return reshape(dims, wanted), [indices.reshape(wanted) for indices in arrays]
    if kind == "repeat":
        counts = data.draw(st.lists(st.integers(1, 2), min_size=len(now), max_size=len(now)))
        return repeat(dims, counts), [np.tile(indices, counts) for indices in arrays]
    dim = data.draw(st.integers(0, len(now) - 1))
    if kind == "slice" or len(now) == 1:
        size = data.draw(st.integers(1, now[dim]))
        return slice_neighbours(dims, dim, size), [
            indices.take(range(size), dim) for indices in arrays
        ]
    return remove(dims, dim), [indices.take(0, dim) for indices in arrays]


@settings(max_examples=200)
@given(st.data())
def test_a_reshape_is_given_up_only_where_axes_mix(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    order = data.draw(st.permutations(range(len(shape))))
    wanted = data.draw(factored(math.prod(shape)))
    view = reshape(permute(dims_of(shape), order), wanted)
    arrays = [indices.transpose(order).reshape(wanted) for indices in np.indices(shape)]
    assert (view is None) == any(map(mixed, arrays))


def mixed(indices: np.ndarray) -> bool:
    """Whether an axis's index is no sum of what the single dimensions add to it."""
    origin = indices[(0,) * indices.ndim]
    total = np.full_like(indices, origin)
    for dim in range(indices.ndim):
        first = tuple(slice(None) if d == dim else slice(1) for d in range(indices.ndim))
        total = total + (indices[first] - origin)
    return bool((total != indices).any())


def test_a_split_axis_is_whole_again_after_it_was_joined() -> None:
    split = reshape(dims_of((12, 5)), (3, 4, 5))
    assert split == ((Atom(0, 4, 3),), (Atom(0, 1, 4),), (Atom(1, 1, 5),))
    joined = reshape(split, (12, 5))
    assert joined == ((Atom(0, 4, 3), Atom(0, 1, 4)), (Atom(1, 1, 5),))


def test_broadcast_dimensions_are_no_stored_axes() -> None:
    dims = expand(dims_of((1, 5)), (2, 3, -1))
    assert dims == ((Atom(None, 1, 2),), (Atom(0, 1, 1), Atom(None, 1, 3)), (Atom(1, 1, 5),))


def test_uneven_views_are_given_up() -> None:
    assert reshape(dims_of((4, 6)), (3, 8)) is None
    assert slice_neighbours(((Atom(0, 1, 4), Atom(1, 1, 6)),), 0, 9) is None
