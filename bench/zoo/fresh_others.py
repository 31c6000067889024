"""Models of smaller libraries: diffusers, monai, segmentation_models_pytorch, flows and others."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from bench.zoo.models import Built, noise


class LogDensity(nn.Module):
    """A flow whose own forward is not to be called, by the method that is."""

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, x: torch.Tensor) -> Any:
        return self.flow.log_prob(x)


def _unet_2d() -> Built:
    import diffusers

    sizes = {"sample_size": 32, "block_out_channels": (32, 64), "norm_num_groups": 8}
    blocks = {
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }
    inputs = {"sample": noise(2, 3, 32, 32), "timestep": torch.tensor([10, 500])}
    return lambda: diffusers.UNet2DModel(**sizes, **blocks), inputs


def _unet_2d_condition() -> Built:
    import diffusers

    sizes = {"sample_size": 16, "block_out_channels": (32, 64), "norm_num_groups": 8}
    blocks = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 64,
        "attention_head_dim": 8,
    }
    inputs = {
        "sample": noise(2, 4, 16, 16),
        "timestep": torch.tensor([10, 500]),
        "encoder_hidden_states": noise(2, 12, 64),
    }
    return lambda: diffusers.UNet2DConditionModel(**sizes, **blocks), inputs


def _autoencoder_kl() -> Built:
    import diffusers

    options = {
        "block_out_channels": (32, 64),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "norm_num_groups": 8,
    }
    return lambda: diffusers.AutoencoderKL(**options), noise(2, 3, 32, 32)


def _dit() -> Built:
    import diffusers

    options = {
        "num_attention_heads": 4,
        "attention_head_dim": 32,
        "num_layers": 4,
        "sample_size": 16,
        "num_embeds_ada_norm": 1000,
    }
    inputs = {
        "hidden_states": noise(2, 4, 16, 16),
        "timestep": torch.tensor([10, 500]),
        "class_labels": torch.tensor([1, 2]),
    }
    return lambda: diffusers.DiTTransformer2DModel(**options), inputs


def _sd3() -> Built:
    import diffusers

    options = {
        "sample_size": 16,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 3,
        "attention_head_dim": 32,
        "num_attention_heads": 4,
        "joint_attention_dim": 64,
        "caption_projection_dim": 128,
        "pooled_projection_dim": 48,
        "pos_embed_max_size": 16,
    }
    inputs = {
        "hidden_states": noise(2, 4, 16, 16),
        "encoder_hidden_states": noise(2, 12, 64),
        "pooled_projections": noise(2, 48),
        "timestep": torch.tensor([10, 500]),
    }
    return lambda: diffusers.SD3Transformer2DModel(**options), inputs


def of_monai(name: str, shape: tuple[int, ...], **options: Any) -> Callable[[], Built]:
    def built() -> Built:
        import monai

        return lambda: getattr(monai.networks.nets, name)(**options), noise(*shape)

    return built


def of_segmentation(name: str) -> Callable[[], Built]:
    def built() -> Built:
        import segmentation_models_pytorch

        make = getattr(segmentation_models_pytorch, name)
        return lambda: make("resnet18", encoder_weights=None), noise(2, 3, 96, 96)

    return built


def _coupling() -> Built:
    from nflows.flows.realnvp import SimpleRealNVP

    options = {"features": 8, "hidden_features": 64, "num_layers": 4, "num_blocks_per_layer": 2}
    return lambda: LogDensity(SimpleRealNVP(**options)), noise(32, 8)


def _glow() -> Built:
    import normflows

    return lambda: normflows.flows.GlowBlock(12, 64), noise(4, 12, 16, 16)


def _lightning_transformer() -> Built:
    from lightning.pytorch.demos import Transformer

    tokens = torch.randint(5, 1000, (2, 24))
    return lambda: Transformer(1000, ninp=128, nhead=4, nhid=256, nlayers=3), {
        "inputs": tokens,
        "target": tokens,
    }


def _patch_mixer() -> Built:
    import transformers

    config = transformers.PatchTSMixerConfig(
        context_length=64, patch_length=8, patch_stride=8, num_input_channels=3, num_targets=4
    )
    make = transformers.PatchTSMixerForTimeSeriesClassification
    return lambda: make(config), {"past_values": noise(2, 64, 3)}


MODELS: Mapping[str, Callable[[], Built]] = {
    "diffusers/UNet2DModel": _unet_2d,
    "diffusers/UNet2DConditionModel": _unet_2d_condition,
    "diffusers/AutoencoderKL": _autoencoder_kl,
    "diffusers/DiTTransformer2DModel": _dit,
    "diffusers/SD3Transformer2DModel": _sd3,
    "monai/UNet": of_monai(
        "UNet",
        (2, 1, 64, 64),
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(16, 32, 64, 128),
        strides=(2, 2, 2),
        num_res_units=2,
    ),
    "monai/SegResNet": of_monai("SegResNet", (2, 1, 32, 32, 32), init_filters=16),
    "monai/SwinUNETR": of_monai(
        "SwinUNETR", (2, 1, 64, 64), in_channels=1, out_channels=2, spatial_dims=2, feature_size=24
    ),
    "monai/AttentionUnet": of_monai(
        "AttentionUnet",
        (2, 1, 64, 64),
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(16, 32, 64),
        strides=(2, 2),
    ),
    "segmentation_models_pytorch/Unet": of_segmentation("Unet"),
    "segmentation_models_pytorch/FPN": of_segmentation("FPN"),
    "segmentation_models_pytorch/DeepLabV3Plus": of_segmentation("DeepLabV3Plus"),
    "nflows/SimpleRealNVP": _coupling,
    "normflows/GlowBlock": _glow,
    "lightning/Transformer": _lightning_transformer,
    "transformers/patchtsmixer": _patch_mixer,
}
