"""Views: where the stored axes of a tensor are after it was permuted, reshaped and cut."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Atom(NamedTuple):
    """The part (index // stride) % size of a stored axis; axis None: copies, by broadcasting."""

    axis: int | None
    stride: int
    size: int


# The atoms of each dimension of a tensor, slowest first; their sizes multiply to its size.
Dims = tuple[tuple[Atom, ...], ...]


def dims_of(shape: Sequence[int]) -> Dims:
    """A tensor as it is stored: every dimension is one whole axis."""
    return tuple((Atom(axis, 1, size),) for axis, size in enumerate(shape))


def permute(dims: Dims, order: Sequence[int]) -> Dims:
    """Dimensions in another order."""
    return tuple(dims[dim] for dim in order)


def expand(dims: Dims, shape: Sequence[int]) -> Dims:
    """Broadcast to a shape, new dimensions first; -1 keeps a size."""
    new = len(shape) - len(dims)
    result: list[tuple[Atom, ...]] = [(Atom(None, 1, size),) for size in shape[:new]]
    for atoms, size in zip(dims, shape[new:], strict=True):
        grows = size != -1 and size != math.prod(atom.size for atom in atoms)
        result.append((*atoms, Atom(None, 1, size)) if grows else atoms)
    return tuple(result)


def repeat(dims: Dims, counts: Sequence[int]) -> Dims:
    """Whole copies, one behind the other, of every dimension."""
    dims = expand(dims, (1,) * (len(counts) - len(dims)) + (-1,) * len(dims))
    pairs = zip(counts, dims, strict=True)
    return tuple((Atom(None, 1, n), *atoms) if n != 1 else atoms for n, atoms in pairs)


def reshape(dims: Dims, shape: Sequence[int]) -> Dims | None:
    """Another shape of the same elements; None where atoms do not split evenly."""
    queue = [atom for atoms in dims for atom in atoms][::-1]
    result = []
    for wanted in shape:
        atoms: list[Atom] = []
        missing = wanted
        while queue and (missing > 1 or (queue[-1].size == 1 and not atoms)):
            atom = queue.pop()
            if atom.size <= missing and missing % atom.size == 0:
                atoms.append(atom)
                missing //= atom.size
            elif atom.size % missing == 0:
                rest = atom.size // missing
                atoms.append(Atom(atom.axis, atom.stride * rest, missing))
                queue.append(Atom(atom.axis, atom.stride, rest))
                missing = 1
            else:
                return None
        if missing > 1:
            return None
        result.append(tuple(atoms))
    if any(atom.size > 1 for atom in queue):
        return None
    if queue and result:  # axes of size 1 that were left over
        result[-1] = (*result[-1], *queue[::-1])
    return tuple(result)


def slice_neighbours(dims: Dims, dim: int, size: int) -> Dims | None:
    """`size` neighbours of one dimension; None where they are not whole atoms."""
    if not dims[dim]:
        return dims
    first, *rest = dims[dim]
    inner = math.prod(atom.size for atom in rest)
    if size % inner:
        return None
    atom = Atom(first.axis, first.stride, size // inner)
    return (*dims[:dim], (atom, *rest), *dims[dim + 1 :])


def remove(dims: Dims, dim: int) -> Dims:
    """Without one dimension."""
    return dims[:dim] + dims[dim + 1 :]
