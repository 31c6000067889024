"""A comparison: the same network trained from several initializations, on paired seeds."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from fanin._arguments import check_flag
from fanin._progress import progress as progress_bar
from fanin.errors import FaninError, quote, suggestion
from fanin.lab import rates
from fanin.lab.data.dataset import Dataset
from fanin.lab.depth import DepthRow
from fanin.lab.files import check_folder, write_files
from fanin.lab.interrupted import Interrupted
from fanin.lab.rates import Rate
from fanin.lab.report import report, summary
from fanin.lab.report.formatting import share
from fanin.lab.result import TARGET, Result, ResultRow
from fanin.lab.settings import CompareSettings, check_count
from fanin.lab.setup import TrialSpec
from fanin.lab.training import checkpoint, lookup
from fanin.lab.training.cluster import run_on
from fanin.lab.training.group import Advance, schedule
from fanin.lab.training.losses import guess
from fanin.lab.training.runner import GroupRunner, run_on_cores, run_trials
from fanin.lab.training.store import NAME, Store
from fanin.lab.training.trial import Trial


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """All rows of a comparison, with what is needed to read and to repeat it.

    `guess` is the loss of guessing, `how` says how trials were trained together, and `run` what
    belongs to this run alone: its time, its host, what it found finished. `done` is the share of
    all training steps that were taken, below 1 where Ctrl-C ended the run. `unit` is what the
    inputs are called.

    >>> from fanin.lab import compare
    >>> settings = {"data": "digits", "seeds": 2, "train": 100, "test": 100, "epochs": 2}
    >>> found = compare(["zeros", "he_normal"], **settings)
    >>> found.best.name, found.done
    ('he_normal', 1.0)
    """

    def table(self) -> Table:
        """The result as a table of rich, for the terminal; it takes no arguments."""
        return summary.table(self)

    def _repr_html_(self) -> str:
        return summary.html(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write report.html, results.json and results.csv, all or none.

        Args:
            folder: where; it is made if it is not there.

        Returns the three paths. Raises FaninError where the folder cannot be written.
        """
        contents = {
            "report.html": report.html(self),
            "results.json": report.json_text(self),
            "results.csv": report.csv_text(self),
        }
        return write_files(Path(folder), contents)


def compare(
    initializers: Sequence[str] = CompareSettings.initializers,
    *,
    folder: str | Path | None = None,
    fresh: bool = False,
    ray: str | None = None,
    workers: int = 1,
    progress: bool = False,
    **settings: Any,
) -> Comparison:
    """Train one network from several initializations, each from the same seeds, and compare.

    Args:
        initializers: names (`he_normal`), expressions (`uniform(-0.5, 0.5)`), recipes (`auto`,
            `torch`, `lsuv`), `glorot_then_he`, and files of plans (`plan.toml`).
        folder: where finished trials and the state of those in training are kept, and found by
            the next run; None for memory.
        fresh: forget the trials that the folder has.
        workers: processes that train on this machine's CPUs; the numbers do not depend on it.
        ray: the address of a Ray cluster that trains; "local" starts one.
        progress: show a bar on stderr.
        settings: what to train, by the keywords that follow, with their defaults.
        seeds, first_seed: how many (8), and from which on (0). A seed fixes the split, the order
            of the training inputs and the weights; the first two are every initializer's.
        data: "mnist" (default), "digits", "fashion", or the path of an .npz file.
        task: "classification" (default) or "regression".
        train, test: how many inputs to train and to test on (1000 each).
        epochs, batch_size: of the training (5, and one input a step).
        model: "cnn2" (default) or another network of the lab, or "package.module:make_model".
        activation, depth: of the lab's network ("relu", and its own depth).
        depths: others to train at besides (none).
        loss: "cross_entropy" for classes, "quadratic" for numbers.
        optimizer: "adam" (default), "adamw", "sgd" or "momentum".
        lr, lr_for: the learning rate (0.001), and those of single initializers, "he_normal=0.01".
        lr_grid: rates of which every initializer gets its best, chosen on other seeds (none).
        clip_value, clip_norm: bounds of the gradient's elements and of its norm (none).
        target_loss: what "steps to target" counts to (0.5; of a quadratic loss half of guessing's).
        baseline: the initializer that the others are compared with (none: all pairs).

    Returns the Comparison. Raises FaninError for bad input, before any training, and
    `fanin.lab.Interrupted`, whose `found` is the Comparison so far, where Ctrl-C ends it.

    >>> from fanin.lab import compare
    >>> settings = {"data": "digits", "seeds": 2, "train": 100, "test": 100, "epochs": 2}
    >>> found = compare(["zeros", "he_normal"], **settings)
    >>> [(row.name, row.failed) for row in found.rows]
    [('zeros', 2), ('he_normal', 0)]
    """
    known = [field.name for field in fields(CompareSettings)]
    for name in settings:
        if name not in known:
            raise FaninError(f"unknown setting {name!r}{suggestion(name, known)}")
    wanted = CompareSettings(initializers=initializers, **settings)
    check_flag("fresh", fresh)
    check_flag("progress", progress)
    check_count("workers", workers)
    if not isinstance(ray, str | None):
        raise FaninError(f"ray is {quote(ray)}; it is the address of a Ray cluster, or 'local'.")
    if folder is not None:
        check_folder(folder)
    path = None if folder is None else Path(folder) / NAME
    run = run_on(ray) if ray else run_on_cores(workers)
    return _Work(wanted, path, fresh, run).run(progress)


