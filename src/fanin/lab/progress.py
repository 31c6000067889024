"""Progress of long work on stderr: a bar in a terminal, plain lines everywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn

LINES = 10


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield `advance(n)`, which is called until its arguments add up to `total`."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console, label, total)
        return
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)


def _lines(console: Console, label: str, total: int) -> Callable[[int], None]:
    start = time.monotonic()
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        before, done = done * LINES // total, done + steps
        if done * LINES // total > before:
            elapsed = time.monotonic() - start
            console.print(f"{label}: {100 * done // total} %, {elapsed:.0f} s", highlight=False)

    return advance
