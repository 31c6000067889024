"""Objective: what a run is differentiated for: a loss with targets, or a random projection."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fanin.errors import FaninError, one_line, quote
from fanin.frameworks._observation import TargetStats
from fanin.frameworks.jax.tree._held import is_array
from fanin.frameworks.observing._own_loss import find_own_loss

Array = Any
LossOfUser = Callable[..., Any]
_IGNORED = -100  # a label that counts for nothing, as torch has it


class Objective:
    """The loss of an output; called once, it knows how many classes there were.

    Without targets and loss it is the loss that the model returns, or a random projection of all
    outputs; with integer targets cross-entropy, with real ones the mean squared error. A loss that
    is given is called with the output and, where there are any, the targets. `labelled` says that
    the model itself was given labels.
    """

    def __init__(
        self,
        targets: Any = None,
        loss: LossOfUser | None = None,
        seed: int = 0,
        labelled: bool = False,
    ) -> None:
        if loss is not None and not callable(loss):
            raise FaninError(f"loss is {quote(loss)}; it is a function of (output, targets).")
        if targets is not None and loss is None and not is_array(targets):
            raise FaninError(
                f"targets has type {type(targets).__name__}; without loss= it is an array. Pass "
                "loss=, a function of (output, targets)."
            )
        self.targets = targets
        self.loss = loss
        self.seed = seed
        self.labelled = labelled
        self.own = False  # whether the loss is the model's
        self.classes: int | None = None  # of a cross-entropy
        self.compared: TargetStats | None = None  # real targets of the output's shape

    @property
    def name(self) -> str:
        """What kind of loss it is."""
        if self.loss is not None:
            return "given"
        if self.targets is None:
            return "the model's own" if self.own else "random projection"
        return "mean squared error" if _is_floating(self.targets) else "cross-entropy"

    @property
    def of_targets(self) -> Callable[[Any, Any], Any] | None:
        """The loss as a function of an output and real targets; None where there are none."""
        if not is_array(self.targets) or not _is_floating(self.targets) or not self.targets.size:
            return None
        if self.loss is not None:
            return self.loss
        return lambda output, targets: _subtract(_prediction(output), targets)

    def __call__(self, output: Any) -> Array:
        """A number that can be differentiated."""
        try:
            return self._value(output)
        except FaninError:
            raise
        except Exception as error:
            raise FaninError(
                f"the loss fails on this output and these targets: "
                f"{one_line(error, named=True)}. Check targets= and loss=."
            ) from error

    def _value(self, output: Any) -> Array:
        self.compared = self._compare(output)
        if self.loss is not None:
            given = (output,) if self.targets is None else (output, self.targets)
            return _check(self.loss(*given))
        if self.targets is None:
            found = find_own_loss(output, self.labelled, _is_number)
            self.own = found is not None
            return project(output, self.seed) if found is None else jnp.reshape(found, ())
        made = _prediction(output)
        if _is_floating(self.targets):
            return self._square(made)
        logits = self._classes_last(made)
        self.classes = logits.shape[-1]
        return _cross_entropy(logits, self.targets)

    def _compare(self, output: Any) -> TargetStats | None:
        given = self.targets
        if self.of_targets is None:
            return None
        if given.shape not in {leaf.shape for leaf in jax.tree_util.tree_leaves(output)}:
            return None
        wide = np.asarray(given).astype(np.float64)
        return TargetStats(
            tuple(given.shape), float(wide.mean()), float(np.sqrt(np.square(wide).mean()))
        )

    def _square(self, found: Array) -> Array:
        if found.shape != self.targets.shape:
            raise FaninError(
                f"targets has shape {tuple(self.targets.shape)}, the output {tuple(found.shape)}; "
                "the mean squared error wants the same. Pass loss=, or integer targets for "
                "cross-entropy."
            )
        return jnp.square(_subtract(found, self.targets)).mean()

    def _classes_last(self, logits: Array) -> Array:
        """Logits with the classes as JAX wants them; they may be behind the batch, too."""
        shape, wanted = tuple(logits.shape), tuple(self.targets.shape)
        if len(shape) == len(wanted) + 1 and len(shape) > 1:
            if shape[:-1] == wanted and shape[-1] > 1:
                return logits
            if (shape[0], *shape[2:]) == wanted and shape[1] > 1:
                return jnp.moveaxis(logits, 1, -1)
        raise FaninError(
            f"targets has shape {wanted}, the output {shape}; cross-entropy wants one integer for "
            "each row of at least two logits. Pass loss=, a function of (output, targets)."
        )


def _subtract(found: Array, targets: Any) -> Array:
    return found.astype(jnp.float32) - jnp.asarray(targets, jnp.float32)


def _cross_entropy(logits: Array, targets: Any) -> Array:
    """The mean over all labels that count."""
    labels = np.asarray(targets)
    counted = labels != _IGNORED
    wrong = labels[counted & ((labels < 0) | (labels >= logits.shape[-1]))]
    if wrong.size:
        raise FaninError(
            f"targets holds {int(wrong[0])}, and there are {logits.shape[-1]} logits; a label is "
            f"from 0 to {logits.shape[-1] - 1}, or {_IGNORED} where none counts."
        )
    logs = jax.nn.log_softmax(logits.astype(jnp.float32))
    places = np.where(counted, labels, 0)[..., None].astype(np.int32)
    picked = jnp.take_along_axis(logs, jnp.asarray(places), axis=-1)[..., 0]
    return -jnp.sum(picked * counted) / max(int(counted.sum()), 1)


def _check(value: Any) -> Array:
    if not is_array(value) or value.size != 1 or not _is_floating(value):
        what = (
            f"shape {tuple(value.shape)}" if is_array(value) and value.size != 1 else quote(value)
        )
        raise FaninError(
            f"loss gave {what}; it gives one real number, an array that depends on the output."
        )
    return jnp.reshape(value, ())


def project(output: Any, seed: int = 0) -> Array:
    """A random projection of all outputs, as a loss."""
    generator = np.random.default_rng(seed)
    parts = [
        jnp.sum(leaf * jnp.asarray(generator.standard_normal(leaf.shape), leaf.dtype))
        for leaf in jax.tree_util.tree_leaves(output)
        if _is_floating(leaf)
    ]
    if not parts:
        raise FaninError(
            "the model returned no array of real numbers, so there is no gradient to look at."
        )
    return jnp.stack(
        [part.astype(jnp.promote_types(part.dtype, jnp.float32)) for part in parts]
    ).sum()


def _is_floating(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


def _is_number(value: Any) -> bool:
    return is_array(value) and value.size == 1 and value.ndim < 2 and _is_floating(value)


def _prediction(output: Any) -> Array:
    """The output that a loss is of: `logits` where there are any, else the first real array."""
    named = output.get("logits") if isinstance(output, Mapping) else None
    named = getattr(output, "logits", None) if named is None else named
    found = [leaf for leaf in jax.tree_util.tree_leaves(output) if _is_floating(leaf)]
    if is_array(named):
        return named
    if not found:
        raise FaninError(
            f"the model returned {type(output).__name__}, in which there is no array of real "
            "numbers for the targets. Pass loss=, a function of (output, targets)."
        )
    return found[0]
