"""Recipes of three transformers: GPT-2, LLaMA and the Vision Transformer."""

import math
from collections.abc import Iterator, Sequence

from fanin.graph import CARRIERS, Graph, Structure
from fanin.initializers import glorot_uniform, lecun_truncated_normal, normal, zeros
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe

STD = 0.02  # of all weights and tables of GPT-2 and LLaMA
_BIAS = 1e-6  # std of the biases in the Vision Transformer's MLPs

Users = Sequence[Sequence[int]]


def gpt2(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """N(0, 0.02); weights that end a residual branch N(0, 0.02 / sqrt(number of branches)).

    The branches are counted along the stream that a weight adds to: twice the layers in GPT-2.
    Biases are zero, normalizations the identity. Needs a graph.

    Source: Radford et al. 2019, section 2.3 (residual layers scaled by 1/sqrt(N)); std 0.02 from
    Radford et al. 2018, section 4.1. The released code draws positions with 0.01, and its
    reimplementations with 0.02, as here.
    """
    assert graph is not None
    counts = _branches(graph)

    def rule(param: Param) -> Choice | None:
        if param.kind in ("weight", "direction") and param.name in counts:
            count = counts[param.name]
            std = STD / math.sqrt(count)
            why = f"{STD:g} / sqrt({count}): ends a residual branch, 1 of {count} on its stream"
            return Choice(normal(std=std), param.kind, why)
        return _of_one_size(param, "GPT-2's std")

    return place(params, graph, rule)


def llama(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """N(0, 0.02) for all weights and tables; biases zero, normalizations the identity.

    Source: transformers' modeling_llama.py, initializer_range = 0.02; Touvron et al. 2023 do
    not say how LLaMA was initialized.
    """
    return place(params, graph, lambda param: _of_one_size(param, "LLaMA's std"))


def _of_one_size(param: Param, why: str) -> Choice | None:
    if param.kind in ("weight", "table", "recurrent", "direction"):
        return Choice(normal(std=STD), param.kind, why)
    if param.kind == "bias":
        return Choice(zeros(), "bias", "biases start at zero")
    return None


def _branches(graph: Graph) -> dict[str, int]:
    """For each weight that ends a residual branch, how many branches its stream has."""
    structure = Structure(graph)
    counts = {}
    for residual in structure.residuals.values():
        for end in structure.ends(residual):
            use = graph.nodes[end].param
            if use is not None and graph.nodes[end].op == "linear":
                counts[use.name] = structure.chains[residual.node].length
    return counts


def vit(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """Xavier uniform; the head, the class token and attention's biases zero; positions 0.02.

    Biases of weights before an activation or behind one, those of the MLPs, are N(0, 1e-6).
    Convolutions, which cut the patches, are LeCun normal, Flax's default. Xavier's fans are
    those of one of the matrices query, key, value, packed or not. Needs a graph.

    Source: google-research/vision_transformer, vit_jax/models_vit.py; Dosovitskiy et al. 2021
    give no initialization.
    """
    assert graph is not None
    heads = _names(graph, Structure(graph).heads)
    biased = _mlp_biases(graph)

    def rule(param: Param) -> Choice | None:
        if param.name in heads and param.kind != "table":
            return Choice(zeros(), param.kind, "the head starts at zero")
        match param.kind:
            case "weight" | "direction" if "kernel" in param.axes.roles:
                return Choice(lecun_truncated_normal(), param.kind, "patches: Flax's default")
            case "weight" | "direction":
                return Choice(glorot_uniform(), param.kind, "Xavier uniform")
            case "bias" if param.name in biased:
                return Choice(normal(std=_BIAS), "bias", "an MLP's bias")
            case "table" if sum(size > 1 for size in param.shape) < 2:
                return Choice(zeros(), "token", "the class token starts at zero")
            case "table":
                return Choice(normal(std=STD), "table", "positions")
        return None

    return place(params, graph, rule)


def _names(graph: Graph, nodes: set[int]) -> set[str]:
    uses = (graph.nodes[node].param for node in nodes)
    return {use.name for use in uses if use is not None}


def _mlp_biases(graph: Graph) -> set[str]:
    """The biases of the weights on both sides of an activation."""
    users = graph.users()
    found: set[str] = set()
    for position, node in enumerate(graph.nodes):
        if node.op != "shift" or node.param is None:
            continue
        weight = graph.nodes[graph.behind(node.inputs[0])]
        if weight.op == "linear":
            fed = graph.nodes[graph.behind(weight.inputs[0])]
            feeds = [graph.nodes[item] for item in _find_readers(graph, users, position)]
            if any(item.op == "pointwise" and len(item.inputs) == 1 for item in (fed, *feeds)):
                found.add(node.param.name)
    return found


def _find_readers(graph: Graph, users: Users, position: int) -> Iterator[int]:
    """The nodes that a value goes to, views and dropout left out."""
    for user in users[position]:
        if graph.nodes[user].op in CARRIERS:
            yield from _find_readers(graph, users, user)
        else:
            yield user


TRANSFORMERS: tuple[Recipe, ...] = (
    Recipe("gpt2", gpt2, "Radford et al. 2019, section 2.3", needs="graph"),
    Recipe("llama", llama, "transformers, modeling_llama.py"),
    Recipe("vit", vit, "google-research/vision_transformer, models_vit.py", needs="graph"),
)
