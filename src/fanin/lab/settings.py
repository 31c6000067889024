"""The settings of a comparison: the one place of their defaults and of the checks on them."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields

from fanin._arguments import check_seed
from fanin.errors import FaninError, quote, suggestion
from fanin.lab.setup import LOSSES, OPTIMIZERS, TASKS, TrialSetup

INITIALIZERS = (
    "uniform(-0.5, 0.5)",
    "torch",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "glorot_then_he",
    "auto",
)
FLAGS = {"first_seed": "--seed"}  # the others are spelled as the fields are


@dataclass(frozen=True)
class CompareSettings:
    """What to train. This file imports no library, so that `--help` can print the defaults."""

    initializers: Sequence[str] = INITIALIZERS
    seeds: int = 8
    first_seed: int = 0
    data: str = "mnist"
    task: str = "classification"
    train: int = 1000
    test: int = 1000
    epochs: int = 5
    batch_size: int = 1
    model: str = "cnn2"
    activation: str = "relu"
    depth: int | None = None
    depths: Sequence[int] = ()
    loss: str | None = None
    optimizer: str = "adam"
    lr: float = 0.001
    lr_grid: Sequence[float] = ()
    lr_for: Sequence[str] = ()
    clip_value: float | None = None
    clip_norm: float | None = None
    target_loss: float | None = None
    baseline: str | None = None

    def __post_init__(self) -> None:
        for name in ("seeds", "train", "test", "epochs", "batch_size"):
            check_count(name, getattr(self, name))
        for name in ("lr", "target_loss", "clip_value", "clip_norm"):
            if getattr(self, name) is not None or name == "lr":
                _check_positive(name, getattr(self, name))
        _check_each("depths", self.depths, check_count)
        _check_each("lr_grid", self.lr_grid, _check_positive)
        if self.depth is not None:
            check_count("depth", self.depth)
        object.__setattr__(self, "first_seed", check_seed(self.first_seed))
        # A swept rate is chosen on seeds of its own, which follow the others.
        if self.first_seed + 2 * self.seeds > 2**64:
            raise FaninError(
                f"first seed {self.first_seed} and {self.seeds} seeds, and as many for choosing "
                "learning rates, pass the largest seed, 2**64 - 1. "
                f"Start at {2**64 - 2 * self.seeds} or below."
            )
        if self.batch_size > self.train:
            raise FaninError(
                f"batch_size={self.batch_size} is larger than train={self.train}. "
                f"Use a batch of {self.train} or fewer."
            )
        _check_names(self)
        if not self.data:
            raise FaninError("data is an empty name. Use mnist, digits, fashion or an .npz file.")

    @property
    def all_seeds(self) -> range:
        """The seeds, each of which every initializer meets once."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def tuning_seeds(self) -> range:
        """The seeds on which learning rates are chosen: none that the comparison reports."""
        return range(
            self.first_seed + self.seeds, self.first_seed + self.seeds + min(2, self.seeds)
        )

    @property
    def setup(self) -> TrialSetup:
        """What all trials of the comparison itself share."""
        return self.setup_at(self.depth)

    def setup_at(self, depth: int | None) -> TrialSetup:
        """What all trials share that are trained at this depth."""
        shared = {field.name: getattr(self, field.name) for field in fields(TrialSetup)}
        quadratic = self.task == "regression"
        shared["loss"] = self.loss or ("quadratic" if quadratic else "cross_entropy")
        return TrialSetup(**shared | {"depth": depth})

    @property
    def given_rates(self) -> dict[str, float]:
        """The learning rates of the initializers that have one of their own."""
        return dict(map(_rate_for, self.lr_for))

    @property
    def command(self) -> str:
        """The shell command that repeats this comparison."""
        words = ["fanin", "compare"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or value in ((), []):
                continue
            values = [value] if isinstance(value, (str, int, float)) else list(value)
            words.append(FLAGS.get(field.name, f"--{field.name.replace('_', '-')}"))
            words += map(str, values)
        return shlex.join(words)


def check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise FaninError(f"{name} is {quote(value)}. Use a whole number of 1 or more.")


def _check_positive(name: str, value: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise FaninError(f"{name} is {quote(value)}. Use a finite number above 0.")


def _check_each(name: str, values: Sequence[float], check: object) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise FaninError(f"{name} is {quote(values)}. Use a list of numbers.")
    assert callable(check)
    for value in values:
        check(name, value)
    _check_once(name, [str(value) for value in values])


def _check_names(settings: CompareSettings) -> None:
    names = settings.initializers
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or not names or not all(isinstance(name, str) for name in names):
        raise FaninError(f"initializers is {quote(names)}. Use a list of one or more names.")
    _check_once("initializers", names)
    for what, value, known in (
        ("task", settings.task, TASKS),
        ("optimizer", settings.optimizer, OPTIMIZERS),
        ("loss", settings.loss, LOSSES),
    ):
        if value is not None and value not in known:
            raise FaninError(f"unknown {what} {value!r}{suggestion(str(value), known)}")
    if settings.task == "regression" and settings.loss == "cross_entropy":
        raise FaninError("loss is 'cross_entropy', which needs classes. Use quadratic.")
    asked = [*settings.given_rates, *([settings.baseline] if settings.baseline else [])]
    for name in asked:
        if name not in names:
            raise FaninError(
                f"{name!r} is not among the initializers{suggestion(name, list(names))}"
            )


def _check_once(what: str, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise FaninError(f"{what} names {repeated[0]!r} more than once. Name it once.")


def _rate_for(text: str) -> tuple[str, float]:
    """`he_normal=0.01`; the name may hold signs of equality, too."""
    name, _, number = str(text).rpartition("=")
    try:
        rate = float(number)
    except ValueError:
        rate = math.nan
    if not name or not (math.isfinite(rate) and rate > 0):
        raise FaninError(f"lr_for is {text!r}. Write NAME=RATE, such as he_normal=0.01.")
    return name, rate
