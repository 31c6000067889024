"""Models that fanin once failed on, in a sweep over 359 of them: crashes, wrong sizes, refusals.

Those of the libraries that tests/zoo/requirements.txt lists; what the others showed stands in
tests/recipes and tests/frameworks as modules of a few lines.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bench.zoo.models import (
    ENCODER_DECODER,
    HEADS,
    TEXT,
    Built,
    ModelList,
    noise,
)

TIMM: dict[str, int] = {"nf_resnet26": 160}

_KEYS = {**HEADS, "pad_token_id": 0}
_ENCODER_DECODER = {
    **ENCODER_DECODER,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "cohere": ("CausalLM", {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0}),
    "cohere2": ("CausalLM", _KEYS),
    "diffllama": ("CausalLM", {**TEXT, "num_key_value_heads": 2}),
    "funnel": (
        "MaskedLM",
        {
            "d_model": 160,
            "n_head": 4,
            "d_head": 40,
            "d_inner": 256,
            "block_sizes": [2, 2],
            "num_decoder_layers": 1,
            "vocab_size": 1000,
        },
    ),
    "jetmoe": (
        "CausalLM",
        {
            **TEXT,
            "num_key_value_heads": 2,
            "kv_channels": 32,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "activation_function": "silu",
        },
    ),
    "led": (
        "Seq2SeqLM",
        {
            **_ENCODER_DECODER,
            "attention_window": 8,
            "max_encoder_position_embeddings": 160,
            "max_decoder_position_embeddings": 160,
        },
    ),
    "longformer": ("MaskedLM", {**TEXT, "attention_window": 8, "pad_token_id": 1}),
    "marian": ("Seq2SeqLM", _ENCODER_DECODER),
    "pegasus": ("Seq2SeqLM", _ENCODER_DECODER),
    "qwen3_next": (
        "CausalLM",
        {
            **_KEYS,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 64,
            "shared_expert_intermediate_size": 64,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
        },
    ),
    "recurrent_gemma": ("CausalLM", {**_KEYS, "lru_width": 160, "attention_window_size": 16}),
    "roformer": ("MaskedLM", {**TEXT, "embedding_size": 160}),
    "xlnet": (
        "CausalLM",
        {"d_model": 160, "n_layer": 4, "n_head": 4, "d_inner": 256, "vocab_size": 1000},
    ),
}


class _Encoded(nn.Module):
    """An encoder that returns objects, as its last hidden state."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.model(x).last_hidden_state
        return hidden


def _vit_mae() -> Built:
    import transformers

    sizes = {key: one for key, one in TEXT.items() if key != "vocab_size"}
    config = transformers.ViTMAEConfig(**sizes, image_size=64, mask_ratio=0.0)
    return lambda: _Encoded(transformers.ViTMAEModel(config)), noise(2, 3, 64, 64)


def _vq_model() -> Built:
    import diffusers

    channels = {"block_out_channels": (32, 64), "latent_channels": 8, "norm_num_groups": 8}
    blocks = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
    }
    return lambda: diffusers.VQModel(**channels, **blocks, num_vq_embeddings=64), noise(
        2, 3, 32, 32
    )


OTHERS: dict[str, Callable[[], Built]] = {
    "transformers/vit_mae": _vit_mae,
    "diffusers/VQModel": _vq_model,
}


LIST = ModelList(TIMM, TRANSFORMERS, others=OTHERS)
NAMES, build = LIST.names, LIST.build
