"""Many draws of one seed in one call of the back end: of small ones each call costs the most."""

from collections.abc import Sequence

from fanin._arguments import check_seed
from fanin.streams._backends import check_threads, current_fill_many
from fanin.streams._output import Array

# The arguments of `_reference.fill`, less the seed and the threads: the array, encoding, base,
# steps, streams, kind and constants.
Job = tuple[Array, str, int, tuple[int, ...] | None, tuple[int, int], str, tuple[float, ...]]

_TOGETHER = 64  # jobs of a call: the kernel takes 3 KiB for each, which stay in the cache


def fill_many(jobs: Sequence[Job], seed: int, *, fresh: bool = False) -> None:
    """Draw into arrays that are known to be fit to be written, 16-bit floats as their bits.

    `fresh`: their memory was just taken.
    """
    seed, fill = check_seed(seed), current_fill_many()
    for start in range(0, len(jobs), _TOGETHER):
        some = jobs[start : start + _TOGETHER]
        fill(some, seed, check_threads(None, sum(job[0].size for job in some)), fresh)
