"""The recipes `mup`, `depth_mup` and `completep`: hyperparameters that hold for larger models."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fanin._arguments import check_choice
from fanin.axes import Axes
from fanin.errors import FaninError, quote
from fanin.graph import Graph, Structure
from fanin.initializers import normal, variance_scaling
from fanin.param import Param
from fanin.recipes._branches import find_streams, head_factor, list_multipliers
from fanin.recipes._choice import Choice
from fanin.recipes._digits import round_size
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._spots import Spots
from fanin.recipes._tree import activation_scale, after_activation, by_kind

SOURCE = "Yang et al. 2021 (Tensor Programs V), table 3"
OPTIMIZERS = ("adam", "sgd", "muon")

Shapes = Mapping[str, tuple[int, ...]]
Growth = tuple[float, ...]


def mup(base: Mapping[str, Any], optimizer: str = "adam") -> Recipe:
    """The maximal update parametrization, relative to a model of the base width.

    Args:
        base: the shape of every parameter of that model, by canonical name: tuples, or tensors
            such as dict(narrow.named_parameters()). An axis that differs is one whose width
            grows; the model must have the same depth, kernels and number of axes.
        optimizer: "adam", "sgd" or "muon", whose learning rates the factors are for. Muon's are
            for orthogonal updates of norm one, of hidden weights; all else is Adam's.

    With w the growth of a weight's fan_in (1 where it does not grow):
    hidden weights (both fans grow): variance g**2 / fan_in;
    input weights (fan_in does not grow), tables, biases, scales: as without mup;
    output weights (fan_in grows alone): variance g**2 / (fan_in * w).
    g is the gain of the activation before the weight. At the base width this is the
    initialization and the learning rate that one has without it.

    The factors of the learning rate are Choice.lr_factor: for Adam 1 / w; for SGD the growth of
    fan_out over w, of biases and scales their growth; for Muon sqrt(growth of fan_out / w) of
    hidden weights. Attention logits must be divided by d, not sqrt(d), in the model: weights
    cannot do that. A table that is also the head keeps the size of the base's, and the model must
    divide the logits by w: a note says so where the run does not show it.

    Returns the recipe, for `recipe=` of `fanin.plan` and `fanin.initialize`. Raises FaninError
    where `base` is no mapping; planning raises it where the models differ in more than widths.

    Source: Yang et al. 2021, table 3; Muon's follow from condition 1 of Yang, Simon & Bernstein
    2023. Weight normalization is not treated there.

    >>> import fanin, torch
    >>> def mlp(width):
    ...     layers = torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, width)
    ...     return torch.nn.Sequential(*layers)
    >>> recipe = mup(base=dict(mlp(32).named_parameters()))
    >>> plan = fanin.plan(mlp(128), recipe=recipe)
    >>> plan["2.weight"].role, plan["2.weight"].lr_factor
    ('hidden weight', 0.25)
    """
    shapes = _shapes(base, "mup")
    check_choice("optimizer of mup", optimizer, OPTIMIZERS)

    def choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
        made, growths = _place(params, graph, shapes)
        return {
            name: replace(choice, lr_factor=_rate(choice, params[name], growths[name], optimizer))
            for name, choice in made.items()
        }

    def tell(params: Params, graph: Graph | None) -> list[str]:
        return list(_note_ties(params, graph, shapes))

    return Recipe("mup", choose, SOURCE, notes=tell)


def depth_mup(base: Mapping[str, Any], layers: int) -> Recipe:
    """mup for Adam in width and, in residual networks, in depth: branches of 1 / sqrt(L).

    Args:
        base: as of `mup`, the shapes of a narrow model of this one's own depth.
        layers: of the model whose hyperparameters are to hold here.

    With m the growth of the number of layers, found in the run: the model multiplies each branch
    by m**-1/2, which a note tells where the run does not show it, and the learning rates of what
    is in branches have the factor m**-1/2 beside mup's.

    Returns the recipe. Raises FaninError as `mup`, and for layers that are no count.

    Source: Yang et al. 2023 (Tensor Programs VI), table 1, for Adam.

    >>> depth_mup({}, layers=4).name
    'depth_mup'
    """
    return _grow_deep("depth_mup", base, layers, 0.5, "Yang et al. 2023 (Tensor Programs VI)")


def completep(base: Mapping[str, Any], layers: int) -> Recipe:
    """CompleteP, for AdamW: mup in width, branches of 1 / L, and factors of epsilon and decay.

    Args:
        base: as of `mup`, the shapes of a narrow model of this one's own depth.
        layers: of the model whose hyperparameters are to hold here.

    With m the growth of the number of layers and w that of widths: the model multiplies each
    branch by 1 / m, which a note tells where the run does not show it. Learning rates are mup's,
    the same at every depth. Epsilon has the factor 1 / w, in branches 1 / (w m), and 1 of output
    weights; weight decay w of hidden and output weights, whose rates are divided by it.
    `fanin.plans.optimizer_groups` gives the groups.

    Returns the recipe. Raises FaninError as `mup`, and for layers that are no count.

    Source: Dey et al. 2025 (arXiv 2505.01618), table 1; checked in an implementation of its
    authors' parametrization for MPT (optimizer groups). Output weights have no multiplier here,
    which the factors make up for.

    >>> completep({}, layers=4).name
    'completep'
    """
    return _grow_deep("completep", base, layers, 1.0, "Dey et al. 2025 (CompleteP), table 1")


def _grow_deep(
    name: str, base: Mapping[str, Any], layers: int, alpha: float, source: str
) -> Recipe:
    """mup with branches of m**-alpha; with alpha 1 epsilon and decay follow, too."""
    shapes = _shapes(base, name)
    if type(layers) is not int or layers < 1:
        raise FaninError(f"layers of {name} is {quote(layers)}; give the base's number, 1 or more.")

    def choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
        assert graph is not None
        spots = Spots(graph)
        made, growths = _place(params, graph, shapes)
        found = {}
        for each, choice in made.items():
            spot, growth = spots.find(each), growths[each]
            deep = spot.numbers["layers"] / layers if "branch" in spot.words else 1.0
            rate = _rate(choice, params[each], growth, "adam")
            factors = {"lr_factor": rate * deep ** (alpha - 1)}
            if alpha == 1:
                wide = 1.0 if choice.role == "output weight" else max(growth, default=1.0)
                factors |= {"eps_factor": 1 / (wide * deep), "decay_factor": 1 / rate}
            found[each] = replace(choice, **factors)
        return found

    def tell(params: Params, graph: Graph | None) -> list[str]:
        assert graph is not None
        notes = [*_note_ties(params, graph, shapes), *_note_branches(graph, layers, alpha)]
        return [f"recipe {name}: {note}" for note in notes]

    return Recipe(name, choose, source, "graph", notes=tell)


def _shapes(base: Mapping[str, Any], who: str) -> Shapes:
    if not isinstance(base, Mapping):
        raise FaninError(f"base of {who} is {quote(base)}; it maps parameter names to shapes.")
    return {
        name: tuple(tensor.shape if hasattr(tensor, "shape") else tensor)
        for name, tensor in base.items()
    }


def _place(
    params: Params, graph: Graph | None, shapes: Shapes
) -> tuple[dict[str, Choice], dict[str, Growth]]:
    growths = {name: _growth(param, shapes) for name, param in params.items()}
    rule: Callable[[Param], Choice | None] = lambda param: _rule(param, growths[param.name])  # noqa: E731
    return place(params, graph, rule), growths


def _growth(param: Param, shapes: Shapes) -> Growth:
    """By how much each axis is longer than in the base model."""
    if param.name not in shapes:
        raise FaninError(
            f"base of mup has no {param.name!r}, of shape {param.shape} here. Give the shapes of "
            "all parameters of a narrower model of the same kind: "
            "base={name: shape}."
        )
    own = shapes[param.name]
    if len(own) != len(param.shape) or not all(own):
        raise FaninError(
            f"{param.name} has shape {param.shape}, and {own} in the base of mup; the two models "
            "may differ in widths alone."
        )
    return tuple(here / there for here, there in zip(param.shape, own, strict=True))


def _rule(param: Param, growth: Growth) -> Choice | None:
    if is_tied(param) and any(item != 1 for item in growth):
        std = round_size((growth[-1] / param.shape[-1]) ** 0.5)
        why = f"also the head: 1/sqrt of the base's width, the logits divided by {growth[-1]:g}"
        return Choice(normal(std=std), "table", why)
    wide_in = _product(growth, param.axes, "in")
    if param.kind == "recurrent" and (choice := by_kind(param)):
        return replace(choice, why=f"{choice.why}; fan_in is {wide_in:g} times the base's")
    if param.kind not in ("weight", "direction"):
        return None
    if _product(growth, param.axes, "kernel") != 1:
        raise FaninError(
            f"{param.name} of shape {param.shape} has another kernel than in the base of mup."
        )
    scale, role = activation_scale(param), "input weight"
    if wide_in != 1:
        role = "hidden weight"
        if _product(growth, param.axes, "out") == 1:
            scale, role = scale / wide_in, "output weight"
    chosen = variance_scaling(round_size(scale), "fan_in", "normal")
    why = f"{after_activation(param)}; fan_in is {wide_in:g} times the base's"
    return Choice(chosen, role, why)


def is_tied(param: Param) -> bool:
    """Whether a table is a head, too."""
    return param.kind == "table" and bool(param.aliases)


def _rate(choice: Choice, param: Param, growth: Growth, optimizer: str) -> float:
    """The factor of the learning rate; of what has no fan_in, its growth counts as fan_out's."""
    axes = choice.axes or param.axes
    matrix = choice.role.endswith(" weight") or choice.role == "recurrent"
    wide_in = _product(growth, axes, "in") if matrix else 1.0
    wide_out = _product(growth, axes, "out") if matrix else max(growth, default=1.0)
    if optimizer == "sgd":
        return wide_out / wide_in
    if optimizer == "muon" and choice.role == "hidden weight":
        return math.sqrt(wide_out / wide_in)
    return 1 / wide_in


