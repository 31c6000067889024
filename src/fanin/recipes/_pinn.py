"""The recipe `pinn`: Glorot weights, factored into scales and the rest where a model does so."""

import math
from collections.abc import Iterator
from dataclasses import replace

from fanin.graph import Graph, Use
from fanin.initializers import glorot_normal, log_normal, normal, weight_factorization
from fanin.recipes._cases import Case, tabulate
from fanin.recipes._choice import Choice
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._spots import Spots

_SOURCE = "Wang et al. 2022 (arXiv 2210.01274), section 4"


def pinn(mean: float = 1.0, std: float = 0.1) -> Recipe:
    """Random weight factorization: W = diag(s) V is Glorot normal, s = exp(N(mean, std)).

    The scales and the weight are found where the run multiplies a weight's outputs by a parameter
    that has one element for each, or its exponential: as jaxpi's Dense with its kernel g * v does.
    V is W / s, from the draw of s. All other weights are Glorot normal, biases zero.

    Source: Wang et al. 2022 (arXiv 2210.01274), section 4; checked in jaxpi, archs.py,
    _weight_fact. Its configurations have mean 1.0, some 0.5, and std 0.1.
    """
    scales, logarithms = log_normal(mean, std), normal(mean, std)
    base = tabulate(
        f"pinn({mean:g}, {std:g})", _SOURCE, Case("weight", "glorot_normal()"), notes=_tell_sines
    )

    def choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
        assert graph is not None
        choices = base.choose(params, graph, given)
        for weight, scale in _find_factors(graph, params):
            names = {weight.name, scale.name}
            if given.keys() & names or any(params[name].kept_rms is not None for name in names):
                continue
            rest = weight_factorization(glorot_normal(), scale.name, mean, std)
            why = f"W / s, s = exp(N({mean:g}, {std:g})), W Glorot's"
            choices[weight.name] = Choice(rest, "weight", why, weight.axes)
            own = logarithms if scale.through else scales
            why = f"the scales of the outputs of {weight.name}"
            choices[scale.name] = Choice(own, "scale", why, scale.axes)
        return choices

    def tell(params: Params, graph: Graph | None) -> list[str]:
        notes = base.notes(params, graph)
        if graph is not None and not any(_find_factors(graph, params)):
            told = "the run shows no weight with scales of its own: weights are Glorot normal."
            notes.append(f"recipe {base.name}: {told}")
        return notes

    return replace(base, choose=choose, needs="graph", notes=tell)


def _find_factors(graph: Graph, params: Params) -> Iterator[tuple[Use, Use]]:
    """Every weight whose outputs a parameter scales, one element for each, and that parameter."""
    for node in graph.nodes:
        scale = node.param
        if node.op != "scale" or scale is None or scale.through not in ((), ("exp",)):
            continue
        source = graph.nodes[node.inputs[0]]
        weight = source.param
        if source.op != "linear" or weight is None or weight.through or weight.axes.blocks:
            continue
        shape, plain = params[weight.name].shape, sorted(weight.axes.roles) == ["in", "out"]
        units = max(params[scale.name].shape, default=1)
        along = math.prod(params[scale.name].shape) == units  # along one axis
        if plain and along and weight.axes.size("out", shape) == units:
            yield weight, scale


def _tell_sines(spots: Spots) -> Iterator[str]:
    if any("first" in spots.find(use.name).words for use in _uses(spots)):
        yield (
            "weights of the inputs that sines read are Glorot normal, too: of random Fourier "
            "features give fourier_features(scale) by overrides=."
        )


def _uses(spots: Spots) -> Iterator[Use]:
    return (node.param for node in spots.graph.nodes if node.param is not None)
