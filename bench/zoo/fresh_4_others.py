"""Models of smaller libraries in the fourth list: diffusers, monai, segmentation_models, nflows."""

from collections.abc import Callable, Mapping

import torch

from bench.zoo.fresh_others import LogDensity, of_monai, of_segmentation
from bench.zoo.models import Built, noise


def _pixart() -> Built:
    import diffusers

    options = {
        "num_attention_heads": 4,
        "attention_head_dim": 32,
        "num_layers": 3,
        "sample_size": 16,
        "cross_attention_dim": 128,
        "caption_channels": 64,
        "use_additional_conditions": False,
    }
    inputs = {
        "hidden_states": noise(2, 4, 16, 16),
        "encoder_hidden_states": noise(2, 12, 64),
        "timestep": torch.tensor([10, 500]),
    }
    return lambda: diffusers.PixArtTransformer2DModel(**options), inputs


def _sana() -> Built:
    import diffusers

    options = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 4,
        "attention_head_dim": 32,
        "num_layers": 3,
        "num_cross_attention_heads": 4,
        "cross_attention_head_dim": 32,
        "cross_attention_dim": 128,
        "caption_channels": 64,
        "sample_size": 16,
    }
    inputs = {
        "hidden_states": noise(2, 4, 16, 16),
        "encoder_hidden_states": noise(2, 12, 64),
        "timestep": torch.tensor([10, 500]),
    }
    return lambda: diffusers.SanaTransformer2DModel(**options), inputs


def _asymmetric() -> Built:
    import diffusers

    options = {
        "down_block_out_channels": (32, 64),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_out_channels": (32, 64),
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "norm_num_groups": 8,
    }
    return lambda: diffusers.AsymmetricAutoencoderKL(**options), noise(2, 3, 32, 32)


def _unet_1d() -> Built:
    import diffusers

    inputs = {"sample": noise(2, 14, 32), "timestep": torch.tensor([10, 500])}
    options = {
        "in_channels": 14,
        "out_channels": 14,
        "down_block_types": ("DownResnetBlock1D",) * 2,
        "up_block_types": ("UpResnetBlock1D",),
        "mid_block_type": "MidResTemporalBlock1D",
        "out_block_type": "OutConv1DBlock",
        "block_out_channels": (32, 64),
        "time_embedding_type": "positional",
        "flip_sin_to_cos": False,
        "freq_shift": 1.0,
        "use_timestep_embedding": True,
        "act_fn": "swish",
        "downsample_each_block": False,
    }
    return lambda: diffusers.UNet1DModel(**options), inputs


def _autoregressive() -> Built:
    from nflows.flows.autoregressive import MaskedAutoregressiveFlow

    options = {"features": 8, "hidden_features": 64, "num_layers": 4, "num_blocks_per_layer": 2}
    return lambda: LogDensity(MaskedAutoregressiveFlow(**options)), noise(32, 8)


_VOLUME = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
_IMAGE = {"spatial_dims": 2, "in_channels": 3}
MODELS: Mapping[str, Callable[[], Built]] = {
    "diffusers/AsymmetricAutoencoderKL": _asymmetric,
    "diffusers/PixArtTransformer2DModel": _pixart,
    "diffusers/SanaTransformer2DModel": _sana,
    "diffusers/UNet1DModel": _unet_1d,
    "monai/BasicUNetPlusPlus": of_monai(
        "BasicUNetPlusPlus", (2, 1, 64, 64), spatial_dims=2, in_channels=1, out_channels=2
    ),
    "monai/DenseNet121": of_monai("DenseNet121", (2, 3, 96, 96), **_IMAGE, out_channels=4),
    "monai/MedNeXtS": of_monai("MedNeXtS", (2, 1, 32, 32, 32), **_VOLUME),
    "monai/SEResNet50": of_monai("SEResNet50", (2, 3, 96, 96), **_IMAGE, num_classes=4),
    "monai/VNet": of_monai("VNet", (2, 1, 32, 32, 32), in_channels=1, out_channels=2),
    "segmentation_models_pytorch/PSPNet": of_segmentation("PSPNet"),
    "segmentation_models_pytorch/Segformer": of_segmentation("Segformer"),
    "segmentation_models_pytorch/UPerNet": of_segmentation("UPerNet"),
    "nflows/MaskedAutoregressiveFlow": _autoregressive,
}
