"""Progress of long work on stderr: a bar in a terminal where rich is there, else plain lines."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINES = 10
EVERY = 20.0  # seconds: the longest silence
AT_ONCE = 20  # a larger share of the work than one in so many was not done since the last call


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield `advance(n)`, which is called until its arguments add up to `total`.

    Without a bar there is a line at each tenth of the work, and one every 20 seconds.
    """
    try:
        from rich.console import Console
        from rich.progress import Progress, TimeElapsedColumn
    except ModuleNotFoundError:
        console = None
    else:
        console = Console(stderr=True)
    if console is None or not console.is_terminal:
        with _Lines(label, total) as lines:
            yield lines.advance
        return
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)


class _Lines:
    """Prints lines, also while no step ends: a thread of its own sees to the silence."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        self.start = time.monotonic()
        self.done = self.found = 0
        self.printed = self.start
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._break_silence, daemon=True)

    def __enter__(self) -> "_Lines":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def advance(self, steps: int) -> None:
        with self._lock:
            if AT_ONCE * steps > self.total:  # found finished: they say nothing of the speed
                self.found += steps
            before, self.done = self.done * LINES // self.total, self.done + steps
            if self.done * LINES // self.total > before:
                self._print()

    def _break_silence(self) -> None:
        while not self._over.wait(self.printed + EVERY - time.monotonic()):
            with self._lock:
                if time.monotonic() - self.printed >= EVERY:
                    self._print()

    def _print(self) -> None:
        self.printed = time.monotonic()
        elapsed = self.printed - self.start
        text = f"{self.label}: {100 * self.done // self.total} %, {elapsed:.0f} s"
        trained = self.done - self.found
        if trained > 0 and self.done < self.total:
            text += f", about {elapsed * (self.total - self.done) / trained:.0f} s more"
        print(text, file=sys.stderr, flush=True)
