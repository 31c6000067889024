"""Widths: do activations and their changes keep their size as a network gets wider?"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import fanin
from fanin._arguments import check_choice, check_number, check_seed
from fanin.errors import FaninError, an, one_line, quote
from fanin.frameworks.torch import Objective
from fanin.lab.width_check import WidthCheck, WidthRow
from fanin.plans import optimizer_groups
from fanin.recipes import Recipe, mup

_OPTIMIZERS: Mapping[str, tuple[Any, float]] = {
    "adam": (torch.optim.Adam, 0.01),
    "sgd": (torch.optim.SGD, 0.1),
}

RecipeOfBase = str | Recipe | Callable[[dict[str, Any]], Recipe] | None


def check_widths(
    make: Callable[[int], nn.Module],
    widths: Sequence[int],
    inputs: Any,
    targets: Any = None,
    *,
    recipe: RecipeOfBase = None,
    optimizer: str = "adam",
    lr: float | None = None,
    steps: int = 5,
    seeds: int = 3,
) -> WidthCheck:
    """The coordinate check: sizes of activations and of their changes over the width.

    Args:
        make: a function of the width that returns a torch.nn.Module.
        widths: two and more, ascending; each a factor of two, say.
        inputs: what every model is called with: a tensor, a tuple or a dict.
        targets: classes as integers, or numbers of the output's shape. None trains against a fixed
            random projection of the outputs, whose gradient is the same at every width.
        recipe: None for each model's own weights; a recipe; "mup", relative to the first width;
            or a function that makes one of the parameters of the model at the first width.
        optimizer: "adam" or "sgd"; factors of the recipe multiply the rates.
        lr: its learning rate; None for 0.01 and 0.1.
        steps: of training, on these inputs.
        seeds: how many models are measured at each width; sizes are means of squares.

    Returns a WidthCheck: a row for each layer, with the power of the width that its change grows
    by; `ok` where all are within 1/4 of zero, the powers of theory being multiples of 1/2. Raises
    FaninError for wrong arguments.

    Source: Yang et al. 2021 (Tensor Programs V), appendix D.1.

    >>> import torch
    >>> def mlp(width):
    ...     layers = torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, 1)
    ...     return torch.nn.Sequential(*layers)
    >>> x = torch.randn(16, 8, generator=torch.manual_seed(0))
    >>> check_widths(mlp, (32, 64, 128), x, recipe="mup", seeds=2, steps=1).ok
    True
    """
    sizes = _check(widths, optimizer, steps, seeds)
    kind, usual = _OPTIMIZERS[optimizer]
    rate = usual if lr is None else lr
    check_number("lr", rate, 0, 1e6)
    chosen = _recipe(recipe, make, sizes[0], optimizer)
    runs = [
        [
            _run(make, width, seed, inputs, targets, chosen, kind, rate, steps)
            for seed in range(seeds)
        ]
        for width in sizes
    ]
    names = [name for name in runs[0][0] if all(name in run for of in runs for run in of)]
    if not names:
        raise FaninError("no layer has the same name at every width; make(width) must say them so.")
    return WidthCheck(sizes, steps, tuple(_row(name, sizes, runs) for name in names))


def _check(widths: Sequence[int], optimizer: str, steps: int, seeds: int) -> tuple[int, ...]:
    sizes = tuple(widths) if isinstance(widths, Sequence) and not isinstance(widths, str) else ()
    whole = all(type(width) is int and width >= 1 for width in sizes)
    if len(sizes) < 2 or not whole or list(sizes) != sorted(set(sizes)):
        raise FaninError(
            f"widths is {quote(widths)}; give two integers or more, ascending, such as (64, 128)."
        )
    check_choice("optimizer", optimizer, _OPTIMIZERS)
    for name, value in (("steps", steps), ("seeds", seeds)):
        if type(value) is not int or value < 1:
            raise FaninError(f"{name} is {quote(value)}; it is an integer >= 1.")
    return sizes


def _recipe(
    recipe: RecipeOfBase, make: Callable[[int], nn.Module], width: int, optimizer: str
) -> str | Recipe | None:
    if recipe == "mup":
        return mup(dict(_build(make, width, 0).named_parameters()), optimizer)
    if callable(recipe) and not isinstance(recipe, Recipe):
        return recipe(dict(_build(make, width, 0).named_parameters()))
    return recipe


def _build(make: Callable[[int], nn.Module], width: int, seed: int) -> nn.Module:
    torch.manual_seed(check_seed(seed))
    model = make(width)
    if not isinstance(model, nn.Module):
        raise FaninError(
            f"make({width}) returned {an(type(model).__name__)}; it returns a torch.nn.Module."
        )
    return model


def _run(
    make: Callable[[int], nn.Module],
    width: int,
    seed: int,
    inputs: Any,
    targets: Any,
    recipe: str | Recipe | None,
    kind: Any,
    lr: float,
    steps: int,
) -> dict[str, tuple[float, float]]:
    """Of every layer, the mean square of its output at the start, and of the change."""
    with torch.random.fork_rng(devices=[]):
        model = _build(make, width, seed)
        params = {name: own for name, own in model.named_parameters() if own.requires_grad}
        groups: list[dict[str, Any]] = [{"params": [*params.values()]}]
        if recipe is not None:
            plan = fanin.initialize(model, seed, inputs, recipe)
            groups = optimizer_groups(plan, params, lr=lr)
        trained = kind(groups, lr=lr)
        with torch.no_grad(), _watching(model) as first:
            output = _call(model, inputs, seed)
        loss = _loss_of(output, targets, seed)
        for _ in range(steps):
            trained.zero_grad()
            loss(_call(model, inputs, seed)).backward()  # type: ignore[no-untyped-call]
            trained.step()
        with torch.no_grad(), _watching(model) as last:
            _call(model, inputs, seed)
    return {name: (_square(first[name]), _change(first[name], last[name])) for name in first}


def _call(model: nn.Module, inputs: Any, seed: int) -> Tensor:
    torch.manual_seed(seed)  # of dropout
    try:
        match inputs:
            case dict():
                output = model(**inputs)
            case tuple():
                output = model(*inputs)
            case _:
                output = model(inputs)
    except Exception as error:
        raise FaninError(
            f"the model does not run on these inputs: {one_line(error, named=True)}. Check that "
            "make(width)(inputs) runs."
        ) from error
    output = getattr(output, "logits", output)
    output = output[0] if isinstance(output, tuple | list) else output
    if not isinstance(output, Tensor) or not output.is_floating_point():
        raise FaninError(f"the model returned {an(type(output).__name__)}; give one with a tensor.")
    return output


def _loss_of(output: Tensor, targets: Any, seed: int) -> Callable[[Tensor], Tensor]:
    """The loss of outputs: that of targets, or a projection onto fixed Gaussian numbers."""
    if targets is None:
        drawn = fanin.Stream(seed, "check/projection").normal(tuple(output.shape))
        along = torch.from_numpy(drawn).to(output) / math.sqrt(max(output[0].numel(), 1))
        return lambda made: (made * along).sum() / len(made)
    try:
        return Objective(torch.as_tensor(targets))
    except (ValueError, RuntimeError, TypeError) as error:
        raise FaninError(
            f"targets is {quote(targets)}, and no tensor: {one_line(error)}."
        ) from error


@contextmanager
def _watching(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """The outputs of all modules without children, in the order of their calls."""
    seen: dict[str, list[Tensor]] = {}

    def watch(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.is_floating_point():
                seen.setdefault(name, []).append(output.detach().clone())

        return keep

    leaves = [
        (name, module) for name, module in model.named_modules() if not any(module.children())
    ]
    hooks = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _square(outputs: Sequence[Tensor]) -> float:
    return float(np.mean([output.double().square().mean().item() for output in outputs]))


def _change(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    return _square([last - first for first, last in zip(before, after, strict=True)])


def _row(
    name: str, widths: tuple[int, ...], runs: Sequence[Sequence[Mapping[str, tuple[float, float]]]]
) -> WidthRow:
    starts, changes = (
        tuple(math.sqrt(np.mean([run[name][which] for run in of])) for of in runs)
        for which in (0, 1)
    )
    return WidthRow(name, starts, changes, _power(widths, starts), _power(widths, changes))


def _power(widths: Sequence[int], sizes: Sequence[float]) -> float:
    """The slope of log size over log width; 0 of what is zero at the start."""
    if not all(map(math.isfinite, sizes)) or (min(sizes) == 0 and max(sizes) > 0):
        return math.nan
    if max(sizes) == 0:
        return 0.0
    return float(np.polyfit(np.log(widths), np.log(sizes), 1)[0])
