"""Recipes of language models by name, each as a table of rows: BERT, T5, Megatron and others."""

import math
from collections.abc import Callable, Iterator

from fanin._arguments import check_choice, check_number
from fanin.recipes._branches import head_factor
from fanin.recipes._cases import Case, tabulate
from fanin.recipes._recipe import Recipe
from fanin.recipes._spots import Spots

STD = 0.02


def bert() -> Recipe:
    """N(0, 0.02) for all weights and tables, cut at two standard deviations; biases zero.

    Source: checked in google-research/bert, modeling.py, create_initializer (initializer_range
    0.02), TensorFlow's truncated_normal_initializer; Devlin et al. 2019 say nothing of it. The
    port in transformers does not cut.
    """
    rule = f"truncated_normal(std={STD})"
    return tabulate("bert", "google-research/bert, modeling.py", Case("weight, table", rule))


def t5() -> Recipe:
    """Queries 1/sqrt(d * size of a head), other weights 1/sqrt(fan_in), embeddings 1.

    The head, where it is no table, 1/sqrt(d) as in Mesh TensorFlow; position biases of attention
    1/sqrt(d). Logits of attention must not be divided by anything, and the logits of a tied head
    are divided by sqrt(d), in the model: a note says where it is not so.

    Source: Raffel et al. 2020 do not give it; checked in _init_weights of transformers'
    modeling_t5.py, a port of mesh_tensorflow/transformer/attention.py. A head that is no table has
    std 1 there, which makes first losses of a hundred.
    """
    return tabulate(
        "t5",
        "transformers, modeling_t5.py, after Mesh TensorFlow",
        Case("weight query", "normal(std=1 / sqrt({in} * {size}))"),
        Case("weight", "normal(std=1 / sqrt({in}))"),
        Case("table relative", "normal(std=1 / sqrt({stream}))"),
        Case("table", "normal(std=1)"),
        notes=_note_logits,
    )


def small_init() -> Recipe:
    """All weights and tables N(0, sqrt(2 / (5 d))), d the width of the model.

    Source: Nguyen & Salazar 2019, section 3.1: the Xavier normal of a matrix d x 4d; checked in
    gpt-neox, init_functions.py, small_init_init_method.
    """
    rule = "normal(std=sqrt(2 / (5 * {stream})))"
    return tabulate("small_init", "Nguyen & Salazar 2019, section 3.1", Case("weight, table", rule))


def wang() -> Recipe:
    """Ends of residual branches N(0, 2 / (L sqrt(d))), all else sqrt(2 / (5 d)), with L layers.

    Source: Wang & Komatsuzaki 2021, mesh-transformer-jax; checked in gpt-neox, init_functions.py,
    wang_init_method, which its configurations pair with small_init. The end of GPT-J's branch is
    one weight behind both attention and MLP; here those of both are.
    """
    return tabulate(
        "wang",
        "mesh-transformer-jax; gpt-neox, init_functions.py",
        Case("weight end", "normal(std=2 / ({layers} * sqrt({stream})))"),
        Case("weight, table", "normal(std=sqrt(2 / (5 * {stream})))"),
    )


def gamma(gamma: float = 0.65) -> Recipe:
    """All weights N(0, d_in**-gamma), with d_in the fan_in; tables d**-gamma, d their width.

    1/2 is LeCun's; above it weights are smaller, the more the wider. Zhang et al. 2024 call this
    the initialization rate: small ones fit by reasoning, large ones by memorizing.

    Source: Zhang et al. 2024, "Initialization is Critical to Whether Transformers Fit Composite
    Functions by Reasoning or Memorizing", section 3. What they do with tables was not found in
    their code; the width is taken, which is the fan_in of the head that a table is tied to.
    """
    check_number("gamma", gamma, 0, 4)
    return tabulate(
        f"gamma({gamma:g})",
        "Zhang et al. 2024, section 3",
        Case("weight", f"normal(std={{in}} ** -{gamma!r})"),
        Case("table", f"normal(std={{width}} ** -{gamma!r})"),
    )


def torchtitan() -> Recipe:
    """N(0, 0.02); what ends a branch, and a gated MLP's other input, 0.02 / sqrt(2 l), layer l.

    Embeddings N(0, 1). The head has 1/sqrt(d), cut at three standard deviations.

    Source: checked in torchtitan/models/llama3/model/model.py, init_weights, with depth_init.
    Its truncated normals of std 0.02 have bounds of 2, a hundred standard deviations: not cut.
    """
    shrunk = f"normal(std={STD} / sqrt(2 * {{layer}}))"
    return tabulate(
        "torchtitan",
        "torchtitan/models/llama3, init_weights",
        Case("weight head", "truncated_normal(std=1 / sqrt({in}), lower=-3, upper=3)"),
        Case("weight end, weight mlp up", shrunk),
        Case("weight", f"normal(std={STD})"),
        Case("table", "normal()"),
    )


