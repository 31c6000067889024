"""A third hundred models that fanin had not been tried on when this list was written (2026-11-28).

Chosen before the first run, by name alone, none of the other lists of bench/zoo. timm: members
whose attention, norm, activation or stem differs from those of their module that were tried.
transformers: model types of every modality. docs/zoo.md tells how they came out at the first try.
Those of smaller libraries are in fresh_3_others.py.
"""

from collections.abc import Callable
from typing import Any

import torch

from bench.zoo.fresh_2 import SOUND, T5, VIDEO
from bench.zoo.fresh_3_others import MODELS
from bench.zoo.models import (
    ENCODER_DECODER,
    HEADS,
    PIXELS,
    TEXT,
    ModelList,
    noise,
)

# Image sizes that they accept.
TIMM: dict[str, int] = {
    "coat_tiny": 224,
    "coatnet_nano_cc_224": 224,
    "convnext_atto_ols": 160,
    "crossvit_9_dagger_240": 240,
    "cs3edgenet_x": 160,
    "darknetaa53": 160,
    "efficientnet_b0_gn": 160,
    "efficientnet_cc_b0_4e": 160,
    "efficientnet_es": 160,
    "fastvit_sa12": 160,
    "fbnetv3_b": 160,
    "ghostnetv3_050": 160,
    "haloregnetz_b": 224,
    "legacy_seresnext26_32x4d": 160,
    "levit_256d": 224,
    "mobilenetv1_100": 160,
    "mobilenetv4_conv_blur_medium": 160,
    "pit_s_distilled_224": 224,
    "pvt_v2_b2_li": 160,
    "regnetv_040": 160,
    "regnetz_b16": 160,
    "resnet50_clip": 224,
    "resnetv2_50d_frn": 160,
    "resnetv2_50d_gn": 160,
    "swin_s3_tiny_224": 224,
    "vit_dwee_patch16_reg1_gap_256": 256,
    "vit_pwee_patch16_reg1_gap_256": 256,
    "vit_relpos_small_patch16_rpn_224": 224,
    "vit_small_patch16_rope_mixed_224": 224,
    "xception41p": 160,
}

