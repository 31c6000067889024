"""How the benchmarks time: contenders take turns, round by round, and medians are compared.

A change of the machine's speed so meets all of them alike.
"""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Key = TypeVar("Key", bound=Hashable)


def alternate(
    contenders: Mapping[Key, Callable[[], object]],
    rounds: int,
    label: str,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Key, float]:
    """Median seconds of every contender, after one round that is not counted."""
    seconds: dict[Key, list[float]] = {key: [] for key in contenders}
    for number in track(range(rounds + 1), description=label, console=Console(stderr=True)):
        for key, run in contenders.items():
            start = clock()
            run()
            if number:
                seconds[key].append(clock() - start)
    return {key: statistics.median(times) for key, times in seconds.items()}
