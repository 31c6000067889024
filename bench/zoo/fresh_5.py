"""A fifth hundred models that fanin had not been tried on when this list was written (2026-11-29).

Nobody chose them: names that no other list of bench/zoo has, in the order of their SHA-256. Of
transformers all model types for causal and masked language models, translation and images that
build and run with the options below and have at most 12 M parameters; of torchvision the first
twelve with at most 40 M; of timm as many as the hundred has left, with at most 40 M, on images of
at most 288 pixels. docs/zoo.md tells how they came out at the first try.
"""

from typing import Any

from bench.zoo.models import HEADS, ModelList

# Image sizes that they accept.
TIMM: dict[str, int] = {
    "cpubone_b1_dwnorm": 160,
    "vit_xsmall_patch16_clip_224": 224,
    "efficientformerv2_s1": 224,
    "levit_conv_384_s8": 224,
    "efficientnet_b0_g16_evos": 160,
    "semnasnet_050": 160,
    "dpn48b": 160,
    "efficientnet_b3_g8_gn": 160,
    "convnext_atto_rms": 160,
    "levit_192": 224,
    "nf_resnet50": 160,
    "maxxvit_rmlp_tiny_rw_256": 256,
    "cs3darknet_m": 160,
    "efficientnetv2_rw_t": 160,
    "convnextv2_pico": 160,
    "ese_vovnet57b": 160,
    "levit_384": 224,
    "mobilenet_edgetpu_v2_s": 160,
    "mobilenet_edgetpu_v2_l": 160,
    "fastvit_mci2": 160,
    "poolformerv2_s36": 160,
    "repghostnet_080": 160,
    "pit_xs_distilled_224": 224,
    "res2net50d": 160,
    "gcresnet33ts": 160,
    "ecaresnet50d": 160,
    "resnet50_clip_gap": 160,
    "selecsls60": 160,
    "mobilenetv3_large_150d": 160,
    "hardcorenas_c": 160,
    "dla60x": 160,
    "skresnet50d": 160,
    "test_byobnet": 160,
    "resnetv2_50t": 160,
    "efficientnet_b1": 160,
    "ghostnetv3_160": 160,
    "deit3_medium_patch16_224": 224,
    "shvit_s2": 160,
    "regnetx_032": 160,
    "tnt_s_legacy_patch16_224": 224,
    "mobilevitv2_075": 160,
    "sam2_hiera_small": 160,
    "iformer_l": 160,
    "mobilenetv3_rw": 160,
    "repvgg_a2": 160,
    "crossvit_9_240": 240,
    "repvgg_a1": 160,
    "mobilenetv1_100h": 160,
    "resnet34d": 160,
    "xcit_tiny_12_p16_224": 224,
    "convnext_femto_ols": 160,
    "cpubone_b1_bfrobust": 160,
    "lowformer_b15": 160,
    "mixnet_l": 160,
    "repvit_m1_0": 160,
    "efficientvim_m4": 160,
    "vit_dlittle_patch16_reg1_gap_256": 256,
    "coatnet_nano_rw_224": 224,
}

# Batch normalization of pooled activations, with one value for each sample, wants more than two.
_EIGHT = ("levit", "rexnet", "efficientvit_m", "iformer", "mobilenetv4", "shvit", "skresnet")
_BATCHES = {name: 8 for name in TIMM if name.startswith(_EIGHT)}

_CAUSAL = {
    **HEADS,
    "pad_token_id": 0,
    "num_local_experts": 4,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 64,
}
_MASKED = {**HEADS, "pad_token_id": 0}
_TYPES: dict[str, tuple[str, ...]] = {
    "CausalLM": (
        "flint",
        "gpt-sw3",
        "afmoe",
        "hrm_text",
        "minimax_m3_vl_text",
        "trocr",
        "hyperclovax",
        "qwen3_5_moe_text",
        "laguna",
        "mellum",
        "mimo_v2_flash",
        "cohere2_moe",
        "iquestcoder",
        "fuyu",
        "lfm3",
        "granite_swa",
        "internlm3",
        "gemma4_unified_text",
        "hy_v3",
        "kolibri1",
        "granitemoe_swa",
        "ministral3",
        "aria_text",
        "exaone_moe",
        "big_bird",
        "nemotron_h",
    ),
    "MaskedLM": ("ultrabert", "neomme", "mra", "tapas"),
}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (task, _CAUSAL if task == "CausalLM" else _MASKED)
    for task, names in _TYPES.items()
    for name in names
}

# torchvision's builders, what they get, and the shape of one sample.
TORCHVISION: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    name: ({}, (3, 96, 96))
    for name in (
        "efficientnet_b1",
        "efficientnet_b2",
        "densenet161",
        "efficientnet_b4",
        "resnet18",
        "shufflenet_v2_x1_5",
        "regnet_y_1_6gf",
        "mnasnet0_75",
        "efficientnet_b5",
        "regnet_x_8gf",
        "resnet50",
        "regnet_x_3_2gf",
    )
}

LIST = ModelList(TIMM, TRANSFORMERS, TORCHVISION, batches=_BATCHES)
NAMES, build = LIST.names, LIST.build
