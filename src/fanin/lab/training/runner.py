"""One function that runs a list of trials and stores them."""

import functools
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fanin.lab.files import unwritable
from fanin.lab.interrupted import Interrupted
from fanin.lab.setup import TrialSpec
from fanin.lab.training.checkpoint import COUNTER, FOLDER, SUFFIX, Checkpoint
from fanin.lab.training.group import Advance, Schedule, TrialGroup, train_group
from fanin.lab.training.lookup import forget, key_of
from fanin.lab.training.stack import one_thread
from fanin.lab.training.store import Store
from fanin.lab.training.trial import Trial


@dataclass(frozen=True)
class GroupJob:
    """A trial group to train, and where it keeps its state meanwhile; None: nowhere."""

    group: TrialGroup
    state: Path | None = None

    def train(self, advance: Advance = lambda steps: None) -> list[Trial]:
        """The group's trials, from the state that a killed run left."""
        checkpoint = None if self.state is None else Checkpoint(self.state)
        return train_group(self.group, advance, checkpoint)


# How jobs are run: it yields each with its trials, in any order, as they finish.
GroupRunner = Callable[[Sequence[GroupJob], Advance], Iterator[tuple[GroupJob, list[Trial]]]]
WORTH_A_PROCESS = 20_000  # training steps: some seconds of work, as long as a start takes


def run_trials(
    plan: Schedule,
    store: Store,
    run: GroupRunner | None = None,
    advance: Advance = lambda steps: None,
) -> tuple[dict[TrialSpec, Trial], int]:
    """Train what the store does not have, and store every trial group when it is finished.

    Groups in training keep their state beside the store's file. Returns all trials of the
    schedule, and how many of them were in the store. Raises Interrupted with a SoFar where Ctrl-C
    ends it.
    """
    keys = {spec: key_of(spec, group.device) for group in plan.groups for spec in group.specs}
    stored = store.load(keys.values())
    done = {spec: stored[key] for spec, key in keys.items() if key in stored}
    reused = len(done)
    missing = []
    for group in plan.groups:
        left = tuple(spec for spec in group.specs if spec not in done)
        advance((len(group.specs) - len(left)) * group.setup.steps)
        if left:
            state = _state(store, group, [keys[spec] for spec in left])
            missing.append(GroupJob(replace(group, specs=left), state))
        else:  # killed between storing the trials and forgetting the state
            _forget(_state(store, group, [keys[spec] for spec in group.specs]))
    try:
        with one_thread():
            for job, trials in (run or run_here)(missing, advance):
                new = dict(zip(job.group.specs, trials, strict=True))
                store.save([(spec, keys[spec], trial) for spec, trial in new.items()])
                done |= new
                _forget(job.state)
    except KeyboardInterrupt as stop:
        cut_short = stop.found if isinstance(stop, Interrupted) else {}
        raise Interrupted(SoFar(done, cut_short)) from None
    return done, reused


def _state(store: Store, group: TrialGroup, keys: Sequence[str]) -> Path | None:
    """The file of a group's state: named by all that decides its trials, and their order."""
    if store.path is None:
        return None
    words = "\n".join(["stacked" if group.stacked else "alone", *keys])
    name = hashlib.sha256(words.encode()).hexdigest()[:32]
    return store.path.parent / FOLDER / f"{name}{SUFFIX}"


def _forget(state: Path | None) -> None:
    if state is not None:
        Checkpoint(state).remove()


class SoFar(NamedTuple):
    """The trials that are finished where Ctrl-C ends a run, and those in training, cut short."""

    finished: dict[TrialSpec, Trial]
    cut_short: dict[TrialSpec, Trial]


def run_on_cores(workers: int) -> GroupRunner:
    """How to run trial groups in so many processes of this machine, where it is worth that."""

    def run(jobs: Sequence[GroupJob], advance: Advance) -> Iterator[tuple[GroupJob, list[Trial]]]:
        count = min(workers, len(jobs))
        on_cpu = all(job.group.device == "cpu" for job in jobs)
        if count < 2 or not on_cpu or sum(job.group.steps for job in jobs) < WORTH_A_PROCESS:
            yield from run_here(jobs, advance)
            return
        from joblib import Parallel, delayed  # type: ignore[import-untyped]

        pool = Parallel(n_jobs=count, return_as="generator_unordered", pre_dispatch=count)
        with _steps_of_others(jobs, advance) as counters:
            for index, trials in pool(
                delayed(_run_numbered)(index, job, counter, os.getpid())
                for index, (job, counter) in enumerate(zip(jobs, counters, strict=True))
            ):
                yield jobs[index], trials

    return run


@contextmanager
def _steps_of_others(jobs: Sequence[GroupJob], advance: Advance) -> Iterator[list[Path]]:
    """Tell `advance` of the steps of other processes: each counts in a file of those yielded."""
    over = threading.Event()
    with tempfile.TemporaryDirectory(prefix="fanin-steps-") as other:
        paths = [
            (job.state or Path(other, str(index))).with_suffix(COUNTER)
            for index, job in enumerate(jobs)
        ]
        counts = [_counter(path) for path in paths]

        def watch() -> None:
            told = 0
            while True:
                is_over = over.wait(0.5)
                now = sum(int(count[0]) for count in counts)
                advance(now - told)
                told = now
                if is_over:
                    return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield paths
        finally:
            over.set()
            thread.join()


def _counter(path: Path) -> NDArray[np.int64]:
    """A number that processes share: 0, in a new file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(8))
        return np.memmap(path, np.int64, "r+", shape=(1,))
    except OSError as error:
        raise unwritable(path.parent, error) from error


def _run_numbered(index: int, job: GroupJob, counter: Path, parent: int) -> tuple[int, list[Trial]]:
    _watch(parent)
    forget()  # the process may have lived through a change of the data
    count = np.memmap(counter, np.int64, "r+", shape=(1,))

    def advance(steps: int) -> None:
        count[0] += steps

    with one_thread():
        return index, job.train(advance)


@functools.cache
def _watch(parent: int) -> None:
    """End this process when its parent has ended: a killed one cannot tell it to."""

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run_here(jobs: Sequence[GroupJob], advance: Advance) -> Iterator[tuple[GroupJob, list[Trial]]]:
    """Train trial groups one after another in this process."""
    for job in jobs:
        try:
            yield job, job.train(advance)
        except Interrupted as stop:
            raise Interrupted(dict(zip(job.group.specs, stop.found, strict=True))) from None
