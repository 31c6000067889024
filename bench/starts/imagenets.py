"""Forty architectures of timm: published ones of all kinds, cut to a few blocks and channels.

Each row is the name of a model of timm, or a class, and what is changed of it. Images are of 32
pixels, with one channel, of ten classes.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

import bench.zoo.torchvision_ops  # noqa: F401  (before timm)
from fanin._imported import import_object

COMMON = {"in_chans": 1, "num_classes": 10}
_PATCHES = {"img_size": 32, "patch_size": 8}
_VIT = {**_PATCHES, "embed_dim": 48, "depth": 3, "num_heads": 3}
_MIXER = {**_PATCHES, "embed_dim": 48, "num_blocks": 3}
_STAGES = {"depths": (1, 1, 1, 1), "dims": (16, 24, 32, 48)}
_RESNET = {"layers": (1, 1, 1, 1), "channels": (8, 12, 16, 24), "stem_width": 8, "stem_type": ""}
_PYRAMID = {"depths": (1, 1, 1, 1), "embed_dims": (16, 24, 32, 48), "num_heads": (1, 1, 2, 2)}
_WINDOWS = {**_PATCHES, "patch_size": 4, "embed_dim": 24, "num_heads": (2, 4), "window_size": 4}

_REGNET = {"depth": 4, "w0": 16, "wa": 24.0, "wm": 1.5, "group_size": 8}

ROWS: dict[str, tuple[str, Mapping[str, Any]]] = {
    # convolutions and residual streams
    "resnet18": ("resnet18", {**_RESNET, "channels": (16, 24, 32, 48)}),
    "resnet26": ("resnet26", _RESNET),
    "resnetv2_50": ("resnetv2_50", {"layers": (1, 1, 1), "channels": (24, 32, 48), "stem_chs": 16}),
    "resnext50_32x4d": ("resnext50_32x4d", {**_RESNET, "cardinality": 4, "base_width": 32}),
    "seresnet18": ("seresnet18", {**_RESNET, "channels": (16, 24, 32, 48)}),
    "skresnet18": ("skresnet18", {**_RESNET, "channels": (16, 16, 32, 32)}),
    "resnest14d": ("resnest14d", {**_RESNET, "channels": (8, 8, 16, 16)}),
    "densenet121": ("densenet121", {"growth_rate": 8, "block_config": (2, 2, 2)}),
    "regnetx_002": ("regnetx_002", _REGNET),
    "regnety_002": ("regnety_002", _REGNET),
    "repvgg_a0": ("bench.starts.imagenets:repvgg", {"widths": (16, 24, 32, 48)}),
    "nf_resnet26": (
        "nf_resnet26",
        {"depths": (1, 1, 1, 1), "channels": (32, 48, 64, 96), "stem_chs": 16},
    ),
    "mobilenetv2": (
        "timm.models.efficientnet:_gen_mobilenet_v2",
        {"variant": "mobilenetv2_035", "channel_multiplier": 0.25, "depth_multiplier": 0.1},
    ),
    "mobilenetv3": (
        "timm.models.mobilenetv3:_gen_mobilenet_v3",
        {"variant": "mobilenetv3_small_050", "channel_multiplier": 0.25, "depth_multiplier": 0.1},
    ),
    "convnext_atto": ("convnext_atto", {**_STAGES, "patch_size": 2}),
    "convnextv2_atto": ("convnextv2_atto", {**_STAGES, "patch_size": 2}),
    "convmixer": (
        "timm.models.convmixer:ConvMixer",
        {"dim": 32, "depth": 3, "kernel_size": 5, "patch_size": 4},
    ),
    "mambaout_femto": ("mambaout_femto", _STAGES),
    "inception_next": ("inception_next_atto", _STAGES),
    "starnet_s1": ("starnet_s1", {"base_dim": 8, "depths": (1, 1, 1)}),
    "ghostnet": (
        "timm.models.ghostnet:GhostNet",
        {"cfgs": [[[3, 16, 16, 0, 1]], [[3, 48, 24, 0, 2]], [[5, 72, 40, 0.25, 2]]], "width": 0.5},
    ),
    # attention
    "vit_tiny": ("vit_tiny_patch16_224", _VIT),
    "deit3_small": ("deit3_small_patch16_224", _VIT),
    "vit_relpos": ("vit_relpos_small_patch16_224", _VIT),
    "beit_base": ("beit_base_patch16_224", _VIT),
    "eva02_tiny": ("eva02_tiny_patch14_224", _VIT),
    "cait_xxs24": ("cait_xxs24_224", {**_VIT, "depth": 2}),
    "xcit_nano": ("xcit_nano_12_p16_224", {**_VIT, "embed_dim": 32, "num_heads": 2, "depth": 2}),
    "swin_tiny": ("swin_tiny_patch4_window7_224", {**_WINDOWS, "depths": (2, 1)}),
    "swinv2_tiny": ("swinv2_tiny_window8_256", {**_WINDOWS, "depths": (1, 1)}),
    "pvt_v2_b0": ("pvt_v2_b0", _PYRAMID),
    "twins_svt": ("twins_svt_small", {**_PYRAMID, "img_size": 32, "wss": (4, 4, 4, 4)}),
    "levit_128s": (
        "levit_128s",
        {
            "img_size": 32,
            "embed_dim": (32, 48, 64),
            "key_dim": 8,
            "num_heads": (2, 3, 4),
            "depth": (1, 1, 1),
        },
    ),
    "visformer_tiny": (
        "visformer_tiny",
        {"img_size": 32, "init_channels": 8, "embed_dim": 48, "depth": (1, 1, 1), "num_heads": 3},
    ),
    "convit_tiny": ("convit_tiny", {**_VIT, "embed_dim": 12, "num_heads": 4}),
    "caformer": (
        "timm.models.metaformer:_create_metaformer",
        {"variant": "caformer_s18", **_STAGES, "dims": (16, 32, 32, 64)},
    ),
    # mixers of positions
    "poolformer_s12": (
        "timm.models.metaformer:_create_metaformer",
        {"variant": "poolformer_s12", **_STAGES},
    ),
    "mixer_s32": ("timm.models.mlp_mixer:_create_mixer", {"variant": "mixer_s32_224", **_MIXER}),
    "resmlp_12": (
        "timm.models.mlp_mixer:MlpMixer",
        {
            **_MIXER,
            "mlp_ratio": 4,
            "block_layer": "timm.models.mlp_mixer:ResBlock",
            "norm_layer": "timm.models.mlp_mixer:Affine",
        },
    ),
    "gmlp_ti16": (
        "timm.models.mlp_mixer:MlpMixer",
        {
            **_MIXER,
            "mlp_ratio": 4,
            "block_layer": "timm.models.mlp_mixer:SpatialGatingBlock",
            "mlp_layer": "timm.layers:GatedMlp",
        },
    ),
}
BATCH_NORMALIZED = frozenset(
    [
        "resnet18",
        "resnet26",
        "resnetv2_50",
        "resnext50_32x4d",
        "seresnet18",
        "skresnet18",
        "resnest14d",
        "densenet121",
        "regnetx_002",
        "regnety_002",
        "repvgg_a0",
        "mobilenetv2",
        "mobilenetv3",
        "convmixer",
        "inception_next",
        "starnet_s1",
        "ghostnet",
        "xcit_nano",
        "levit_128s",
        "visformer_tiny",
    ]
)  # a batch of fewer than 16 images would be too few for their statistics


def build(row: str) -> nn.Module:
    """The architecture of a row, as its constructor draws it."""
    import timm

    factory, options = ROWS[row]
    named = {key: _resolve(value) for key, value in options.items()}
    if ":" not in factory:
        return timm.create_model(factory, **COMMON, **named)
    return import_object(factory, "factory")(**COMMON, **named)


def repvgg(widths: tuple[int, ...], **options: Any) -> nn.Module:
    """Four stages of one block, whose three branches fold into one convolution."""
    import timm
    from timm.models.byobnet import ByoBlockCfg

    blocks = tuple(ByoBlockCfg(type="rep", d=1, c=width, s=2, gs=0) for width in widths)
    return timm.create_model("repvgg_a0", blocks=blocks, stem_chs=16, **options)


def _resolve(value: Any) -> Any:
    return import_object(value, "option") if isinstance(value, str) and ":" in value else value
