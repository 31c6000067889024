"""Twenty-five model types of transformers, configured tiny: text, images and a spectrogram.

Each row is the task of its class and the options of its configuration. Text is 32 of 64 kinds of
characters, images are of 32 pixels.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from bench.starts.data import VOCABULARY

LENGTH = 24
_IDS = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
_TEXT = {
    **_IDS,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}
_HEADS = {**_TEXT, "num_key_value_heads": 2, "head_dim": 12}
_GPT = {**_IDS, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 64}
_PIXELS = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "image_size": 32,
    "patch_size": 8,
    "num_channels": 1,
    "num_labels": 10,
}
ROWS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "gpt2": ("CausalLM", _GPT),
    "gpt_neo": (
        "CausalLM",
        {
            **_IDS,
            "hidden_size": 48,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "max_position_embeddings": 64,
        },
    ),
    "gpt_neox": ("CausalLM", _TEXT),
    "gptj": ("CausalLM", {**_GPT, "rotary_dim": 8}),
    "bloom": ("CausalLM", {**_IDS, "hidden_size": 48, "n_layer": 2, "n_head": 4}),
    "opt": ("CausalLM", {**_TEXT, "ffn_dim": 96, "word_embed_proj_dim": 48}),
    "llama": ("CausalLM", {**_TEXT, "num_key_value_heads": 2}),
    "mixtral": ("CausalLM", {**_HEADS, "num_local_experts": 4}),
    "qwen3": ("CausalLM", _HEADS),
    "gemma2": ("CausalLM", {**_HEADS, "query_pre_attn_scalar": 12}),
    "phi": ("CausalLM", _TEXT),
    "falcon": ("CausalLM", _TEXT),
    "olmo2": ("CausalLM", _TEXT),
    "mamba": ("CausalLM", {**_IDS, "hidden_size": 32, "num_hidden_layers": 1, "state_size": 8}),
    "albert": ("MaskedLM", {**_TEXT, "embedding_size": 32}),
    "bert": ("MaskedLM", _TEXT),
    "electra": ("MaskedLM", {**_TEXT, "embedding_size": 32}),
    "deberta-v2": ("MaskedLM", {**_TEXT, "relative_attention": True, "position_buckets": 16}),
    "modernbert": ("MaskedLM", _TEXT),
    "t5": (
        "Seq2SeqLM",
        {**_IDS, "d_model": 48, "num_layers": 1, "num_heads": 4, "d_kv": 12, "d_ff": 96},
    ),
    "bart": (
        "Seq2SeqLM",
        {
            **_IDS,
            "d_model": 48,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 96,
            "decoder_ffn_dim": 96,
            "max_position_embeddings": 64,
        },
    ),
    "vit": ("ImageClassification", _PIXELS),
    "dinov2": ("ImageClassification", _PIXELS),
    "convnext": (
        "ImageClassification",
        {
            "depths": [1, 1, 1],
            "hidden_sizes": [16, 32, 48],
            "num_stages": 3,
            "patch_size": 2,
            "num_channels": 1,
            "num_labels": 10,
        },
    ),
    "audio-spectrogram-transformer": (
        "AudioClassification",
        {
            **{key: value for key, value in _PIXELS.items() if key != "image_size"},
            "max_length": 32,
            "num_mel_bins": 32,
            "frequency_stride": 8,
            "time_stride": 8,
        },
    ),
}
_ARGUMENTS = {
    "CausalLM": ("input_ids",),
    "MaskedLM": ("input_ids",),
    "Seq2SeqLM": ("input_ids", "decoder_input_ids"),
    "ImageClassification": ("pixel_values",),
    "AudioClassification": ("input_values",),
}


class _Logits(nn.Module):
    """A model of transformers called with tensors alone, classes on axis 1 of what it returns."""

    def __init__(self, model: nn.Module, arguments: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.arguments = arguments

    def forward(self, *inputs: Tensor) -> Tensor:
        if self.arguments == ("input_values",):  # (batch, time, frequency)
            inputs = (inputs[0][:, 0],)
        logits: Tensor = self.model(**dict(zip(self.arguments, inputs, strict=True))).logits
        return logits.movedim(-1, 1)


def build(row: str) -> nn.Module:
    """The architecture of a row, as its constructor draws it."""
    import transformers

    transformers.logging.set_verbosity_error()
    task, options = ROWS[row]
    config = transformers.AutoConfig.for_model(row, **options)
    config.use_cache = False
    model = getattr(transformers, f"AutoModelFor{task}").from_config(config)
    return _Logits(model, _ARGUMENTS[task])