_GROUPED = {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0}
_EXPERTS = {**_GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2}
_STAGES = {"hidden_sizes": [32, 64, 96, 128], "depths": [2, 2, 2, 2]}
_XLM = {"emb_dim": 160, "n_layers": 4, "n_heads": 4, "vocab_size": 1000}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "apertus": ("CausalLM", _GROUPED),
    "arcee": ("CausalLM", _GROUPED),
    "bert-generation": ("CausalLM", {**TEXT, "pad_token_id": 0, "is_decoder": True}),
    "bitnet": ("CausalLM", _GROUPED),
    "ctrl": (
        "CausalLM",
        {"n_embd": 160, "n_layer": 4, "n_head": 4, "dff": 256, "vocab_size": 1000},
    ),
    "deepseek_v2": (
        "CausalLM",
        {
            **TEXT,
            "num_key_value_heads": 4,
            "moe_intermediate_size": 64,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "first_k_dense_replace": 1,
            "q_lora_rank": 64,
            "kv_lora_rank": 32,
            "qk_rope_head_dim": 16,
            "qk_nope_head_dim": 32,
            "v_head_dim": 32,
        },
    ),
    "doge": ("CausalLM", {**_GROUPED, "num_hidden_layers": 3}),
    "ernie4_5_moe": (
        "CausalLM",
        {**_GROUPED, "moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 64},
    ),
    "falcon_h1": (
        "CausalLM",
        {
            **_GROUPED,
            "mamba_d_ssm": 128,
            "mamba_n_heads": 4,
            "mamba_d_head": 32,
            "mamba_d_state": 16,
            "mamba_chunk_size": 16,
        },
    ),
    "gpt_neox_japanese": ("CausalLM", TEXT),
    "granitemoehybrid": (
        "CausalLM",
        {
            **_EXPERTS,
            "shared_intermediate_size": 64,
            "layer_types": ["mamba", "attention"] * 2,
            "mamba_n_heads": 10,
            "mamba_d_head": 32,
            "mamba_d_state": 16,
            "mamba_chunk_size": 16,
        },
    ),
    "hunyuan_v1_dense": ("CausalLM", {**_GROUPED, "head_dim": 32}),
    "llama4_text": ("CausalLM", {**HEADS, "num_local_experts": 4, "intermediate_size_mlp": 256}),
    "minimax": ("CausalLM", {**_EXPERTS, "head_dim": 32, "block_size": 16}),
    "modernbert-decoder": ("CausalLM", {**TEXT, "pad_token_id": 0}),
    "nanochat": ("CausalLM", {**_GROUPED, "num_key_value_heads": 4}),
    "olmo3": ("CausalLM", _GROUPED),
    "phimoe": ("CausalLM", _EXPERTS),
    "seed_oss": ("CausalLM", {**HEADS, "pad_token_id": 0}),
    "vaultgemma": ("CausalLM", {**HEADS, "query_pre_attn_scalar": 32, "pad_token_id": 0}),
    "xglm": (
        "CausalLM",
        {
            "d_model": 160,
            "ffn_dim": 256,
            "num_layers": 4,
            "attention_heads": 4,
            "vocab_size": 1000,
            "max_position_embeddings": 160,
        },
    ),
    "xlstm": (
        "CausalLM",
        {"hidden_size": 128, "num_hidden_layers": 4, "num_heads": 4, "vocab_size": 1000},
    ),
    "data2vec-text": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "layoutlm": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "roc_bert": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "xlm": ("MaskedLM", _XLM),
    "xlm-roberta-xl": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "xmod": ("MaskedLM", {**TEXT, "pad_token_id": 0, "default_language": "en_XX"}),
    "lilt": ("TokenClassification", {**TEXT, "hidden_size": 192, "pad_token_id": 0}),
    "blenderbot": ("Seq2SeqLM", ENCODER_DECODER),
    "mvp": ("Seq2SeqLM", ENCODER_DECODER),
    "plbart": ("Seq2SeqLM", ENCODER_DECODER),
    "umt5": ("Seq2SeqLM", T5),
    "bit": ("ImageClassification", {"embedding_size": 32, **_STAGES, "num_groups": 8}),
    "convnextv2": ("ImageClassification", _STAGES),
    "cvt": ("ImageClassification", {"embed_dim": [32, 64, 96], "num_heads": [1, 2, 3]}),
    "data2vec-vision": ("ImageClassification", {**PIXELS, "use_relative_position_bias": True}),
    "deit": (
        "ImageClassification",
        {**PIXELS, "architectures": ["DeiTForImageClassification"]},
    ),
    "efficientnet": (
        "ImageClassification",
        {"image_size": 96, "width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280},
    ),
    "focalnet": ("ImageClassification", {"image_size": 64, "embed_dim": 48}),
    "hgnet_v2": (
        "ImageClassification",
        {
            "hidden_sizes": [64, 96, 128, 160],
            "stage_in_channels": [48, 64, 96, 128],
            "stage_mid_channels": [32, 32, 48, 64],
            "stage_out_channels": [64, 96, 128, 160],
        },
    ),
    "mobilenet_v1": ("ImageClassification", {"image_size": 96}),
    "mobilevit": ("ImageClassification", {"image_size": 64, "hidden_sizes": [64, 80, 96]}),
    "poolformer": ("ImageClassification", _STAGES),
    "pvt_v2": ("ImageClassification", {"image_size": 64}),
    "glpn": ("DepthEstimation", {}),
    "timesformer": ("VideoClassification", VIDEO),
    "vivit": ("VideoClassification", VIDEO),
    "data2vec-audio": ("CTC", SOUND),
    "sew": ("CTC", {**SOUND, "squeeze_factor": 2}),
    "unispeech-sat": ("CTC", SOUND),
    "wav2vec2-conformer": ("CTC", SOUND),
    "wavlm": ("CTC", SOUND),
    "moonshine": (
        "SpeechSeq2Seq",
        {
            "hidden_size": 160,
            "intermediate_size": 256,
            "vocab_size": 1000,
            "encoder_num_hidden_layers": 3,
            "decoder_num_hidden_layers": 3,
            "encoder_num_attention_heads": 4,
            "decoder_num_attention_heads": 4,
        },
    ),
}


def _image() -> dict[str, Any]:
    return {"pixel_values": noise(2, 3, 64, 64)}


def _sound() -> dict[str, Any]:
    return {"input_values": noise(2, 2000)}


def _video() -> dict[str, Any]:
    return {"pixel_values": noise(2, 4, 3, 64, 64)}


def _boxes() -> dict[str, Any]:
    """Tokens, and where on the page each stands."""
    corners = torch.randint(0, 70, (2, 24, 2))
    return {
        "input_ids": torch.randint(5, 1000, (2, 24)),
        "bbox": torch.cat([corners, corners + 20], dim=-1),
    }


def _speech() -> dict[str, Any]:
    return {
        "input_values": noise(2, 4000),
        "decoder_input_ids": torch.randint(5, 1000, (2, 12)),
    }


# What those read that take neither text alone nor one image.
_INPUTS: dict[str, Callable[[], dict[str, Any]]] = {
    **dict.fromkeys(("data2vec-audio", "sew", "unispeech-sat", "wav2vec2-conformer"), _sound),
    "wavlm": _sound,
    "moonshine": _speech,
    "layoutlm": _boxes,
    "lilt": _boxes,
    "timesformer": _video,
    "vivit": _video,
    **dict.fromkeys(("glpn", "pvt_v2"), _image),
}

# torchvision's builders, what they get, and the shape of one sample.
TORCHVISION: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "deeplabv3_mobilenet_v3_large": ({"weights_backbone": None}, (3, 96, 96)),
    "efficientnet_b0": ({}, (3, 96, 96)),
    "lraspp_mobilenet_v3_large": ({"weights_backbone": None}, (3, 96, 96)),
    "mc3_18": ({}, (3, 8, 56, 56)),
    "mvit_v2_s": ({}, (3, 16, 224, 224)),
    "resnext50_32x4d": ({}, (3, 96, 96)),
}


LIST = ModelList(TIMM, TRANSFORMERS, TORCHVISION, MODELS, _INPUTS)
NAMES, build = LIST.names, LIST.build
