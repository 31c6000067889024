"""Recipes of vision models by name: timm's transformers, and EfficientNet's convolutions."""

from collections.abc import Callable

from fanin._arguments import check_choice
from fanin.recipes._cases import Case, tabulate
from fanin.recipes._recipe import Recipe


def timm_vit(mode: str = "timm") -> Recipe:
    """One of timm's vision transformers: "timm", "moco" or "jax".

    timm: linear weights N(0, 0.02). moco: Xavier uniform, of query, key and value each. jax: the
    same with LeCun normal patches and a head of zeros, whose MLP biases are N(0, 1e-6). In all of
    them positions are N(0, 0.02), the class token N(0, 1e-6), and where nothing is said
    convolutions have torch's default. Bounds of timm's truncated normals, two as such, cut
    nothing.

    Source: checked in timm/models/vision_transformer.py, init_weights_vit_timm, _moco, _jax.
    """
    rows = {
        "timm": (Case("weight kernel", "torch_default()"), Case("weight", "normal(std=0.02)")),
        "moco": (Case("weight kernel", "torch_default()"), Case("weight", "glorot_uniform()")),
        "jax": (
            Case("weight head", "zeros()"),
            Case("weight kernel", "lecun_truncated_normal()"),
            Case("weight", "glorot_uniform()"),
            Case("bias mlp", "normal(std=1e-6)"),
        ),
    }
    check_choice("mode of timm_vit", mode, rows)
    tables = (Case("table token", "normal(std=1e-6)"), Case("table", "normal(std=0.02)"))
    source = "timm, vision_transformer.py"
    return tabulate(f"timm_vit({mode!r})", source, *rows[mode], *tables)


def efficientnet() -> Recipe:
    """Convolutions N(0, sqrt(2 / fan_out)) of one group, dense weights U(+-1/sqrt(out)).

    fan_out is outputs times kernel, whatever the stride; biases start at zero.

    Source: checked in timm, _efficientnet_builder.py, _init_weight_goog, after TensorFlow's
    tpu/models/official/efficientnet.
    """
    return tabulate(
        "efficientnet",
        "timm, _init_weight_goog, after tensorflow/tpu",
        Case("weight kernel", "normal(std=sqrt(2 / {out}))"),
        Case("weight", "uniform(-1 / sqrt({out}), 1 / sqrt({out}))"),
    )


VISION: tuple[Callable[..., Recipe], ...] = (timm_vit, efficientnet)
