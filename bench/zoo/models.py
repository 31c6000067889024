"""The models of bench/zoo/measure.py: of timm and of transformers, built from configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

# Smallest members of their families, and image sizes that they accept.
TIMM: dict[str, int] = {
    "beit_base_patch16_224": 224,
    "botnet26t_256": 256,
    "cait_xxs24_224": 224,
    "coat_lite_tiny": 224,
    "coatnet_0_224": 224,
    "convit_tiny": 224,
    "convmixer_768_32": 224,
    "convnext_atto": 160,
    "convnextv2_atto": 160,
    "crossvit_tiny_240": 240,
    "cspresnet50": 160,
    "davit_tiny": 224,
    "deit_tiny_patch16_224": 224,
    "deit3_small_patch16_224": 224,
    "densenet121": 160,
    "dla34": 160,
    "dm_nfnet_f0": 160,
    "dpn68": 160,
    "edgenext_xx_small": 160,
    "efficientformer_l1": 224,
    "efficientnet_b0": 160,
    "fastvit_t8": 160,
    "focalnet_tiny_srf": 224,
    "gernet_s": 160,
    "ghostnet_100": 160,
    "gmlp_ti16_224": 224,
    "hrnet_w18_small": 160,
    "inception_v3": 299,
    "levit_128s": 224,
    "maxvit_tiny_tf_224": 224,
    "mixer_s32_224": 224,
    "mnasnet_100": 160,
    "mobilenetv2_100": 160,
    "mobilenetv3_small_100": 160,
    "mobilevit_xxs": 160,
    "nest_tiny": 224,
    "pit_ti_224": 224,
    "poolformer_s12": 160,
    "pvt_v2_b0": 160,
    "regnetx_002": 160,
    "regnety_002": 160,
    "repvgg_a0": 160,
    "res2net50_14w_8s": 160,
    "resmlp_12_224": 224,
    "resnest14d": 160,
    "resnet18": 160,
    "resnet50": 160,
    "resnetv2_50": 160,
    "resnext50_32x4d": 160,
    "rexnet_100": 160,
    "sequencer2d_s": 224,
    "seresnet50": 160,
    "swin_tiny_patch4_window7_224": 224,
    "swinv2_tiny_window8_256": 256,
    "tresnet_m": 160,
    "twins_svt_small": 224,
    "vgg11": 160,
    "visformer_tiny": 224,
    "vit_tiny_patch16_224": 224,
    "volo_d1_224": 224,
    "xception41": 160,
    "xcit_nano_12_p16_224": 224,
}

# Batch normalization of pooled activations, with one value for each sample, wants more than two.
_BATCHES = {"levit_128s": 8, "resnest14d": 8, "rexnet_100": 8}

# transformers model types with what makes them small; the class is the one that Auto* finds.
TEXT = {
    "hidden_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "vocab_size": 1000,
    "max_position_embeddings": 160,
}
HEADS = {**TEXT, "num_key_value_heads": 2, "head_dim": 32}
PIXELS = {**TEXT, "image_size": 64}
ENCODER_DECODER = {
    "d_model": 160,
    "encoder_layers": 3,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 256,
    "decoder_ffn_dim": 256,
    "vocab_size": 1000,
    "max_position_embeddings": 160,
}
_GPT = {"n_embd": 128, "n_layer": 4, "n_head": 4, "vocab_size": 1000, "n_positions": 128}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "albert": ("MaskedLM", {**TEXT, "embedding_size": 64}),
    "bert": ("MaskedLM", TEXT),
    "roberta": ("MaskedLM", TEXT),
    "electra": ("MaskedLM", {**TEXT, "embedding_size": 64}),
    "distilbert": (
        "MaskedLM",
        {"dim": 128, "n_layers": 4, "n_heads": 4, "hidden_dim": 256, "vocab_size": 1000},
    ),
    "deberta-v2": ("MaskedLM", {**TEXT, "relative_attention": True, "position_buckets": 32}),
    "modernbert": ("MaskedLM", {**TEXT, "pad_token_id": 0}),
    "gpt2": ("CausalLM", _GPT),
    "gpt_neo": (
        "CausalLM",
        {
            "hidden_size": 160,
            "num_layers": 4,
            "num_heads": 4,
            "vocab_size": 1000,
            "attention_types": [[["global", "local"], 2]],
            "max_position_embeddings": 160,
        },
    ),
    "gpt_neox": ("CausalLM", TEXT),
    "gptj": ("CausalLM", {**_GPT, "rotary_dim": 16}),
    "bloom": ("CausalLM", {"hidden_size": 128, "n_layer": 4, "n_head": 4, "vocab_size": 1000}),
    "opt": (
        "CausalLM",
        {**TEXT, "ffn_dim": 256, "word_embed_proj_dim": 128},
    ),
    "llama": ("CausalLM", {**TEXT, "num_key_value_heads": 2}),
    "mistral": ("CausalLM", HEADS),
    "mixtral": ("CausalLM", {**HEADS, "num_local_experts": 4}),
    "qwen2": ("CausalLM", {**TEXT, "num_key_value_heads": 2}),
    "qwen3": ("CausalLM", HEADS),
    "gemma2": ("CausalLM", {**HEADS, "query_pre_attn_scalar": 32}),
    "phi": ("CausalLM", TEXT),
    "falcon": ("CausalLM", TEXT),
    "olmo2": ("CausalLM", TEXT),
    "stablelm": ("CausalLM", {**TEXT, "num_key_value_heads": 4}),
    "mamba": ("CausalLM", {"hidden_size": 128, "num_hidden_layers": 4, "vocab_size": 1000}),
    "rwkv": (
        "CausalLM",
        {"hidden_size": 128, "num_hidden_layers": 4, "vocab_size": 1000, "context_length": 128},
    ),
    "t5": (
        "Seq2SeqLM",
        {
            "d_model": 160,
            "num_layers": 3,
            "num_heads": 4,
            "d_kv": 32,
            "d_ff": 256,
            "vocab_size": 1000,
        },
    ),
    "bart": (
        "Seq2SeqLM",
        ENCODER_DECODER,
    ),
    "vit": ("ImageClassification", PIXELS),
    "dinov2": ("ImageClassification", {**TEXT, "image_size": 70, "patch_size": 14}),
    "convnext": (
        "ImageClassification",
        {"depths": [2, 2, 2, 2], "hidden_sizes": [32, 64, 96, 128]},
    ),
}

Built = tuple[Callable[[], nn.Module], Any]


def of_timm(name: str, size: int, batch: int = 2) -> Built:
    """A factory, and square images of unit variance."""
    import timm

    return lambda: timm.create_model(name), noise(batch, 3, size, size)


class _Segmented(nn.Module):
    """A segmentation model without the dict around what it returns."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> Any:
        return self.model(x)["out"]


