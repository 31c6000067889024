"""A second hundred models that fanin had not been tried on when this list was written (2026-11-28).

Chosen before the first run, by name alone, none of the other lists of bench/zoo. timm: of every
module that no other list has, a smallest member where it has fewer than 100 M parameters, and
others that differ in kind from what was tried. transformers: of every modality. docs/zoo.md tells
how they came out at the first try. Those of smaller libraries are in fresh_others.py.
"""

from collections.abc import Callable
from typing import Any

import torch

from bench.zoo import fresh_others as zoo_fresh_others
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
    # Modules that no other list has.
    "cpubone_nano": 224,
    "csatv2": 512,
    "cspnext_tiny": 160,
    "efficientformerv2_s0": 224,
    "efficientvim_m1": 224,
    "hieradet_small": 256,
    "inception_resnet_v2": 160,
    "lcnetv2_small": 160,
    "legacy_xception": 160,
    "naflexvit_base_patch16_gap": 160,
    "nasnetalarge": 160,
    "pnasnet5large": 160,
    "qwen3_vit_88m": 224,
    "rdnet_tiny": 160,
    "repvit_m0_9": 160,
    "samvit_base_patch16_224": 224,
    "starnet_s050": 160,
    "swiftformer_xs": 224,
    "swinv2_cr_tiny_224": 224,
    "vit_relpos_small_patch16_224": 224,
    "vit_tiny_r_s16_p8_224": 224,
    "vitamin_small_224": 224,
    # Others that differ in kind.
    "convnext_zepto_rms": 160,
    "deit_tiny_distilled_patch16_224": 224,
    "dla60_res2net": 160,
    "eca_nfnet_l0": 160,
    "efficientvit_l1": 160,
    "ghostnetv2_100": 160,
    "hgnet_tiny": 160,
    "levit_conv_128s": 224,
    "mobilenetv4_hybrid_medium": 160,
    "nf_regnet_b0": 160,
    "resnetv2_50x1_bit": 160,
    "sebotnet33ts_256": 256,
    "seresnext26d_32x4d": 160,
    "tf_mobilenetv3_small_minimal_100": 160,
    "twins_pcpvt_small": 224,
    "vit_small_patch16_rope_224": 224,
    "vit_tiny_patch16_dinov3_qkvb": 160,
}

