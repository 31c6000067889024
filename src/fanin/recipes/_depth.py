"""Recipes for depth by name: DeepNorm, Sub-LN, DS-Init, T-Fixup, and scalars that start at zero."""

from collections.abc import Callable, Iterator

from fanin._arguments import check_number
from fanin.graph import CARRIERS
from fanin.recipes._branches import find_ends, find_inside, list_multipliers
from fanin.recipes._cases import Case, tabulate
from fanin.recipes._recipe import Recipe
from fanin.recipes._spots import Spots

_AFFINE = CARRIERS | {"scale", "shift"}
# What DeepNorm, Sub-LN and T-Fixup scale; the rest of a block is queries and keys.
_SCALED = ("weight mlp", "weight end", "weight value")
_EMBEDDED = "normal(std=1 / sqrt({width}))"


def deepnorm() -> Recipe:
    """Post-norm transformers of any depth: Xavier normal, times beta but for queries and keys.

    With N layers beta is (8 N)**-1/4 and the model multiplies its stream by alpha = (2 N)**1/4;
    with an encoder of N and a decoder of M layers 0.87 (N**4 M)**-1/16 with alpha 0.81
    (N**4 M)**1/16 in the encoder, (12 M)**-1/4 with (3 M)**1/4 in the decoder. A note tells an
    alpha that the run does not show. Tables, of which the paper says nothing, are 1/sqrt(d).

    Source: Wang et al. 2022 (DeepNet), figure 2; the numbers are checked in
    torchscale/architecture/encoder.py, which divides Xavier uniform by 1 / beta instead.
    """
    return tabulate(
        "deepnorm",
        "Wang et al. 2022 (DeepNet), figure 2",
        *_scale("encoder", "(0.87 * ({encoder} ** 4 * {decoder}) ** (-1 / 16))"),
        *_scale("decoder", "((12 * {decoder}) ** (-1 / 4))"),
        *_scale("", "((8 * {layers}) ** (-1 / 4))"),
        Case("weight", "glorot_normal()"),
        Case("table", _EMBEDDED),
        notes=_note_alpha,
    )


def sub_ln() -> Recipe:
    """Magneto: Xavier normal, times sqrt(log(2 N)) but for queries and keys, with N layers.

    With an encoder of N and a decoder of M layers sqrt(log(3 M) log(2 N) / 3) in the encoder and
    sqrt(log(3 M)) in the decoder. Attention and MLP each need a second normalization, before
    their last weight: a note tells where the run shows none.

    Source: Wang et al. 2022 (Foundation Transformers), section 3.3 and figure 2; checked in
    torchscale/architecture/encoder.py (subln).
    """
    return tabulate(
        "sub_ln",
        "Wang et al. 2022 (Foundation Transformers), figure 2",
        *_scale("encoder", "sqrt(log(3 * {decoder}) * log(2 * {encoder}) / 3)"),
        *_scale("decoder", "sqrt(log(3 * {decoder}))"),
        *_scale("", "sqrt(log(2 * {layers}))"),
        Case("weight", "glorot_normal()"),
        Case("table", _EMBEDDED),
        notes=_note_inner_norms,
    )


def ds_init(alpha: float = 1.0) -> Recipe:
    """Xavier uniform, times alpha / sqrt(l) in layer l, counted from 1; tables 1/sqrt(d).

    Source: Zhang, Titov & Sennrich 2019, equation 11. The code of its authors (bzhangGo/zero,
    deep_transformer_init) gives 1/sqrt(l) to TensorFlow's variance_scaling_initializer, whose
    scale is a variance: a standard deviation times l**-1/4, half the exponent of the paper.
    """
    check_number("alpha", alpha, 0, 1)
    rule = f"variance_scaling({alpha!r} ** 2 / {{layer}}, 'fan_avg', 'uniform')"
    return tabulate(
        f"ds_init({alpha:g})",
        "Zhang, Titov & Sennrich 2019, equation 11",
        Case("weight branch", rule),
        Case("weight", "glorot_uniform()"),
        Case("table", _EMBEDDED),
    )


def t_fixup() -> Recipe:
    """Transformers without normalization: Xavier, shrunk but for queries and keys.

    By (9 N)**-1/4 in a decoder of N layers, and the embeddings, N(0, 1/sqrt(d)), too; by
    0.67 N**-1/4 in an encoder, and in a model of one stream. A note tells where the model still
    normalizes.

    Source: Huang et al. 2020, section 3.4.
    """
    return tabulate(
        "t_fixup",
        "Huang et al. 2020, section 3.4",
        *_scale("decoder", "((9 * {decoder}) ** (-1 / 4))"),
        *_scale("encoder", "(0.67 * {encoder} ** (-1 / 4))"),
        *_scale("", "(0.67 * {layers} ** (-1 / 4))"),
        Case("weight", "glorot_normal()"),
        Case("table embedding", "normal(std=(9 * {decoder}) ** (-1 / 4) / sqrt({width}))"),
        notes=_note_norms,
    )


