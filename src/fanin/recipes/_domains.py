"""Recipes of other kinds of models by name: generators, agents, fields, flows."""

from collections.abc import Callable, Iterator

from fanin._arguments import check_choice, check_number
from fanin.recipes._cases import Case, tabulate
from fanin.recipes._recipe import Recipe
from fanin.recipes._spots import Spots


def dcgan() -> Recipe:
    """Weights N(0, 0.02), scales of norms N(1, 0.02), biases zero.

    Source: Radford et al. 2016, section 4, for the weights; the scales are those of
    pytorch/examples, dcgan/main.py, weights_init.
    """
    return tabulate(
        "dcgan",
        "Radford et al. 2016, section 4; pytorch/examples, dcgan",
        Case("weight, table", "normal(std=0.02)"),
        Case("scale norm", "normal(1, 0.02)"),
    )


def dit() -> Recipe:
    """adaLN-zero: what modulates blocks and the head start at zero, other weights Xavier uniform.

    Tables, and the weights that make the condition (a time step's embedding) N(0, 0.02). A weight
    modulates that gives several parts, of which some multiply activations of more positions.

    Source: Peebles & Xie 2023, section 3.2; checked in copies of DiT's models.py,
    initialize_weights.
    """
    return tabulate(
        "dit",
        "Peebles & Xie 2023, section 3.2; DiT, models.py",
        Case("weight modulation, weight head", "zeros()"),
        Case("weight condition, table", "normal(std=0.02)"),
        Case("weight", "glorot_uniform()"),
        notes=_note_without_modulation,
    )


def ppo() -> Recipe:
    """Orthogonal: hidden weights sqrt(2), the policy's last 0.01, the value's last 1; biases zero.

    A head of one output is the value's, any other the policy's.

    Source: Huang et al. 2022 (The 37 Implementation Details of PPO), detail 2; Andrychowicz et
    al. 2021, section 3.2, recommend a last layer of the policy a hundred times smaller.
    """
    return tabulate(
        "ppo",
        "Huang et al. 2022 (37 details of PPO), detail 2",
        Case("weight head single", "orthogonal(1)"),
        Case("weight head", "orthogonal(0.01)"),
        Case("weight", "orthogonal(sqrt(2))"),
        notes=_note_single_heads,
    )


def siren() -> Recipe:
    """Networks of sines: first weights U(+-1/in), others U(+-sqrt(6/in) / omega).

    omega, the factor in sin(omega z), is found in the model, for each layer its own; the head,
    which no sine reads, takes the largest.

    Source: Sitzmann et al. 2020, section 3.2 and supplement 1.5. The head's rule is that of their
    code (explore_siren.ipynb).
    """
    limit = "sqrt(6 / {in}) / {omega}"
    return tabulate(
        "siren",
        "Sitzmann et al. 2020, section 3.2",
        Case("weight sine first", "uniform(-1 / {in}, 1 / {in})"),
        Case("weight sine, weight head", f"uniform(-{limit}, {limit})"),
        notes=_note_without_sines,
    )


def sdf(radius: float = 1.0) -> Recipe:
    """A network that starts as the signed distance to a sphere of this radius.

    Weights N(0, sqrt(2 / out)), the head N(sqrt(pi / in), 1e-4), its bias -radius, other biases
    zero. For plain networks of ReLU or softplus with a large beta, of a few wide layers.

    Source: Atzmon & Lipman 2020 (SAL), theorem 1; checked in copies of IDR's implicit network,
    whose std of the head is 1e-4 (theirs is 1e-5).
    """
    check_number("radius", radius, 0, 1e6)
    return tabulate(
        f"sdf({radius:g})",
        "Atzmon & Lipman 2020 (SAL), theorem 1",
        Case("weight head", "normal(sqrt(pi / {in}), 1e-4)"),
        Case("bias head", f"constant({-radius!r})"),
        Case("weight", "normal(std=sqrt(2 / {out}))"),
    )


