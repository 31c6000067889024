"""Models of Keras and of JAX's libraries, planned, drawn and run in the same words."""

import inspect
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

import fanin
from bench.zoo.judge import SEED
from bench.zoo.judge import run as run_module
from fanin.checks._limits import LIMITS
from fanin.frameworks import RunAsked, adapter_for
from fanin.frameworks._functional import Functional
from fanin.frameworks._observation import Observation

SAMPLES = 4


class Model(Protocol):
    """A model, and what it is run on."""

    def plan(self) -> fanin.Plan:
        """The plan of `auto` on its inputs, in train mode."""

    def draw(self, plan: fanin.Plan) -> None:
        """Give it the plan's values."""

    def draw_by_anyinit(self) -> int:
        """Give it those of AnyInit in its analytic mode; how many layers that found."""

    def look(self, train: bool) -> Observation:
        """A run forward and backward, of a random projection of all outputs."""


class KerasModel:
    """A keras.Model on the back end of this process."""

    def __init__(self, model: Any, inputs: Any) -> None:
        self.model, self.inputs = model, inputs

    def plan(self) -> fanin.Plan:
        return plan_of(self.model, self.inputs)

    def draw(self, plan: fanin.Plan) -> None:
        plan.apply(self.model, SEED)
        plan.verify(self.model)

    def draw_by_anyinit(self) -> int:
        import anyinit

        report = anyinit.initialize(self.model, "analytic", self.inputs, seed=SEED)
        return len(report.layers)

    def look(self, train: bool) -> Observation:
        import keras

        if keras.config.backend() == "torch":
            from fanin.frameworks.keras._inputs import call_arguments
            from fanin.frameworks.keras._on_torch import Shell, symbolic

            args, kwargs = call_arguments(self.model, self.inputs, symbolic)
            return run_module(Shell(self.model), {"args": args, "kwargs": kwargs}, train)
        return look_at(self.model, {_first_argument(self.model): self.inputs, "training": train})


def _first_argument(model: Any) -> str:
    return next(iter(inspect.signature(model.call).parameters))


class NnxModel:
    """A module of Flax NNX, which is in train mode when it is planned."""

    def __init__(self, model: Any, inputs: Any) -> None:
        self.model, self.inputs = model, inputs

    def plan(self) -> fanin.Plan:
        self.model.train()
        return plan_of(self.model, self.inputs)

    def draw(self, plan: fanin.Plan) -> None:
        plan.apply(self.model, SEED)
        plan.verify(self.model)

    def draw_by_anyinit(self) -> int:
        raise NotImplementedError("AnyInit knows no NNX")

    def look(self, train: bool) -> Observation:
        self.model.train() if train else self.model.eval()
        return look_at(self.model, self.inputs)


class EquinoxModel:
    """A module of Equinox; `inputs` are a batch, or one example."""

    def __init__(self, model: Any, inputs: Any) -> None:
        self.model, self.inputs = model, inputs

    def plan(self) -> fanin.Plan:
        return plan_of(self.model, self.inputs)

    def draw(self, plan: fanin.Plan) -> None:
        self.model, _ = plan.apply_params(self.model, seed=SEED)
        plan.verify(self.model)

    def draw_by_anyinit(self) -> int:
        raise NotImplementedError("AnyInit knows no Equinox")

    def look(self, train: bool) -> Observation:
        import equinox as eqx

        return look_at(eqx.nn.inference_mode(self.model, not train), self.inputs)


class TreeModel:
    """A module of Flax Linen with its variables, or a function with its tree of arrays.

    `model_in` gives what runs in train mode or not, and `inputs_in` what it is called with.
    """

    def __init__(
        self,
        model_in: Callable[[bool], Any],
        params: Any,
        inputs_in: Callable[[bool], Any],
    ) -> None:
        self.model_in, self.params, self.inputs_in = model_in, params, inputs_in

    def plan(self) -> fanin.Plan:
        return plan_of(self.model_in(True), self.inputs_in(True), params=self.params)

    def draw(self, plan: fanin.Plan) -> None:
        self.params, _ = plan.apply_params(
            self.model_in(True), self.params, seed=SEED, inputs=self.inputs_in(True)
        )

    def draw_by_anyinit(self) -> int:
        import anyinit

        given = self.inputs_in(True)
        batch = given.get("x") if isinstance(given, dict) else given
        self.params, report = anyinit.initialize_params(
            self.model_in(True), self.params, batch, "analytic", seed=SEED
        )
        return len(report.layers)

    def look(self, train: bool) -> Observation:
        inputs = self.inputs_in(train)
        return look_at(Functional(self.model_in(train), self.params, inputs), inputs)


def plan_of(model: Any, inputs: Any, **params: Any) -> fanin.Plan:
    """The plan of `auto`; where a parameter is placed by no rule, one that names all of these."""
    try:
        return fanin.plan(model, inputs, **params)
    except fanin.FaninError:
        return fanin.plan(model, inputs, unplaced="keep", **params)


def look_at(model: Any, inputs: Any) -> Observation:
    """A run of a model of JAX as it is."""
    subject = adapter_for(model).subject(model)
    return subject.observe(RunAsked(inputs, None, None, SEED, LIMITS.flat, LIMITS.same))


def noise(*shape: int) -> np.ndarray:
    """A batch of normal noise of variance one."""
    return np.random.default_rng(0).standard_normal((SAMPLES, *shape)).astype(np.float32)


def tokens(vocabulary: int, length: int) -> np.ndarray:
    """A batch of random tokens."""
    return np.random.default_rng(0).integers(0, vocabulary, (SAMPLES, length)).astype(np.int32)


def count(plan: fanin.Plan) -> int:
    """All numbers of all parameters."""
    return sum(math.prod(row.shape) for row in plan.rows)
