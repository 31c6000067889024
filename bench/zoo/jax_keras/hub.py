"""Backbones of keras_hub, small, from configuration: no preset is loaded."""

from functools import partial
from typing import Any

import keras
import keras_hub
import numpy as np

from bench.zoo.jax_keras.models import SAMPLES, KerasModel, noise, tokens

VOCABULARY, LENGTH, SIDE, SOUND = 500, 24, 32, 8000

_SIZES: dict[str, Any] = {"vocabulary_size": VOCABULARY, "num_layers": 4}
_HEADS = _SIZES | {"num_heads": 4, "hidden_dim": 128, "intermediate_dim": 512}
_GROUPED = _SIZES | {
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 128,
    "intermediate_dim": 256,
}
_PLACES = {"max_sequence_length": LENGTH}
_PATCHES: dict[str, Any] = {
    "image_shape": (SIDE, SIDE, 3),
    "patch_size": 4,
    "num_layers": 4,
    "num_heads": 4,
    "hidden_dim": 128,
}
_MOE = {"num_experts": 4, "top_k": 2}

BACKBONES: dict[str, dict[str, Any]] = {
    "Albert": _HEADS | _PLACES | {"embedding_dim": 64},
    "Bart": _HEADS | _PLACES,
    "Bert": _HEADS | _PLACES,
    "Bloom": _HEADS,
    "DebertaV3": _HEADS | _PLACES | {"bucket_size": 8},
    "DistilBert": _HEADS | _PLACES,
    "Electra": {key: size for key, size in _HEADS.items() if key != "vocabulary_size"}
    | {"vocab_size": VOCABULARY, "embedding_dim": 64}
    | _PLACES,
    "ESM": _HEADS,
    "FNet": {key: size for key, size in _HEADS.items() if key != "num_heads"} | _PLACES,
    "Falcon": {key: size for key, size in _HEADS.items() if key != "num_heads"}
    | {"num_attention_heads": 4},
    "GPT2": _HEADS | _PLACES,
    "GPTNeoX": _HEADS | _PLACES,
    "Gemma": _GROUPED | {"head_dim": 32},
    "Gemma3": _GROUPED | {"head_dim": 32, "image_size": SIDE, "use_post_ffw_norm": True},
    "GptOss": _GROUPED | _MOE,
    "Llama3": _GROUPED,
    "Mistral": _GROUPED,
    "Mixtral": _GROUPED | _MOE,
    "OPT": _HEADS | _PLACES,
    "Phi3": _GROUPED,
    "Qwen": _GROUPED,
    "Qwen3": _GROUPED | {"head_dim": 32},
    "Qwen3Moe": _GROUPED | _MOE | {"moe_intermediate_dim": 128},
    "QwenMoe": _GROUPED
    | _MOE
    | {"moe_intermediate_dim": 128, "shared_expert_intermediate_dim": 128},
    "RWKV7": _SIZES | {"hidden_size": 128, "head_size": 32, "intermediate_dim": 256},
    "Roberta": _HEADS | _PLACES,
    "RoformerV2": _HEADS | {"head_size": 32},
    "T5": _HEADS,
    "XLNet": _HEADS,
    "Whisper": _HEADS
    | {"num_mels": 16, "max_encoder_sequence_length": 48, "max_decoder_sequence_length": LENGTH},
    "Moonshine": {
        "vocabulary_size": VOCABULARY,
        "filter_dim": 128,
        "encoder_num_layers": 2,
        "decoder_num_layers": 2,
        "hidden_dim": 128,
        "intermediate_dim": 256,
        "encoder_num_heads": 4,
        "decoder_num_heads": 4,
    },
    "ViT": _PATCHES | {"mlp_dim": 256},
    "DeiT": _PATCHES | {"intermediate_dim": 256},
    "DINOV2": _PATCHES | {"intermediate_dim": 256, "position_embedding_shape": (SIDE, SIDE, 3)},
    "DINOV3": _PATCHES | {"intermediate_dim": 256},
    "SwinTransformer": {
        "image_shape": (64, 64, 3),
        "embed_dim": 48,
        "depths": (2, 2),
        "num_heads": (2, 4),
        "window_size": 4,
    },
    "MiT": {
        "image_shape": (64, 64, 3),
        "layerwise_depths": [2, 2],
        "num_layers": 2,
        "layerwise_num_heads": [1, 2],
        "layerwise_sr_ratios": [4, 2],
        "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [7, 3],
        "layerwise_strides": [4, 2],
        "hidden_dims": [32, 64],
    },
    "CSPNet": {
        "image_shape": (64, 64, 3),
        "stem_filters": 32,
        "stem_kernel_size": 3,
        "stem_strides": 1,
        "stackwise_depth": [1, 2, 4],
        "stackwise_strides": [1, 2, 2],
        "stackwise_num_filters": [32, 64, 128],
        "block_type": "dark_block",
        "stage_type": "dark",
    },
    "ResNet": {
        "image_shape": (64, 64, 3),
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 64, 64],
        "stackwise_num_blocks": [2, 2, 2],
        "stackwise_num_strides": [1, 2, 2],
        "block_type": "bottleneck_block",
    },
}


def build(name: str, sizes: dict[str, Any]) -> KerasModel:
    """A backbone, and a batch for each of its named inputs."""
    keras.utils.set_random_seed(0)
    model = getattr(keras_hub.models, f"{name}Backbone")(**sizes)
    given = model.input
    if not isinstance(given, dict):
        return KerasModel(model, noise(*given.shape[1:]))
    return KerasModel(model, {key: _batch(key, tensor) for key, tensor in given.items()})


def _batch(name: str, tensor: Any) -> np.ndarray:
    """Random tokens where ids of tokens are asked for; ones for a mask, zeros for segments."""
    length = SOUND if name == "encoder_input_values" else LENGTH
    shape = tuple(length if size is None else size for size in tensor.shape[1:])
    if name.endswith("token_ids"):
        return tokens(VOCABULARY, LENGTH)
    if name.endswith("mask"):
        return np.ones((SAMPLES, *shape), np.int32)
    if str(tensor.dtype).startswith("int"):
        return np.zeros((SAMPLES, *shape), np.int32)
    return noise(*shape)


MODELS = {
    f"keras_hub/{name}Backbone": partial(build, name, sizes) for name, sizes in BACKBONES.items()
}
