"""Drawn: a stored tensor against what a row of a plan draws, tile by tile."""

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fanin.commands._tensors import Tensor
from fanin.errors import FaninError
from fanin.frameworks._arrays import arrange
from fanin.frameworks._tiles import Box, meet, tiles
from fanin.initializers import Elementwise, Initializer
from fanin.plans import Row
from fanin.streams import Array


def difference(tensor: Tensor, row: Row, stream: str, seed: int, pieces: Iterable[bytes]) -> str:
    """What differs first, in words; "" for nothing. All pieces are read."""
    told = ""
    if tensor.shape != row.shape:
        told = f"has shape {tensor.shape}, {row.shape} in the plan"
    elif row.initializer is None:
        return _compare_kept(tensor, row, pieces)
    draw = None if told else _drawing(tensor, row, stream, seed)
    rest = hashlib.sha256()
    for box, piece in zip(tiles(tensor.shape), pieces, strict=True):
        if draw is None or told:
            continue
        drawn, values, others = _split(tensor, row, box, piece)
        rest.update(others)
        try:
            if drawn is not None:
                told = _unlike(draw(drawn), values, _tolerance(row, tensor), drawn)
        except FaninError as error:
            told = str(error)
    if not told and row.part is not None and row.kept_sha256 not in (None, rest.hexdigest()):
        told = "holds other values in the rows that the plan keeps"
    return told


def _split(tensor: Tensor, row: Row, box: Box, piece: bytes) -> tuple[Box | None, bytes, bytes]:
    """What of a tile is drawn: its box, its bytes, and the bytes of the rest."""
    if row.part is None:
        return box, piece, b""
    met = meet(box, row.part)
    if met is None:
        return None, b"", piece
    shape = tuple(part.stop - part.start for part in box)
    cells = np.frombuffer(piece, f"V{len(piece) // max(math.prod(shape), 1)}").reshape(shape)
    kept = np.ones(shape, bool)
    kept[met[1]] = False
    return met[0], cells[met[1]].tobytes(), cells[kept].tobytes()


def _tolerance(row: Row, tensor: Tensor) -> float:
    return 0.0 if row.initializer is None else row.initializer.tolerance(tensor.dtype)


def _compare_kept(tensor: Tensor, row: Row, pieces: Iterable[bytes]) -> str:
    values = hashlib.sha256()
    for piece in pieces:
        values.update(piece)
    if row.kept_sha256 is None or row.kept_sha256 == values.hexdigest():
        return ""
    if tensor.dtype != row.dtype:
        return f"is kept by the plan as {row.dtype} and stored as {tensor.dtype}: not comparable"
    return "is kept by the plan, and holds other values"


def _drawing(tensor: Tensor, row: Row, stream: str, seed: int) -> Callable[[Box], Array]:
    """The values of a box; those that depend on each other are drawn whole, once."""
    initializer = row.initializer
    assert isinstance(initializer, Initializer)
    how: dict[str, Any] = {"seed": seed, "name": stream, "dtype": tensor.dtype, "axes": row.axes}
    whole: list[Array] = []

    def draw(box: Box) -> Array:
        if isinstance(initializer, Elementwise) and not tensor.gates:
            values = initializer(row.shape, index=box, **how)
        else:
            if not whole:
                whole.append(arrange(initializer(row.shape, **how), tensor.gates))
            values = whole[0][box].copy()
        if row.zero_row is not None and box[0].start <= row.zero_row < box[0].stop:
            values[row.zero_row - box[0].start] = 0
        return values

    return draw


def _unlike(drawn: Array, piece: bytes, tolerance: float, box: Box) -> str:
    if drawn.tobytes() == piece:
        return ""
    held = np.frombuffer(piece, drawn.dtype).reshape(drawn.shape)
    mine, theirs = _numbers(drawn), _numbers(held)
    if tolerance:
        unlike = ~(np.abs(mine - theirs) <= tolerance)
    else:
        bits = [array.reshape(-1).view(np.uint8).reshape(array.size, -1) for array in (drawn, held)]
        unlike = (bits[0] != bits[1]).any(-1)
    if not unlike.any():
        return ""
    at = np.unravel_index(int(np.argmax(unlike)), drawn.shape)
    place = tuple(int(index) + axis.start for index, axis in zip(at, box, strict=True))
    return f"element {place} is {theirs[at]:.9g}, drawn {mine[at]:.9g}"


def _numbers(values: Array) -> Array:
    """Numbers to compute with; of bfloat16 there may be the bits alone."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return values if values.dtype.kind == "c" else values.astype(np.float64)