_EXPERTS = {**TEXT, "num_key_value_heads": 2, "num_experts": 4, "num_experts_per_tok": 2}
VIDEO = {**TEXT, "image_size": 64, "num_frames": 4}
SOUND = {
    **TEXT,
    "conv_dim": (32, 32, 32),
    "conv_stride": (5, 2, 2),
    "conv_kernel": (10, 3, 3),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
SMALL = {key: TEXT[key] for key in TEXT if key not in ("vocab_size", "max_position_embeddings")}
T5 = {"d_model": 160, "num_layers": 3, "num_heads": 4, "d_kv": 32, "d_ff": 256, "vocab_size": 1000}
_GPT = {"n_embd": 128, "n_layer": 4, "n_head": 4, "vocab_size": 1000, "n_positions": 128}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3_text": ("CausalLM", {**HEADS, "query_pre_attn_scalar": 32, "pad_token_id": 0}),
    "olmoe": ("CausalLM", {**_EXPERTS, "intermediate_size": 64}),
    "qwen2_moe": (
        "CausalLM",
        {**_EXPERTS, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64},
    ),
    "deepseek_v3": (
        "CausalLM",
        {
            **TEXT,
            "num_key_value_heads": 4,
            "moe_intermediate_size": 64,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "q_lora_rank": 64,
            "kv_lora_rank": 32,
            "qk_rope_head_dim": 16,
            "qk_nope_head_dim": 32,
            "v_head_dim": 32,
        },
    ),
    "granitemoe": (
        "CausalLM",
        {**TEXT, "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "mpt": (
        "CausalLM",
        {"d_model": 128, "n_heads": 4, "n_layers": 4, "vocab_size": 1000, "max_seq_len": 64},
    ),
    "gpt_bigcode": ("CausalLM", _GPT),
    "codegen": ("CausalLM", {**_GPT, "n_ctx": 128, "rotary_dim": 16}),
    "persimmon": ("CausalLM", TEXT),
    "jamba": (
        "CausalLM",
        {**_EXPERTS, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1},
    ),
    "falcon_mamba": (
        "CausalLM",
        {"hidden_size": 128, "num_hidden_layers": 4, "vocab_size": 1000, "state_size": 16},
    ),
    "ernie4_5": ("CausalLM", HEADS),
    "glm4": ("CausalLM", {**HEADS, "pad_token_id": 0}),
    "openai-gpt": ("CausalLM", _GPT),
    "xlm-roberta": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "flaubert": ("MaskedLM", {"emb_dim": 160, "n_layers": 4, "n_heads": 4, "n_words": 1000}),
    "eurobert": ("MaskedLM", {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0}),
    "nomic_bert": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "roberta-prelayernorm": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "mt5": ("Seq2SeqLM", T5),
    "longt5": ("Seq2SeqLM", {**T5, "local_radius": 8}),
    "switch_transformers": (
        "Seq2SeqLM",
        {**T5, "num_decoder_layers": 3, "num_experts": 4, "expert_capacity": 64},
    ),
    "blenderbot-small": ("Seq2SeqLM", ENCODER_DECODER),
    "beit": ("ImageClassification", {**PIXELS, "use_relative_position_bias": True}),
    "dinov2_with_registers": (
        "ImageClassification",
        {**TEXT, "image_size": 70, "patch_size": 14},
    ),
    "mobilenet_v2": ("ImageClassification", {"image_size": 96}),
    "pvt": ("ImageClassification", {"image_size": 64, "hidden_sizes": [32, 64, 160, 256]}),
    "resnet": (
        "ImageClassification",
        {"embedding_size": 32, "hidden_sizes": [64, 96, 128, 160], "depths": [2, 2, 2, 2]},
    ),
    "swinv2": ("ImageClassification", {"image_size": 64, "embed_dim": 48, "window_size": 2}),
    "dpt": (
        "DepthEstimation",
        {
            **SMALL,
            "image_size": 64,
            "backbone_out_indices": [0, 1, 2, 3],
            "neck_hidden_sizes": [32, 48, 64, 80],
            "fusion_hidden_size": 32,
        },
    ),
    "videomae": ("VideoClassification", VIDEO),
    "hubert": ("CTC", SOUND),
    "audio-spectrogram-transformer": (
        "AudioClassification",
        {**SMALL, "max_length": 64, "num_mel_bins": 32},
    ),
    "vilt": ("VisualQuestionAnswering", {**PIXELS, "patch_size": 16, "num_images": -1}),
}

# What those read that take neither text nor one image.
_INPUTS: dict[str, Callable[[], dict[str, Any]]] = {
    "dpt": lambda: {"pixel_values": noise(2, 3, 64, 64)},
    "videomae": lambda: {"pixel_values": noise(2, 4, 3, 64, 64)},
    "hubert": lambda: {"input_values": noise(2, 2000)},
    "audio-spectrogram-transformer": lambda: {"input_values": noise(2, 64, 32)},
    "vilt": lambda: {
        "input_ids": torch.randint(5, 1000, (2, 24)),
        "pixel_values": noise(2, 3, 64, 64),
    },
}

# torchvision's builders, what they get, and the shape of one sample.
TORCHVISION: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "convnext_tiny": ({}, (3, 96, 96)),
    "deeplabv3_resnet50": ({"weights_backbone": None}, (3, 96, 96)),
    "inception_v3": ({"init_weights": True, "aux_logits": False}, (3, 160, 160)),
    "maxvit_t": ({}, (3, 224, 224)),
    "mnasnet0_5": ({}, (3, 128, 128)),
    "mobilenet_v3_small": ({}, (3, 128, 128)),
    "r2plus1d_18": ({}, (3, 8, 56, 56)),
    "swin3d_t": ({}, (3, 8, 96, 96)),
    "swin_v2_t": ({}, (3, 128, 128)),
    "vit_b_32": ({}, (3, 224, 224)),
    "wide_resnet50_2": ({}, (3, 96, 96)),
}


LIST = ModelList(TIMM, TRANSFORMERS, TORCHVISION, zoo_fresh_others.MODELS, _INPUTS)
NAMES, build = LIST.names, LIST.build
