"""An initialization is a row of a comparison: a name, and what it makes of a model for a seed."""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

import fanin
from fanin import initializers, recipes
from fanin.errors import FaninError, suggestion

PREFIX = "recipe:"  # tells a recipe from an initializer of the same name


@contextmanager
def pair() -> Iterator[None]:
    """Models of one seed start from the same numbers here, so that they can be compared."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* the same numbers as another", fanin.FaninWarning)
        yield


@dataclass(frozen=True)
class Initialization:
    """`plan(model, seed, inputs)` says what every parameter gets.

    A plan that reads nothing but names and shapes is `reusable` for other seeds. `digest` is a
    hash of the file that the name stands for.
    """

    name: str
    plan: Callable[[nn.Module, int, Tensor], fanin.Plan]
    reusable: bool = True
    digest: str = ""

    def initialize(self, model: nn.Module, seed: int, inputs: Tensor) -> fanin.Plan:
        """Fill the model's parameters in place; returns the applied plan."""
        with pair():
            return self.plan(model, seed, inputs).apply(model, seed)


def find(name: str) -> Initialization:
    """By name: an initializer or an expression, a recipe, or a plan's file (.toml)."""
    if name == "glorot_then_he":
        return Initialization(name, _glorot_then_he)
    if name.endswith(".toml"):
        return _from_file(name)
    known = ("glorot_then_he", *recipes.names(), *initializers.names())
    if name.startswith(PREFIX) or (name in recipes.names() and name not in initializers.names()):
        return _from_recipe(name)
    if name.isidentifier() and name not in known:
        raise FaninError(f"unknown initializer {name!r}{suggestion(name, known)}")
    initializer = initializers.get(name)
    return Initialization(
        name,
        lambda model, seed, inputs: fanin.plan(model, initializer=initializer, unplaced="keep"),
    )


def _glorot_then_he(model: nn.Module, seed: int, inputs: Tensor) -> fanin.Plan:
    """As Enrichment Cap (2023) advises: Glorot for the first layer, He behind a ReLU."""
    first = next(name for name, value in model.named_parameters() if value.ndim > 1)
    overrides = {first: "glorot_normal"}
    return fanin.plan(model, initializer="he_normal", overrides=overrides, unplaced="keep")


def _from_recipe(name: str) -> Initialization:
    recipe = recipes.find(name.removeprefix(PREFIX))
    if recipe.needs_values:
        # It measures on what the seed draws, so that its plan is made only while initializing.
        return Initialization(
            name,
            lambda model, seed, inputs: fanin.initialize(
                model, seed, inputs, recipe, unplaced="keep"
            ),
            reusable=False,
        )
    return Initialization(
        name, lambda model, seed, inputs: fanin.plan(model, inputs, recipe, unplaced="keep")
    )


def _from_file(name: str) -> Initialization:
    plan = fanin.Plan.load(name)
    digest = hashlib.sha256(Path(name).read_bytes()).hexdigest()
    return Initialization(name, lambda model, seed, inputs: plan, digest=digest)
