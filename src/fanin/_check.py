"""Check: the public function; the checks, a fifth of the time of an import, are loaded by a call.

So its signature stands here and in `fanin.checks`; a test says that they are one.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fanin.checks import Checkup


def check(
    model: Any,
    inputs: Any = None,
    targets: Any = None,
    loss: Callable[..., Any] | None = None,
    *,
    params: Any = None,
    shape: tuple[int, ...] | None = None,
    draws: int = 1,
    seed: int = 0,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    optimizer: Any = None,
    lr: float | None = None,
    steps: int = 0,
) -> "Checkup":
    """Whether a network will train from the weights that it has: what is wrong, and the fix.

    The model runs once forward and backward, in the mode that it is in. Gradients are measured
    with respect to the outputs of layers, never to parameters alone. Afterwards the model is
    exactly as it was: weights, buffers, gradients, modes, hooks and random states.

    Args:
        model: a torch.nn.Module, a keras.Layer, a module of Equinox or Flax, or a function
            without arguments that makes one; with `params`, any function `apply(params, *inputs)`.
        inputs: what the model is called with: a tensor, a tuple (positional) or a dict (keywords).
            A real batch, as training will see it; some hundred inputs tell dead units best.
        targets: with integers the loss is cross-entropy, with real numbers of the output's shape
            the mean squared error. Without targets it is the loss that the model returns, as
            those do that are given labels; else a random projection of all outputs, and the
            initial loss (F11) is not judged.
        loss: a function of (output, targets), or of the output alone where there are no targets.
        params: the variables of a Flax Linen module, or the parameters of a function.
        shape: of one input, without the batch, in place of `inputs`: Gaussian inputs of mean 0 and
            variance 1.
        draws: how many models the function makes, each from another random state; what is judged
            are geometric means, which spread less than one draw.
        seed: of dropout, of Gaussian inputs and projections, and of the first draw.
        select: ids ("F03") or names ("backward-scale") of the rules that are judged; None for all.
            `fanin check --explain` says what each is about.
        ignore: ids or names of rules that are left out.
        optimizer: "sgd", "adam" or "adamw"; or the user's own, a torch.optim.Optimizer of the
            model's parameters, of which those that it did not get are named (F17), or one of optax.
            A gradient that is too small for SGD is an error where it is SGD (F22).
        lr: the learning rate of one that is named; None for 0.1 of "sgd", else 1e-3.
        steps: how many steps the optimizer takes on this batch, 8 say, which are then taken back to
            the bit; F19 and F20 judge them. They cost a run forward and backward each, two more,
            and of SGD up to forty for the sharpness. They need targets or a loss.

    Returns a `fanin.checks.Checkup`, which prints as a report: `verdict`, `findings`, `layers`,
    and `ok()`. Raises FaninError for wrong arguments, for parameters without values, and where
    the model does not run on the inputs; then too it is as it was.

    >>> import fanin, torch
    >>> layers = [torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)]
    >>> model, x = torch.nn.Sequential(*layers), torch.randn(128, 64)
    >>> _ = fanin.initialize(model, seed=0, inputs=x)
    >>> print(fanin.check(model, x).verdict)
    Signal and gradient pass through this network: nothing stands against training it.
    """
    from fanin.checks._check import check as run

    return run(
        model,
        inputs,
        targets,
        loss,
        params=params,
        shape=shape,
        draws=draws,
        seed=seed,
        select=select,
        ignore=ignore,
        optimizer=optimizer,
        lr=lr,
        steps=steps,
    )
