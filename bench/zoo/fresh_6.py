"""A sixth hundred models that fanin had not been tried on when this list was written (2026-11-30).

Of every module of timm that has one left, of at most 45 M parameters and 288 pixels, the untried
model with the most sets of weights, which says how much it is used; of torchvision the first 16 of
at most 60 M in the order of their SHA-256; of transformers types whose class takes text or images
and that build as small as below. docs/zoo.md tells how they came out at the first try.
"""

from typing import Any

from bench.zoo.models import ENCODER_DECODER, HEADS, TEXT, ModelList

# Image sizes that they accept.
TIMM: dict[str, int] = {
    "convnext_tiny": 160,
    "resnet34": 160,
    "mobilenetv4_conv_medium": 160,
    "caformer_s36": 160,
    "tf_efficientnet_b2": 160,
    "nextvit_base": 160,
    "vit_small_patch16_224": 224,
    "hiera_small_abswin_256": 256,
    "resmlp_24_224": 224,
    "mobilevitv2_150": 160,
    "tiny_vit_11m_224": 160,
    "efficientvit_b2": 160,
    "regnety_032": 160,
    "hgnetv2_b5": 160,
    "lcnetv2_base": 160,
    "fastvit_ma36": 160,
    "repvit_m1_5": 160,
    "xcit_nano_12_p8_224": 224,
    "rexnetr_200": 160,
    "hrnet_w18": 160,
    "dpn68b": 160,
    "resnet101_clip_gap": 160,
    "resnetv2_34d": 160,
    "coatnet_rmlp_1_rw2_224": 224,
    "vit_small_patch16_dinov3_qkvb": 256,
    "edgenext_base": 160,
    "vit_small_r26_s32_224": 224,
    "efficientvim_m3": 160,
    "dla102x2": 160,
    "lowformer_e3": 160,
    "efficientvit_m3": 224,
    "cpubone_b2pt5_dwnorm": 160,
    "gcvit_xtiny": 224,
    "coat_lite_medium": 224,
    "deit_small_patch16_224": 224,
    "legacy_seresnext50_32x4d": 160,
    "swiftformer_l3": 224,
    "vit_relpos_medium_patch16_rpn_224": 224,
    "hardcorenas_d": 160,
    "cspnext_l": 160,
    "repghostnet_058": 160,
    "lamhalobotnet50ts_256": 256,
    "densenet161": 160,
    "shvit_s3": 160,
    "fasternet_t1": 160,
    "crossvit_15_dagger_240": 240,
    "res2next50": 160,
    "resnest50d": 160,
    "inception_next_tiny": 160,
    "ghostnetv2_130": 160,
    "levit_128": 224,
    "pvt_v2_b2": 160,
    "visformer_small": 224,
    "pit_xs_224": 224,
    "swinv2_tiny_window16_256": 256,
    "focalnet_tiny_lrf": 160,
    "cait_xxs36_224": 224,
    "iformer_l2_distilled": 160,
    "starnet_s2": 160,
    "cs3darknet_l": 160,
    "twins_pcpvt_base": 224,
    "sequencer2d_m": 224,
    "test_nfnet": 160,
    "efficientformer_l3": 224,
    "skresnet34": 160,
    "convmixer_1024_20_ks9_p14": 160,
    "mambaout_tiny": 160,
    "efficientformerv2_s2": 224,
    "selecsls60b": 160,
    "convit_small": 224,
    "nest_small_jx": 224,
    "mvitv2_small": 224,
}

# Batch normalization of pooled activations, with one value for each sample, wants more than two.
_EIGHT = ("levit", "rexnet", "efficientvit_m", "iformer", "mobilenetv4", "shvit", "skresnet")
_BATCHES = {name: 8 for name in TIMM if name.startswith((*_EIGHT, "resnest", "hardcorenas"))}

_PATCHES = {
    "hidden_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "image_size": 64,
    "patch_size": 8,
}
_TEXT = {**HEADS, "pad_token_id": 0}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bigbird_pegasus": ("Seq2SeqLM", {**ENCODER_DECODER, "attention_type": "original_full"}),
    "prophetnet": (
        "Seq2SeqLM",
        {
            "hidden_size": 160,
            "num_encoder_layers": 3,
            "num_decoder_layers": 3,
            "num_encoder_attention_heads": 4,
            "num_decoder_attention_heads": 4,
            "encoder_ffn_dim": 256,
            "decoder_ffn_dim": 256,
            "vocab_size": 1000,
            "max_position_embeddings": 160,
        },
    ),
    "t5gemma": ("Seq2SeqLM", {"encoder": HEADS, "decoder": HEADS, "vocab_size": 1000}),
    "clip": ("ImageClassification", {"vision_config": _PATCHES}),
    "siglip": ("ImageClassification", {"vision_config": _PATCHES}),
    "metaclip_2": ("ImageClassification", {"vision_config": _PATCHES}),
    "esmc": ("MaskedLM", TEXT),
    "modernvbert": (
        "MaskedLM",
        {"text_config": {**TEXT, "pad_token_id": 0}, "vision_config": _PATCHES},
    ),
    "gemma3": ("CausalLM", {"text_config": _TEXT, "vision_config": _PATCHES}),
    "git": ("CausalLM", {**TEXT, "vision_config": _PATCHES}),
    "markuplm": ("SequenceClassification", TEXT),
    "splinter": ("QuestionAnswering", TEXT),
}

# torchvision's builders, what they get, and the shape of one sample.
TORCHVISION: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    name: ({}, (3, 96, 96))
    for name in (
        "efficientnet_b6",
        "convnext_small",
        "efficientnet_v2_m",
        "swin_v2_s",
        "resnet101",
        "densenet169",
        "regnet_y_3_2gf",
        "swin_s",
        "densenet201",
        "shufflenet_v2_x2_0",
        "regnet_y_8gf",
        "regnet_x_1_6gf",
        "efficientnet_b3",
        "regnet_x_800mf",
        "mnasnet1_3",
        "regnet_y_800mf",
    )
}

LIST = ModelList(TIMM, TRANSFORMERS, TORCHVISION, batches=_BATCHES)
NAMES, build = LIST.names, LIST.build
