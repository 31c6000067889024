"""One function that runs a list of trials and stores them."""

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from fanin.lab.batch import Advance, Batch, Schedule, train_batch
from fanin.lab.prepare import forget, key_of
from fanin.lab.setup import Spec
from fanin.lab.stack import one_thread
from fanin.lab.store import Store
from fanin.lab.trial import Stopped, Trial

# How batches are run: it yields each with its trials, in any order, as they finish.
Run = Callable[[Sequence[Batch], Advance], Iterator[tuple[Batch, list[Trial]]]]
WORTH_A_PROCESS = 20_000  # training steps: some seconds of work, as long as a start takes


def run_trials(
    plan: Schedule,
    store: Store,
    run: Run | None = None,
    advance: Advance = lambda steps: None,
) -> tuple[dict[Spec, Trial], int]:
    """Train what the store does not have, and store every batch when it is finished.

    Returns all trials of the schedule, and how many of them were in the store. Raises Stopped,
    with what is finished so far and what was cut short, where Ctrl-C ends it.
    """
    keys = {spec: key_of(spec, batch.device) for batch in plan.batches for spec in batch.specs}
    stored = store.load(keys.values())
    done = {spec: stored[key] for spec, key in keys.items() if key in stored}
    reused = len(done)
    missing = []
    for batch in plan.batches:
        left = tuple(spec for spec in batch.specs if spec not in done)
        advance((len(batch.specs) - len(left)) * batch.setup.steps)
        if left:
            missing.append(replace(batch, specs=left))
    try:
        with one_thread():
            for batch, trials in (run or run_here)(missing, advance):
                new = dict(zip(batch.specs, trials, strict=True))
                store.save([(spec, keys[spec], trial) for spec, trial in new.items()])
                done |= new
    except KeyboardInterrupt as stop:
        raise Interrupted(done | (stop.found if isinstance(stop, Interrupted) else {})) from None
    return done, reused


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. `found` has the trials so far; those in training are cut short."""

    def __init__(self, found: dict[Spec, Trial]) -> None:
        super().__init__()
        self.found = found


def run_on_cores(workers: int) -> Run:
    """How to run batches in so many processes of this machine, where it is worth starting them."""

    def run(batches: Sequence[Batch], advance: Advance) -> Iterator[tuple[Batch, list[Trial]]]:
        count = min(workers, len(batches))
        on_cpu = all(batch.device == "cpu" for batch in batches)
        if count < 2 or not on_cpu or sum(batch.steps for batch in batches) < WORTH_A_PROCESS:
            yield from run_here(batches, advance)
            return
        from joblib import Parallel, delayed  # type: ignore[import-untyped]

        pool = Parallel(n_jobs=count, return_as="generator_unordered", pre_dispatch=count)
        for index, trials in pool(
            delayed(_numbered)(index, batch, os.getpid()) for index, batch in enumerate(batches)
        ):
            advance(batches[index].steps)
            yield batches[index], trials

    return run


def _numbered(index: int, batch: Batch, parent: int) -> tuple[int, list[Trial]]:
    _watch(parent)
    forget()  # the process may have lived through a change of the data
    with one_thread():
        return index, train_batch(batch)


@functools.cache
def _watch(parent: int) -> None:
    """End this process when its parent has ended: a killed one cannot tell it to."""

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run_here(batches: Sequence[Batch], advance: Advance) -> Iterator[tuple[Batch, list[Trial]]]:
    """Train batches one after another in this process."""
    for batch in batches:
        try:
            yield batch, train_batch(batch, advance)
        except Stopped as stop:
            raise Interrupted(dict(zip(batch.specs, stop.trials, strict=True))) from None
