"""The recipe `mimetic`: self-attention whose products of two weights are near the identity."""

from fanin.errors import FaninError
from fanin.graph import Graph, Structure, Use
from fanin.initializers import mimetic as factor_of_attention
from fanin.initializers._mimetic import PARTS, Mimetic
from fanin.param import Param
from fanin.recipes._attending import Attention, find_attentions
from fanin.recipes._choice import Choice
from fanin.recipes._default import DEFAULT
from fanin.recipes._recipe import GivenInitializers, Params, Recipe

_SOURCE = "Trockman & Kolter 2023, section 4"
_WHY = "mimetic: one draw for all of an attention: W_q W_k^T like 0.7 I, W_v W_o like -0.4 I"

PairedWeights = dict[str, tuple[Mimetic, Use]]


def mimetic(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """Self-attention that mimics that of trained vision transformers; all else as in `auto`.

    The weights of query and key, and those of value and output, are factors of one matrix that
    both draw: see the initializer `mimetic`. An attention is left to `auto` where one of its
    weights is given, kept or starts at zero. Needs a graph; notes say which were left.

    Source: Trockman & Kolter 2023 (arXiv 2305.09828), section 4. Their models add sinusoidal
    positions, which are the model's business.
    """
    assert graph is not None
    choices = DEFAULT.choose(params, graph, given)
    structure = Structure(graph)
    for attention in find_attentions(structure):
        pairs = _pair(structure, attention, params)
        if isinstance(pairs, str) or not all(_is_free(params[name], choices) for name in pairs):
            continue
        if given.keys() & pairs.keys():
            continue
        for name, (initializer, use) in pairs.items():
            choices[name] = Choice(initializer, choices[name].role, _WHY, use.axes)
    return choices


def _is_free(param: Param, choices: dict[str, Choice]) -> bool:
    """Whether a weight is to be drawn: neither held, nor a constant on purpose."""
    choice = choices.get(param.name)
    chosen = None if choice is None else choice.initializer
    return chosen is not None and chosen.seeded and param.kept_rms is None


def _pair(structure: Structure, attention: Attention | None, params: Params) -> PairedWeights | str:
    """The initializers of an attention's weights by name; or what stands against it, in words."""
    if attention is None:
        return "its weights are not one for each part"
    at = (attention.query, attention.key, attention.value, attention.output)
    nodes = [structure.graph.nodes[position] for position in at]
    uses = [node.param for node in nodes if node.param is not None]
    if len({structure.graph.behind(node.inputs[0]) for node in nodes[:3]}) > 1:
        return "query, key and value do not read the same"
    pairs: PairedWeights = {}
    for use in dict.fromkeys(uses):
        words = [word for word, own in zip(PARTS, uses, strict=True) if own == use]
        packed = use.period or use.axes.blocks or (0,)
        if use.through or use.row is not None or len(packed) != len(words):
            return f"{use.name} is packed, stacked or changed in a way of its own"
        shape = params[use.name].shape
        features = use.axes.size("in" if words == ["output"] else "out", shape) // len(words)
        heads = max(features // attention.size, 1)
        own = "" if use.name == uses[0].name else uses[0].name
        initializer = factor_of_attention(" ".join(words), heads, own, bool(use.period))
        try:
            initializer._check(shape, use.axes)
        except FaninError as error:
            return f"{use.name}: {error}"
        pairs[use.name] = (initializer, use)
    if len({initializer.heads for initializer, _ in pairs.values()}) > 1:
        return "it has fewer keys than queries"
    return pairs


def _tell(params: Params, graph: Graph | None) -> list[str]:
    """Which attentions were left, and why; each reason once."""
    structure = None if graph is None else Structure(graph)
    found = [] if structure is None else list(find_attentions(structure))
    if not found or structure is None:
        return ["recipe mimetic: the run shows no attention, so that all is as in auto."]
    told = [_pair(structure, attention, params) for attention in found]
    reasons = dict.fromkeys(reason for reason in told if isinstance(reason, str))
    return [f"recipe mimetic: an attention is left to auto, as {reason}." for reason in reasons]


MIMETIC: Recipe = Recipe("mimetic", mimetic, _SOURCE, "graph", notes=_tell)
