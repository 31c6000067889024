"""transformers: first weights for a Trainer, by a callback or `model_init=`, and their check."""

import inspect
import warnings
import weakref
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from fanin._empty import empty_weights
from fanin.checks import Checkup, Severity
from fanin.errors import FaninError, FaninWarning, an
from fanin.integrations._first_check import FirstCheck
from fanin.integrations._start import FirstWeights, save_beside
from fanin.plans import Plan

__all__ = ["CheckModel", "InitializeModel", "model_init"]


class InitializeModel(TrainerCallback):  # type: ignore[misc]
    """Draws the weights of the Trainer's model when the Trainer is made.

    That is before anything wraps it, makes an optimizer for it or restores a checkpoint, whose
    weights therefore win. What `only=` does not select stays as it was loaded. The plan is in
    `plan`, logged by the process that logs, and in every checkpoint's folder as plan.toml.

    Args:
        seed: an integer in [0, 2**64); None for the plan's own, or 0.
        inputs: what the model is called with, for the plan; a dict of tensors, say. None for the
            module tree alone.
        plan: a plan to apply, or its file.
        options: further arguments of `fanin.initialize`, `only="score.*"` say; with a plan those of
            `Plan.apply`.

    Raises FaninError for what is wrong: of the arguments at once, of the model when the Trainer is
    made, and when training starts with another model, as `model_init=` makes one.

    >>> import torch
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> from fanin.integrations.transformers import InitializeModel
    >>> sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    >>> config = LlamaConfig(vocab_size=50, num_attention_heads=2, **sizes)
    >>> start = InitializeModel(seed=1, inputs={"input_ids": torch.zeros(1, 8, dtype=torch.long)})
    >>> start.on_init_end(None, None, None, model=LlamaForCausalLM(config))
    >>> len(start.plan), start.plan.seed
    (21, 1)
    """

    def __init__(
        self,
        seed: int | None = None,
        inputs: Any = None,
        *,
        plan: Plan | str | PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self._start = FirstWeights(seed, inputs, plan, options)
        self._drawn: weakref.ref[Any] | None = None
        self.plan: Plan | None = None

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Draw the weights."""
        model = kwargs["model"]
        self.plan = self._start.draw(model)
        self._drawn = weakref.ref(model)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log the plan; a model that was made since then was never drawn."""
        model = kwargs["model"]
        if self._drawn is None or self._drawn() is not model:
            raise FaninError(
                f"{an(type(model).__name__)} was made after the Trainer, so this callback did not "
                "draw it. Pass model_init=fanin.integrations.transformers.model_init(make, ...) to "
                "the Trainer in place of the callback."
            )
        if state.is_world_process_zero:
            _log(str(self.plan))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write plan.toml beside the checkpoint that was just written."""
        if self.plan is not None and state.is_world_process_zero:
            save_beside(self.plan, Path(args.output_dir) / f"checkpoint-{state.global_step}")


class CheckModel(TrainerCallback):  # type: ignore[misc]
    """Checks the Trainer's model on what it is first called with, and stops one that would fail.

    `fanin.check` runs the model on the first batch, with its labels, before the first step; the
    model, the optimizer and all random states are then as they were. Parameters that the optimizer
    did not get are told, too. A model that is sharded, and a training that goes on from a
    checkpoint, are not checked. The checkup is in `checkup`.

    Args:
        level: the mildest findings that stop the training: "note", "warning" or "error".
        options: further arguments of `fanin.check`: ignore="F12", steps=8.

    Raises FaninError for wrong arguments at once, and with the report when training starts.

    >>> from fanin.integrations.transformers import CheckModel
    >>> print(CheckModel(level="error", steps=8).checkup)
    None
    """

    def __init__(self, level: Severity = "error", **options: Any) -> None:
        self._first = FirstCheck(level, options)
        self._hook: Any = None
        self.checkup: Checkup | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait for the first call of the model."""
        if state.global_step > 0 or self.checkup is not None:
            return
        optimizer = kwargs.get("optimizer")
        optimizer = getattr(optimizer, "optimizer", optimizer)  # out of Accelerate's wrapper

        def look(model: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            self.on_train_end(args, state, control)
            names = inspect.signature(model.forward).parameters
            inputs = {**dict(zip(names, given, strict=False)), **named}
            self.checkup = self._first.run(model, inputs, None, optimizer)
            if self.checkup is not None and state.is_world_process_zero:
                _log(self.checkup.verdict)

        self._hook = kwargs["model"].register_forward_pre_hook(look, with_kwargs=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait no longer."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


def model_init(
    make: Callable[[], Any],
    seed: int | None = None,
    inputs: Any = None,
    *,
    plan: Plan | str | PathLike[str] | None = None,
    **options: Any,
) -> Callable[[], Any]:
    """A function for the Trainer's `model_init=`, which makes the model and draws its weights.

    The model is built under `fanin.empty_weights()`, where what a checkpoint loads stays out: of
    such a model pass `only=` what the checkpoint lacks, and it is built with its memory.

    Args:
        make: makes the model; called without arguments.
        seed: an integer in [0, 2**64); None for the plan's own, or 0.
        inputs: what the model is called with, for the plan. None for the module tree alone.
        plan: a plan to apply, or its file.
        options: further arguments of `fanin.initialize`; with a plan those of `Plan.apply`.

    Returns a function without arguments that returns the model. Raises FaninError for wrong
    arguments, and from the function for what cannot be drawn.

    >>> import torch
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> from fanin.integrations.transformers import model_init
    >>> sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    >>> config = LlamaConfig(vocab_size=50, num_attention_heads=2, **sizes)
    >>> make = model_init(lambda: LlamaForCausalLM(config), seed=1)
    >>> first, second = make(), make()
    >>> torch.equal(first.lm_head.weight, second.lm_head.weight)
    True
    """
    if not callable(make):
        raise FaninError(f"make is {an(type(make).__name__)}; give a function that makes a model.")
    start = FirstWeights(seed, inputs, plan, options)

    def make_and_draw() -> Any:
        if "only" in options or "keep" in options:
            model = make()
        else:
            with empty_weights():
                model = make()
        with warnings.catch_warnings():
            # The Trainer makes the model twice, and once more for every trial: the same on purpose.
            warnings.filterwarnings("ignore", ".* the same numbers as another", FaninWarning)
            start.draw(model)
        return model

    return make_and_draw


def _log(text: str) -> None:
    from transformers.utils import logging

    logging.get_logger("transformers.fanin").info(text)
