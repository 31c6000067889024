"""Ways to draw the same values, and which of them are compared."""

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from random import Random

import numpy as np

from bench.values.bits.pieces import Piece, Ranges, to_index
from fanin.streams import Array, backends, use_backend

Way = Callable[[Piece, Array, Random], None]
LEVELS = tuple(name for name in backends() if name != "reference")
PIECES_OF_A_PROCESS = 200


@dataclass(frozen=True)
class Comparison:
    """A second way, held against the straight draw of the fastest level on one thread.

    `share` is its part of the time, beside the others'; `totals` are the least and the most values
    of the tensors that pieces are parts of, `most` those of a piece.
    """

    way: Way
    share: float = 1.0
    most: int = 2**21
    totals: tuple[int, int] = (2**12, 2**33)
    least_axes: int = 1


def on_level(level: str, piece: Piece, out: Array, random: Random) -> None:
    with use_backend(level):
        piece.draw(piece.ranges, out)


def on_threads(piece: Piece, out: Array, random: Random) -> None:
    """Two to seven threads of any level."""
    with use_backend(random.choice(LEVELS)):
        piece.draw(piece.ranges, out, random.randint(2, 7))


def in_slices(piece: Piece, out: Array, random: Random) -> None:
    """Up to eight parts, cut by chance across any axis, in any order, each by any level."""
    parts = [tuple(range(count) for count in piece.counts)]
    for _ in range(random.randint(1, 7)):
        parts += _halves(parts.pop(random.randrange(len(parts))), random)
    random.shuffle(parts)
    for part in parts:
        ranges = tuple(
            chosen[span.start : span.stop] for chosen, span in zip(piece.ranges, part, strict=True)
        )
        with use_backend(random.choice(LEVELS)):
            piece.draw(ranges, out[to_index(part)])


def _halves(part: Ranges, random: Random) -> list[Ranges]:
    """The part cut in two, neither of them empty; or as it is, where it is one value."""
    axes = [axis for axis, span in enumerate(part) if len(span) > 1]
    if not axes:
        return [part]
    axis = random.choice(axes)
    at = random.randrange(1, len(part[axis]))
    return [(*part[:axis], half, *part[axis + 1 :]) for half in (part[axis][:at], part[axis][at:])]


def in_stored_orders(piece: Piece, out: Array, random: Random) -> None:
    """The tensor is stored with its axes in another order, and so is the memory."""
    stored = list(range(len(piece.shape)))
    random.shuffle(stored)  # stored axis k is the tensor's axis stored[k]
    with use_backend(random.choice(LEVELS)):
        piece.stream.draw(
            piece.distribution,
            [piece.shape[axis] for axis in stored],
            piece.dtype,
            to_index(tuple(piece.ranges[axis] for axis in stored)),
            out.transpose(stored),
            order=np.argsort(stored).tolist(),
        )


class OtherProcesses:
    """A process that was spawned, and is replaced by another after some pieces."""

    def __init__(self, closing: ExitStack) -> None:
        self._memory = SharedMemory(create=True, size=8 * Comparison.most)
        closing.callback(self._memory.unlink)
        closing.callback(self._memory.close)
        spawning = multiprocessing.get_context("spawn")
        self._pool = closing.enter_context(
            spawning.Pool(1, signal.signal, (signal.SIGINT, signal.SIG_IGN), PIECES_OF_A_PROCESS)
        )

    def __call__(self, piece: Piece, out: Array, random: Random) -> None:
        self._pool.apply(_draw_here, (self._memory.name, piece, random.choice(LEVELS)))
        out[...] = _view(self._memory, piece)


def _view(memory: SharedMemory, piece: Piece) -> Array:
    return np.ndarray(piece.counts, storage(piece.dtype), memory.buf)


def _draw_here(memory: str, piece: Piece, level: str) -> None:
    shared = SharedMemory(memory)
    try:
        on_level(level, piece, _view(shared, piece), Random())
    finally:
        shared.close()


def storage(dtype: str) -> str:
    """What the draws of a dtype are written into: 16-bit floats as their bits."""
    return "uint16" if dtype in ("bfloat16", "float16") else dtype


FAR = (10**12, 10**15)
SMALL = 2**15  # of a piece for the reference, which takes a hundred times as long


def make_comparisons(closing: ExitStack) -> dict[str, Comparison]:
    """All comparisons of this machine's levels; what they hold open is closed with the stack."""
    fastest, *others = LEVELS
    levels = {
        f"{fastest} and {level}": Comparison(partial(on_level, level), share=4.0 / 4**place)
        for place, level in enumerate(others)
    }
    reference = Comparison(partial(on_level, "reference"), share=0.5, most=SMALL)
    return levels | {
        "kernel and reference": reference,
        "threads": Comparison(on_threads),
        "slices": Comparison(in_slices),
        "orders of axes": Comparison(in_stored_orders, least_axes=2),
        "processes": Comparison(OtherProcesses(closing)),
        "slices far out": Comparison(in_slices, totals=FAR),
        "far out and reference": replace(reference, totals=FAR),
    }