def olmo(method: str = "normal") -> Recipe:
    """One of OLMo's three: "normal", "mitchell" or "fan_in".

    normal: all N(0, 0.02), cut at three standard deviations. mitchell: weights 1/sqrt(fan_in),
    those that end a branch 1/sqrt(2 fan_in l) in layer l, tables 1/sqrt(d), cut at three. fan_in:
    weights N(0, 1/sqrt(fan_in)), tables 1/sqrt(d).

    Source: Groeneveld et al. 2024; checked in copies of OLMo's model.py and initialization.py
    (init_fn), and in OLMo-core's nn/transformer/init.py (normal).
    """
    cut = ", lower=-3, upper=3)"
    rows = {
        "normal": (Case("weight, table", f"truncated_normal(std={STD}{cut}"),),
        "mitchell": (
            Case("weight end", f"truncated_normal(std=1 / sqrt(2 * {{in}} * {{layer}}){cut}"),
            Case("weight", f"truncated_normal(std=1 / sqrt({{in}}){cut}"),
            Case("table", f"truncated_normal(std=1 / sqrt({{width}}){cut}"),
        ),
        "fan_in": (
            Case("weight", "normal(std=1 / sqrt({in}))"),
            Case("table", "normal(std=1 / sqrt({width}))"),
        ),
    }
    check_choice("method of olmo", method, rows)
    return tabulate(f"olmo({method!r})", "Groeneveld et al. 2024; OLMo, init_fn", *rows[method])


def megatron() -> Recipe:
    """N(0, 0.02); weights that end a branch 0.02 / sqrt(branches), those of experts, too.

    Source: Shoeybi et al. 2019, section 4.2; checked in Megatron's scaled_init_method_normal:
    sigma / sqrt(branches a layer * layers).
    """
    return tabulate(
        "megatron",
        "Shoeybi et al. 2019, section 4.2",
        Case("weight end", f"normal(std={STD} / sqrt({{branches}}))"),
        Case("weight, table", f"normal(std={STD})"),
    )


def nanochat() -> Recipe:
    """Weights min(1, sqrt(out / in)) / sqrt(in); ends of branches and the head zero; tables 1.

    Source: checked in karpathy/nanochat, nanochat/gpt.py of October 2025, init_weights; the rule
    of weights is Yang et al. 2023 (A Spectral Condition for Feature Learning), section 4.
    """
    return tabulate(
        "nanochat",
        "karpathy/nanochat, gpt.py",
        Case("weight head, weight end", "zeros()"),
        Case("weight", "normal(std=min(1, sqrt({out} / {in})) / sqrt({in}))"),
        Case("table", "normal()"),
    )


def spectral() -> Recipe:
    """Weights whose spectral norm is sqrt(out / in): std sqrt(out / in) / (sqrt(in) + sqrt(out)).

    The norm of a normal matrix is std (sqrt(in) + sqrt(out)) for large ones. Tables have N(0, 1):
    a row is what a one-hot input of norm one gives, and has norm sqrt(d).

    Source: Yang, Simon & Bernstein 2023, condition 1 and section 4.
    """
    rule = "normal(std=sqrt({out} / {in}) / (sqrt({in}) + sqrt({out})))"
    source = "Yang, Simon & Bernstein 2023, condition 1"
    return tabulate("spectral", source, Case("weight", rule), Case("table", "normal()"))


LANGUAGE: tuple[Callable[..., Recipe], ...] = (
    bert,
    t5,
    small_init,
    wang,
    gamma,
    torchtitan,
    olmo,
    megatron,
    nanochat,
    spectral,
)


def _note_logits(spots: Spots) -> Iterator[str]:
    """Where attention divides its logits, as it must not behind small queries."""
    divided = [logits for logits in spots.logits if not math.isclose(logits.factor, 1.0)]
    if divided:
        yield (
            f"attention multiplies its logits by {divided[0].factor:.4g} in the model, and the "
            "queries are as small as if it did not: make that factor 1, or take another recipe."
        )
    for head in spots.structure.heads:
        use = spots.graph.nodes[head].param
        if use is None or "tied" not in spots.find(use.name).words:
            continue
        wanted = spots.find(use.name).numbers.get("stream", 1.0) ** -0.5
        shown = head_factor(spots.structure, use.name)
        if not math.isclose(shown, wanted, rel_tol=1e-2):
            yield (
                f"the head is {use.name}, a table of std 1: the model must multiply what it reads "
                f"by 1/sqrt(d) = {wanted:.4g}, as T5 does; the run shows {shown:g}."
            )