def rezero() -> Recipe:
    """The scalar of every residual branch zero, weights Xavier uniform.

    The scalars, alpha in x + alpha f(x), must be in the model: a note tells where none are.

    Source: Bachlechner et al. 2020, section 3 and equation 3.
    """
    return tabulate(
        "rezero",
        "Bachlechner et al. 2020, equation 3",
        Case("scale scalar", "zeros()"),
        Case("weight", "glorot_uniform()"),
        notes=_note_without_scalars,
    )


def skipinit() -> Recipe:
    """The scalar of every residual branch zero, weights He's: networks without batch norms.

    The scalars must be in the model: a note tells where none are.

    Source: De & Smith 2020, section 4.
    """
    return tabulate(
        "skipinit",
        "De & Smith 2020, section 4",
        Case("scale scalar", "zeros()"),
        Case("weight", "he_normal()"),
        notes=_note_without_scalars,
    )


def zero_gamma() -> Recipe:
    """The scale of the norm that ends a residual branch zero; He's for weights, by fan_out.

    The head is N(0, 0.01).

    Source: Goyal et al. 2017, section 5.1; fan_out as in fb.resnet.torch, its base, and
    torchvision's zero_init_residual.
    """
    return tabulate(
        "zero_gamma",
        "Goyal et al. 2017, section 5.1",
        Case("scale last", "zeros()"),
        Case("weight head", "normal(std=0.01)"),
        Case("weight", "normal(std=sqrt(2 / {out}))"),
        notes=_note_without("last", "no norm at the end of a residual branch"),
    )


def layerscale(value: float = 0.1) -> Recipe:
    """The scales of residual branches one small value, weights and tables N(0, 0.02) cut at two.

    CaiT has 0.1 up to 18 layers, 1e-5 up to 24 and 1e-6 beyond. The scales must be in the model:
    a note tells where none are.

    Source: Touvron et al. 2021 (Going deeper with Image Transformers), section 2.
    """
    check_number("value", value, 0, 10)
    return tabulate(
        f"layerscale({value:g})",
        "Touvron et al. 2021 (CaiT), section 2",
        Case("scale scalar", f"constant({value!r})"),
        Case("weight, table", "truncated_normal(std=0.02)"),
        notes=_note_without("scalar", "no scale that multiplies a residual branch"),
    )


DEPTH: tuple[Callable[..., Recipe], ...] = (
    deepnorm,
    sub_ln,
    ds_init,
    t_fixup,
    rezero,
    skipinit,
    zero_gamma,
    layerscale,
)


def _scale(side: str, factor: str) -> Iterator[Case]:
    """Xavier normal times a factor for what is scaled of this side's blocks."""
    words = ", ".join(f"{way} {side}".strip() for way in _SCALED)
    yield Case(words, f"variance_scaling({factor} ** 2, 'fan_avg', 'normal')")


def _note_alpha(spots: Spots) -> Iterator[str]:
    """Streams that the model does not multiply by DeepNorm's alpha."""
    for stream in spots.streams:
        count = stream.layers
        alpha = (2 * count) ** 0.25
        if spots.reading is not None:
            encoder, decoder = spots.reading
            alpha = (3 * decoder.layers) ** 0.25
            if stream is encoder:
                alpha = 0.81 * (encoder.layers**4 * decoder.layers) ** (1 / 16)
        streams = (item.stream for item in stream.branches)
        shown = list_multipliers(spots.structure, streams, alpha)
        if shown:
            yield (
                f"the stream of {len(stream.branches)} branches is to be multiplied by alpha = "
                f"{alpha:.4g} before each is added, in the model; the run shows {shown}."
            )


def _note_inner_norms(spots: Spots) -> Iterator[str]:
    """Branches without a normalization before their last weight."""
    nodes = spots.graph.nodes
    lacking = 0
    for stream in spots.streams:
        for residual in stream.branches:
            inside = find_inside(spots.structure, spots.streams, residual)
            ends = find_ends(spots.structure, residual, inside)
            fed = [nodes[at].inputs[0] for at in ends if nodes[at].op == "linear"]
            before = [spots.graph.behind(at, _AFFINE) for at in fed]
            lacking += not all(nodes[at].op == "normalize" for at in before)
    if lacking:
        yield (
            f"{lacking} branches have no normalization before their last weight, which the model "
            "must have for this rule."
        )


def _note_norms(spots: Spots) -> Iterator[str]:
    norms = sum(node.op == "normalize" for node in spots.graph.nodes)
    if norms:
        yield f"the rule is for a model without normalizations; the run shows {norms}."


def _note_without(word: str, lacking: str) -> Callable[[Spots], Iterator[str]]:
    def tell(spots: Spots) -> Iterator[str]:
        if word not in spots.words:
            yield f"the run shows {lacking}, so that nothing starts so; the model must have them."

    return tell


_note_without_scalars = _note_without("scalar", "no scalar that multiplies a residual branch")
