"""A fourth hundred models that fanin had not been tried on when this list was written (2026-11-29).

Chosen before the first run, by name alone, none of the other lists of bench/zoo. timm: members
whose attention, norm, activation, gate or pool differs from those of their module that were tried.
transformers: model types of every modality. docs/zoo.md tells how they came out at the first try.
Those of smaller libraries are in fresh_4_others.py.
"""

from collections.abc import Callable
from typing import Any

import torch

from bench.zoo.fresh_2 import SOUND
from bench.zoo.fresh_4_others import MODELS
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
    "beitv2_base_patch16_224": 224,
    "coat_lite_mini": 224,
    "coatnet_bn_0_rw_224": 224,
    "convnext_nano_ols": 160,
    "cs3se_edgenet_x": 160,
    "darknet21": 160,
    "eca_halonext26ts": 256,
    "ecaresnetlight": 160,
    "efficientnet_b0_g8_gn": 160,
    "efficientnet_blur_b0": 160,
    "efficientnet_lite0": 160,
    "ese_vovnet39b": 160,
    "fastvit_mci0": 160,
    "gcresnext50ts": 160,
    "hgnetv2_b1": 160,
    "lambda_resnet26t": 256,
    "lcnet_100": 160,
    "maxvit_pico_rw_256": 256,
    "mixnet_m": 160,
    "mobilenet_edgetpu_v2_xs": 160,
    "mobilenetv3_large_100": 160,
    "mobilevit_s": 160,
    "mvitv2_small_cls": 224,
    "naflexvit_base_patch16_map": 160,
    "nfnet_l0": 160,
    "regnety_040_sgn": 160,
    "resnest50d_1s4x24d": 160,
    "resnet51q": 160,
    "resnetv2_50d_evos": 160,
    "rexnetr_100": 160,
    "seresnetaa50d": 160,
    "swinv2_cr_tiny_ns_224": 224,
    "tinynet_c": 160,
    "vit_base_patch32_clip_quickgelu_224": 224,
    "vit_srelpos_small_patch16_224": 224,
    "xcit_tiny_12_p8_224": 224,
}

