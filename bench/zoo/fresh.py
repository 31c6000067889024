"""A hundred models that fanin had not been tried on when this list was written (2026-11-28).

Chosen before the first run, by name alone: one each of many families of timm, transformers and
torchvision, none of bench/zoo/models.py. docs/zoo.md tells how they came out at the first try.
"""

from typing import Any

from bench.zoo.models import (
    ENCODER_DECODER,
    HEADS,
    PIXELS,
    TEXT,
    ModelList,
)

# Smallest or nearly smallest members of their families, and image sizes that they accept.
TIMM: dict[str, int] = {
    "bat_resnext26ts": 256,
    "caformer_s18": 160,
    "coatnext_nano_rw_224": 224,
    "convformer_s18": 160,
    "cs3darknet_focus_l": 160,
    "cs3sedarknet_l": 160,
    "cspdarknet53": 160,
    "cspresnext50": 160,
    "darknet53": 160,
    "densenetblur121d": 160,
    "dla46x_c": 160,
    "eca_botnext26ts_256": 256,
    "ecaresnet26t": 160,
    "ecaresnext26t_32x4d": 160,
    "tf_efficientnetv2_b0": 160,
    "efficientvit_b0": 160,
    "efficientvit_m0": 224,
    "ese_vovnet19b_dw": 160,
    "eva02_tiny_patch14_224": 224,
    "fasternet_t0": 160,
    "fbnetc_100": 160,
    "flexivit_small": 240,
    "gc_efficientnetv2_rw_t": 160,
    "gcresnext26ts": 160,
    "gcvit_xxtiny": 224,
    "gmixer_12_224": 224,
    "halonet26t": 256,
    "hardcorenas_a": 160,
    "hgnetv2_b0": 160,
    "hiera_tiny_224": 224,
    "iformer_t": 224,
    "inception_next_atto": 160,
    "inception_v4": 299,
    "lambda_resnet26rpt_256": 256,
    "lcnet_050": 160,
    "legacy_seresnet18": 160,
    "lowformer_b0": 160,
    "mambaout_femto": 160,
    "maxxvit_rmlp_nano_rw_256": 256,
    "mixnet_s": 160,
    "mobilenet_edgetpu_100": 160,
    "mobilenetv4_conv_small": 160,
    "mobileone_s0": 160,
    "mobilevitv2_050": 160,
    "mvitv2_tiny": 224,
    "nextvit_small": 160,
    "nf_seresnet26": 160,
    "poolformerv2_s12": 160,
    "regnetz_005": 160,
    "repghostnet_050": 160,
    "resnetaa34d": 160,
    "resnetblur18": 160,
    "resnetrs50": 160,
    "selecsls42b": 160,
    "semnasnet_075": 160,
    "shvit_s1": 224,
    "skresnet18": 160,
    "tiny_vit_5m_224": 224,
    "tnt_s_patch16_224": 224,
    "vovnet39a": 160,
}

# Eight samples where batch normalization sees one value a sample.
_BATCHES = dict.fromkeys(
    ("efficientvit_m0", "iformer_t", "mobilenetv4_conv_small", "shvit_s1", "skresnet18"), 8
)

TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "starcoder2": ("CausalLM", {**TEXT, "num_key_value_heads": 2}),
    "granite": ("CausalLM", {**TEXT, "num_key_value_heads": 2}),
    "olmo": ("CausalLM", {**TEXT, "num_key_value_heads": 2}),
    "gemma": ("CausalLM", HEADS),
    "phi3": ("CausalLM", {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0}),
    "qwen3_moe": (
        "CausalLM",
        {**HEADS, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64},
    ),
    "nemotron": ("CausalLM", {**TEXT, "num_key_value_heads": 2}),
    "glm": ("CausalLM", {**HEADS, "pad_token_id": 0}),
    "helium": ("CausalLM", {**HEADS, "head_dim": 40}),
    "biogpt": ("CausalLM", TEXT),
    "smollm3": ("CausalLM", {**HEADS, "pad_token_id": 0}),
    "exaone4": ("CausalLM", HEADS),
    "lfm2": ("CausalLM", {**TEXT, "num_key_value_heads": 2}),
    "gpt_oss": (
        "CausalLM",
        {**HEADS, "num_local_experts": 4, "num_experts_per_tok": 2, "pad_token_id": 0},
    ),
    "mamba2": (
        "CausalLM",
        {
            "hidden_size": 128,
            "num_hidden_layers": 4,
            "vocab_size": 1000,
            "num_heads": 8,
            "head_dim": 32,
            "n_groups": 2,
            "state_size": 16,
        },
    ),
    "camembert": ("MaskedLM", TEXT),
    "convbert": ("MaskedLM", {**TEXT, "embedding_size": 64}),
    "deberta": ("MaskedLM", TEXT),
    "ernie": ("MaskedLM", TEXT),
    "esm": ("MaskedLM", {**TEXT, "pad_token_id": 0, "mask_token_id": 4}),
    "mpnet": ("MaskedLM", TEXT),
    "squeezebert": ("MaskedLM", {**TEXT, "embedding_size": 160}),
    "nystromformer": ("MaskedLM", {**TEXT, "num_landmarks": 4, "segment_means_seq_len": 24}),
    "fnet": ("MaskedLM", TEXT),
    "mbart": ("Seq2SeqLM", ENCODER_DECODER),
    "m2m_100": ("Seq2SeqLM", ENCODER_DECODER),
    "swin": ("ImageClassification", {"image_size": 64, "embed_dim": 48, "window_size": 2}),
    "segformer": (
        "ImageClassification",
        {"hidden_sizes": [16, 32, 80, 128], "decoder_hidden_size": 64},
    ),
    "vit_msn": ("ImageClassification", PIXELS),
    "regnet": (
        "ImageClassification",
        {
            "embedding_size": 32,
            "hidden_sizes": [32, 64, 96, 128],
            "depths": [1, 1, 2, 1],
            "groups_width": 16,
        },
    ),
}

# torchvision's builders, what they get, and the shape of one sample.
TORCHVISION: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "alexnet": ({}, (3, 128, 128)),
    "efficientnet_v2_s": ({}, (3, 96, 96)),
    "fcn_resnet50": ({"weights_backbone": None}, (3, 96, 96)),
    "googlenet": ({"init_weights": True, "aux_logits": False}, (3, 128, 128)),
    "r3d_18": ({}, (3, 8, 56, 56)),
    "regnet_y_400mf": ({}, (3, 128, 128)),
    "s3d": ({}, (3, 16, 224, 224)),
    "shufflenet_v2_x0_5": ({}, (3, 128, 128)),
    "squeezenet1_1": ({}, (3, 128, 128)),
    "vgg11_bn": ({}, (3, 64, 64)),
}


LIST = ModelList(TIMM, TRANSFORMERS, TORCHVISION, batches=_BATCHES)
NAMES, build = LIST.names, LIST.build