def of_torchvision(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> Built:
    """A factory, and two samples of this shape."""
    import torchvision

    def make() -> nn.Module:
        model: nn.Module = torchvision.models.get_model(name, weights=None, **options)
        segments = type(model).__module__.startswith("torchvision.models.segmentation")
        return _Segmented(model) if segments else model

    return make, noise(2, *shape)


def noise(*shape: int) -> torch.Tensor:
    """Inputs of unit variance."""
    return torch.randn(shape)


def of_transformers(
    name: str, task: str, options: dict[str, Any], inputs: dict[str, Any] | None = None
) -> Built:
    """A factory, and the inputs given, or two samples of random tokens or pixels."""
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.for_model(name, **options)
    auto = getattr(transformers, f"AutoModelFor{task}")
    if inputs is None and task == "ImageClassification":
        size = getattr(config, "image_size", 64)
        inputs = {"pixel_values": noise(2, 3, size, size)}
    elif inputs is None:
        tokens = torch.randint(5, 1000, (2, 24))
        inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        if task == "Seq2SeqLM":
            inputs["decoder_input_ids"] = tokens[:, :12]
    return lambda: auto.from_config(config), inputs


@dataclass(frozen=True)
class ModelList:
    """Models by name: timm's by their own, others behind their library and a slash.

    `inputs` are those of models of transformers that take neither text nor one image, `batches`
    how many samples models of timm get, where two are too few.
    """

    timm: Mapping[str, int]
    transformers: Mapping[str, tuple[str, dict[str, Any]]]
    torchvision: Mapping[str, tuple[dict[str, Any], tuple[int, ...]]] = field(default_factory=dict)
    others: Mapping[str, Callable[[], Built]] = field(default_factory=dict)
    inputs: Mapping[str, Callable[[], dict[str, Any]]] = field(default_factory=dict)
    batches: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return (
            *self.timm,
            *(f"transformers/{name}" for name in self.transformers),
            *(f"torchvision/{name}" for name in self.torchvision),
            *self.others,
        )

    def build(self, name: str) -> Built:
        """A factory of a model, and random inputs."""
        if name in self.others:
            return self.others[name]()
        library, _, kind = name.rpartition("/")
        if library == "transformers":
            inputs = self.inputs[kind]() if kind in self.inputs else None
            return of_transformers(kind, *self.transformers[kind], inputs)
        if library == "torchvision":
            return of_torchvision(kind, *self.torchvision[kind])
        return of_timm(name, self.timm[name], self.batches.get(name, 2))


LIST = ModelList(TIMM, TRANSFORMERS, batches=_BATCHES)
NAMES, build = LIST.names, LIST.build