def _product(growth: Growth, axes: Axes, role: str) -> float:
    return math.prod(item for item, own in zip(growth, axes.roles, strict=True) if own == role)


def _note_ties(params: Params, graph: Graph | None, shapes: Shapes) -> Iterator[str]:
    """Heads that are tables, whose logits the run does not show divided by the growth."""
    structure = None if graph is None else Structure(graph)
    for name, param in params.items():
        wide = _growth(param, shapes)[-1] if is_tied(param) and param.shape else 1.0
        shown = None if structure is None else head_factor(structure, name)
        if wide != 1 and (shown is None or not math.isclose(shown * wide, 1, rel_tol=1e-2)):
            run = "" if shown is None else f"; the run shows them times {shown:g}"
            yield f"the model must divide the logits of {name}, a table too, by {wide:g}{run}."


def _note_branches(graph: Graph, layers: int, alpha: float) -> Iterator[str]:
    """Branches that the run does not show multiplied by what the depth asks."""
    structure = Structure(graph)
    for stream in find_streams(structure):
        wanted = (stream.layers / layers) ** -alpha
        shown = list_multipliers(structure, (each.branch for each in stream.branches), wanted)
        if shown:
            yield (
                f"each of the {len(stream.branches)} branches of a stream of {stream.layers} "
                f"layers, {layers} of the base, is to be multiplied by {wanted:.4g} in the model; "
                f"the run shows {shown}."
            )