class _Work:
    """The stages of one comparison over one store."""

    def __init__(
        self, settings: CompareSettings, path: Path | None, fresh: bool, run: GroupRunner
    ) -> None:
        self.settings, self.path, self.fresh = settings, path, fresh
        self.run_batches = run
        self.start = time.perf_counter()
        self.found: dict[TrialSpec, Trial] = {}
        self.notes: dict[str, None] = {}
        self.reused = self.steps = 0
        self.store: Store | None = None
        lookup.forget()
        for name in settings.initializers:
            lookup.initialization_of(name)
        self.data: Dataset = lookup.data_of(settings.setup)

    def run(self, show: bool) -> Comparison:
        settings = self.settings
        tuning = rates.tuning_specs(settings)
        planned = list(dict.fromkeys([*tuning, *self._specs(rates.choose(settings, {}))]))
        total = sum(spec.setup.steps for spec in planned)
        bar: AbstractContextManager[Callable[[int], object]] = nullcontext(lambda steps: None)
        if show:
            label = f"training {len(settings.initializers)} x {settings.seeds} networks"
            bar = progress_bar(label, total)
        chosen = rates.choose(settings, {})
        with bar as shown:

            def advance(steps: int) -> None:
                self.steps += steps
                shown(steps)

            try:
                chosen = rates.choose(settings, self._train(tuning, advance) if tuning else {})
                self._train(self._specs(chosen), advance)
            except Interrupted as stop:
                self.found |= stop.found.finished
                stored = self._tell_stored(len(planned))
                self.found |= stop.found.cut_short
                comparison = replace(self._summarize(chosen), done=self.steps / total)
                told = f"interrupted at {share(comparison.done)}: {stored}"
                raise Interrupted(comparison, told) from None
            finally:
                if self.store is not None:
                    self.store.close()
        return self._summarize(chosen)

    def _tell_stored(self, planned: int) -> str:
        """What is on disk of an interrupted run."""
        states = 0 if self.path is None else checkpoint.count(self.path.parent)
        if self.path is None or not (self.found or states):
            return "nothing is stored"
        kept = f"{len(self.found)} of {planned} trials"
        if states:
            kept += f" and the state of {states} trial group{'s'[: states > 1]} in training"
        return f"{kept} are kept in {self.path.parent}; the same command goes on from there"

    def _specs(self, chosen: Mapping[str, Rate]) -> list[TrialSpec]:
        settings = self.settings
        setups = [settings.setup, *map(settings.setup_at, sorted(settings.depths))]
        return list(
            dict.fromkeys(
                TrialSpec(setup, name, seed, chosen[name].lr)
                for setup in setups
                for name in settings.initializers
                for seed in settings.all_seeds
            )
        )

    def _train(self, specs: Sequence[TrialSpec], advance: Advance) -> dict[TrialSpec, Trial]:
        plan = schedule(specs)
        if self.store is None:  # only now: bad input leaves an old file as it is
            if self.fresh and self.path is not None:
                Store.remove(self.path)
                checkpoint.forget(self.path.parent)
            self.store = Store(self.path)
        self.notes |= {
            f"{setup.model} was trained {note}": None for setup, note in plan.notes.items()
        }
        done, reused = run_trials(plan, self.store, self.run_batches, advance)
        self.found |= done
        self.reused += reused
        return done

    def _summarize(self, chosen: Mapping[str, Rate]) -> Comparison:
        return summarize(
            self.settings,
            self.data,
            self.found,
            chosen,
            how=tuple(self.notes),
            run={
                "seconds": round(time.perf_counter() - self.start, 2),
                "host": platform.node(),
                "command": self.settings.command,
                "trained": len(self.found) - self.reused,
                "found_finished": self.reused,
            },
        )


def summarize(
    settings: CompareSettings,
    data: Dataset,
    found: Mapping[TrialSpec, Trial],
    chosen: Mapping[str, Rate],
    how: tuple[str, ...] = (),
    run: Mapping[str, Any] | None = None,
) -> Comparison:
    """The comparison that a settings' trials make, those that there are."""
    least = guess(settings.setup.loss, data)
    usual = TARGET if settings.setup.loss == "cross_entropy" else TARGET * least
    target = settings.target_loss or usual

    def trials(name: str, depth: int | None) -> tuple[Trial, ...]:
        setup, lr = settings.setup_at(depth), chosen[name].lr
        specs = [TrialSpec(setup, name, seed, lr) for seed in settings.all_seeds]
        return tuple(found[spec] for spec in specs if spec in found)

    rows = [
        ResultRow(name, trials(name, settings.depth), target, chosen[name])
        for name in settings.initializers
    ]
    deep = [
        DepthRow(name, {depth: trials(name, depth) for depth in sorted(settings.depths)})
        for name in settings.initializers
        if settings.depths
    ]
    return Comparison(
        settings=settings,
        rows=tuple(row for row in rows if row.trials),
        note=data.note,
        guess=least,
        target=target,
        versions=lookup.versions(),
        run=run or {},
        how=how,
        depths=tuple(deep),
        unit=data.unit,
    )