def glow() -> Recipe:
    """Affine couplings start as the identity: last weights of nets zero, all others N(0, 0.05).

    The nets are told by what they give: parts, of which a function of one scales, and another
    shifts, activations that do not come from them. Scales and shifts of an actnorm are of the
    first batch: run the model once on one, as its code asks.

    Source: Kingma & Dhariwal 2018, section 3.3; 0.05 is that of their code, tfops.py.
    """
    return tabulate(
        "glow",
        "Kingma & Dhariwal 2018, section 3.3",
        Case("weight coupling", "zeros()"),
        Case("weight", "normal(std=0.05)"),
        notes=_note_without_coupling,
    )


def kan(scheme: str = "power", alpha: float = 0.25, beta: float = 1.75) -> Recipe:
    """A Kolmogorov-Arnold network of splines: "power", "glorot" or "baseline".

    A layer sums r f(x) + c sum_m b_m B_m(x) over its n features, f SiLU mostly, with M functions
    B. power: r N(0, (n (M + 1))^-alpha), b N(0, (n (M + 1))^-beta). glorot: the variance of r is
    2 / 3 / ((M + 1) (n E f(x)^2 + outputs E f'(x)^2)) for x ~ U(-1, 1), of b the same of B, as
    the run shows these functions. baseline: r Xavier uniform, b N(0, 0.1). In all of them c is 1.

    Source: Rigas et al. 2026 (arXiv 2509.03417), section 3; checked in jaxKAN, Spline.py, and
    their notebooks, whose power law has alpha 0.25 and beta 1.75, and whose glorot has the
    standard deviation of x, 1/sqrt(3), for a gain.
    """
    check_number("alpha", alpha, 0, 4)
    check_number("beta", beta, 0, 4)
    terms, limit = "{features} * ({basis} + 1)", "sqrt(6 / ({features} + {units}))"
    base, splines = "weight base, scale base", Case("weight spline", "normal(std=0.1)")
    xavier = Case(base, f"uniform(-{limit}, {limit})")
    means = "({features} * {square} + {units} * {slope})"
    shown = "weight base measured, scale base measured, weight spline measured"
    rows = {
        "power": (
            Case(base, f"normal(std=({terms}) ** -{alpha!r})"),
            Case("weight spline", f"normal(std=({terms}) ** -{beta!r})"),
        ),
        "glorot": (
            Case(shown, f"normal(std=sqrt(2 / 3 / (({{basis}} + 1) * {means})))"),
            xavier,
            splines,
        ),
        "baseline": (xavier, splines),
    }
    check_choice("scheme of kan", scheme, rows)
    exponents = f", {alpha:g}, {beta:g}" if scheme == "power" else ""
    return tabulate(
        f"kan({scheme!r}{exponents})",
        "Rigas et al. 2026 (arXiv 2509.03417), section 3",
        *rows[scheme],
        Case("scale spline", "ones()"),
        notes=_note_unmeasured if scheme == "glorot" else _note_without_splines,
    )


DOMAINS: tuple[Callable[..., Recipe], ...] = (dcgan, dit, ppo, siren, sdf, glow, kan)


def _note_without_modulation(spots: Spots) -> Iterator[str]:
    if "modulation" not in spots.words:
        yield "the run shows no weight that modulates blocks, so that the head alone is zero."


def _note_single_heads(spots: Spots) -> Iterator[str]:
    heads = spots.structure.heads
    single = [head for head in heads if spots.graph.nodes[head].shape[-1] == 1]
    if len(single) > 1 and len(single) == len(heads):
        yield (
            "all heads have one output, as values have: give the policy's orthogonal(0.01) by "
            "overrides=."
        )


def _note_without_coupling(spots: Spots) -> Iterator[str]:
    if "coupling" not in spots.words:
        yield "the run shows no weight whose parts scale and shift other activations."


def _note_without_sines(spots: Spots) -> Iterator[str]:
    if "sine" not in spots.words:
        yield "the run shows no weight whose outputs are read by a sine."


def _note_without_splines(spots: Spots) -> Iterator[str]:
    if "spline" not in spots.words:
        yield "the run shows no sum of functions of each feature beside one of a single function."


def _note_unmeasured(spots: Spots) -> Iterator[str]:
    yield from _note_without_splines(spots)
    names = {node.param.name for node in spots.graph.nodes if node.op == "linear" and node.param}
    words = [spots.find(name).words for name in names]
    if any("spline" in own and "measured" not in own for own in words):
        yield "the run does not show the functions that splines are made of: these are N(0, 0.1)."