_GROUPED = {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0}
_KEYS = {**HEADS, "pad_token_id": 0}
_EXPERTS = {**_KEYS, "num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2}
_ROUTED = {
    **_KEYS,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 64,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
_LATENT = {
    **_GROUPED,
    "num_key_value_heads": 4,
    "q_lora_rank": 64,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
}
_STATES = {
    "mamba_n_heads": 10,
    "mamba_d_head": 32,
    "mamba_d_state": 16,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 16,
}
_PATCHES = {**PIXELS, "patch_size": 16}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bamba": ("CausalLM", {**_GROUPED, "attn_layer_indices": [1, 3], **_STATES}),
    "cwm": ("CausalLM", _KEYS),
    "flex_olmo": ("CausalLM", {**_GROUPED, "num_experts": 4, "num_experts_per_tok": 2}),
    "gemma3n_text": (
        "CausalLM",
        {
            **_KEYS,
            "vocab_size_per_layer_input": 1000,
            "hidden_size_per_layer_input": 16,
            "num_kv_shared_layers": 0,
            "laurel_rank": 16,
            "altup_num_inputs": 2,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "activation_sparsity_pattern": None,
        },
    ),
    "glm4_moe": ("CausalLM", _ROUTED),
    "granitemoeshared": ("CausalLM", {**_EXPERTS, "shared_intermediate_size": 64}),
    "hunyuan_v1_moe": ("CausalLM", {**_EXPERTS, "moe_topk": 2}),
    "jais2": ("CausalLM", _GROUPED),
    "lfm2_moe": (
        "CausalLM",
        {
            **_GROUPED,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 64,
            "num_dense_layers": 1,
            "layer_types": ["conv", "full_attention"] * 2,
        },
    ),
    "minicpm3": ("CausalLM", _LATENT),
    "minimax_m2": ("CausalLM", _EXPERTS),
    "ministral": ("CausalLM", _KEYS),
    "olmo_hybrid": (
        "CausalLM",
        {
            **_GROUPED,
            "layer_types": ["linear_attention", "full_attention"] * 2,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
        },
    ),
    "qwen3_5_text": (
        "CausalLM",
        {
            **_KEYS,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
        },
    ),
    "rembert": (
        "CausalLM",
        {**TEXT, "pad_token_id": 0, "input_embedding_size": 64, "output_embedding_size": 128},
    ),
    "solar_open": ("CausalLM", _ROUTED),
    "youtu": ("CausalLM", _LATENT),
    "gte": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "ibert": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "jina_embeddings_v3": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "luke": ("MaskedLM", {**TEXT, "pad_token_id": 0, "entity_vocab_size": 50}),
    "megatron-bert": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "mobilebert": (
        "MaskedLM",
        {
            **TEXT,
            "pad_token_id": 0,
            "embedding_size": 64,
            "intra_bottleneck_size": 64,
            "true_hidden_size": 64,
        },
    ),
    "yoso": ("MaskedLM", {**TEXT, "pad_token_id": 0, "use_expectation": True}),
    "canine": ("SequenceClassification", {**TEXT, "pad_token_id": 0}),
    "fsmt": (
        "Seq2SeqLM",
        {**ENCODER_DECODER, "src_vocab_size": 1000, "tgt_vocab_size": 1000},
    ),
    "nllb-moe": (
        "Seq2SeqLM",
        {
            **ENCODER_DECODER,
            "num_experts": 4,
            "expert_capacity": 64,
            "encoder_sparse_step": 2,
            "decoder_sparse_step": 2,
        },
    ),
    "pegasus_x": ("Seq2SeqLM", {**ENCODER_DECODER, "block_size": 8, "num_global_tokens": 8}),
    "donut-swin": ("ImageClassification", {"image_size": 64, "embed_dim": 48, "window_size": 2}),
    "ijepa": ("ImageClassification", _PATCHES),
    "hiera": ("ImageClassification", {"embed_dim": 48}),
    "mobilevitv2": ("ImageClassification", {"image_size": 64, "width_multiplier": 0.5}),
    "pp_lcnet": ("ImageClassification", {}),
    "swiftformer": (
        "ImageClassification",
        {"depths": [2, 2, 2, 2], "embed_dims": [32, 48, 64, 96]},
    ),
    "textnet": ("ImageClassification", {}),
    "parakeet_ctc": (
        "CTC",
        {
            "vocab_size": 1000,
            "encoder_config": {
                "hidden_size": 160,
                "intermediate_size": 256,
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "num_key_value_heads": 4,
                "subsampling_conv_channels": 32,
            },
        },
    ),
    "sew-d": ("CTC", {**SOUND, "squeeze_factor": 2}),
    "unispeech": ("CTC", SOUND),
    "wav2vec2": ("CTC", SOUND),
    "wav2vec2-bert": (
        "CTC",
        {**TEXT, "feature_projection_input_dim": 80, "conv_depthwise_kernel_size": 15},
    ),
    "whisper": (
        "SpeechSeq2Seq",
        {
            **ENCODER_DECODER,
            "num_mel_bins": 32,
            "max_source_positions": 50,
            "max_target_positions": 32,
            "pad_token_id": 0,
        },
    ),
    "depth_anything": ("DepthEstimation", {}),
    "vjepa2": (
        "VideoClassification",
        {
            "crop_size": 64,
            "frames_per_clip": 4,
            "hidden_size": 160,
            "num_attention_heads": 4,
            "num_hidden_layers": 4,
            "pred_hidden_size": 96,
            "pred_num_attention_heads": 4,
            "pred_num_hidden_layers": 2,
        },
    ),
}


def _pixels(size: int) -> Callable[[], dict[str, Any]]:
    return lambda: {"pixel_values": noise(2, 3, size, size)}


def _sound() -> dict[str, Any]:
    return {"input_values": noise(2, 2000)}


def _tokens() -> dict[str, Any]:
    return {"input_ids": torch.randint(5, 1000, (2, 24))}


# What those read that take neither text alone nor one image.
_INPUTS: dict[str, Callable[[], dict[str, Any]]] = {
    **dict.fromkeys(("sew-d", "unispeech", "wav2vec2"), _sound),
    "canine": _tokens,
    "depth_anything": _pixels(70),
    "hiera": _pixels(224),
    "parakeet_ctc": lambda: {"input_features": noise(2, 64, 80)},
    "pp_lcnet": _pixels(96),
    "swiftformer": _pixels(96),
    "textnet": _pixels(96),
    "vjepa2": lambda: {"pixel_values_videos": noise(2, 4, 3, 64, 64)},
    "wav2vec2-bert": lambda: {"input_features": noise(2, 64, 80)},
    "whisper": lambda: {
        "input_features": noise(2, 32, 100),
        "decoder_input_ids": torch.randint(5, 1000, (2, 12)),
    },
}

# torchvision's builders, what they get, and the shape of one sample.
TORCHVISION: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "densenet121": ({}, (3, 96, 96)),
    "mnasnet1_0": ({}, (3, 96, 96)),
    "mobilenet_v3_large": ({}, (3, 96, 96)),
    "regnet_x_400mf": ({}, (3, 96, 96)),
    "resnet34": ({}, (3, 96, 96)),
    "shufflenet_v2_x1_0": ({}, (3, 96, 96)),
    "squeezenet1_0": ({}, (3, 128, 128)),
    "swin_t": ({}, (3, 96, 96)),
}

LIST = ModelList(TIMM, TRANSFORMERS, TORCHVISION, MODELS, _INPUTS)
NAMES, build = LIST.names, LIST.build
