"""One function that runs a study: the parts that are missing, then the conclusions."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fanin._progress import progress
from fanin.lab.training.initialization import pair
from fanin.lab.training.lookup import versions
from fanin.lab.training.stack import one_thread
from fanin.studies._parts import Finished, Parts
from fanin.studies._study import Advance, Scale, Study, StudyPart, StudyResult


def run(
    study: Study,
    scale: Scale = "full",
    *,
    folder: Path | None = None,
    fresh: bool = False,
    show: bool = False,
) -> StudyResult:
    """Run a study at a scale, in one thread of torch and of NumPy's libraries.

    Finished parts are kept below `folder` (None: not at all) and are found there by the next run;
    `fresh` forgets them first. `show` shows progress on stderr.
    """
    made_with = versions()
    store = Parts(folder, study.name, made_with)
    if fresh:
        store.forget()
    parts = study.parts(scale)
    _check_names(parts)
    bar: AbstractContextManager[Callable[[int], object]] = nullcontext(lambda steps: None)
    if show:
        bar = progress(f"study {study.name}", sum(part.steps for part in parts))
    done: dict[str, Finished] = {}
    resumed = 0
    # Small products lose time by more threads, and wait where other programs hold the cores.
    with bar as advance, one_thread(), threadpool_limits(1), pair():
        for part in parts:
            kept = store.load(part)
            resumed += kept is not None
            if kept is not None:
                advance(part.steps)
            done[part.name] = kept or _measure(part, store, advance)
    measured = {name: part.measured for name, part in done.items()}
    return StudyResult(
        study=study,
        scale=scale,
        findings=study.conclude(measured, scale),
        measured=measured,
        timed=frozenset(part.name for part in parts if part.timed),
        versions=made_with,
        run={
            "seconds": round(sum(part.seconds for part in done.values()), 3),
            "cpu_seconds": round(sum(part.cpu_seconds for part in done.values()), 3),
            "parts": {name: part.seconds for name, part in done.items()},
            "found_finished": resumed,
            "processor": _processor(),
            "cpus": os.cpu_count(),
            "load": max((done[part.name].load for part in parts if part.timed), default=0.0),
        },
    )


def _measure(part: StudyPart, store: Parts, advance: Advance) -> Finished:
    told = 0

    def tell(steps: int) -> None:
        nonlocal told
        steps = min(steps, part.steps - told)
        told += steps
        advance(steps)

    load, start, cpu_start = _load(), time.perf_counter(), time.process_time()
    measured = part.measure(tell)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    finished = store.save(part, Finished(measured, round(seconds, 3), round(cpu_seconds, 3), load))
    advance(part.steps - told)
    return finished


def _check_names(parts: Sequence[StudyPart]) -> None:
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise ValueError(f"two parts of one study have the same name: {names}")


def _load() -> float:
    """How many processes wanted a CPU in the last minute; 0 where the system does not tell."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0


def _processor() -> str:
    """What the processor calls itself, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
