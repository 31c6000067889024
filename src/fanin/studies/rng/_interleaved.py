"""Timing: contenders take turns, so that a change of the machine's speed meets all of them."""

import statistics
import time
from collections.abc import Callable, Mapping


def interleave(
    contenders: Mapping[str, Callable[[], object]], rounds: int, advance: Callable[[int], object]
) -> dict[str, float]:
    """Median milliseconds of a call of every contender, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - start)
        advance(1)
    return {name: 1000 * statistics.median(times) for name, times in seconds.items()}
