"""Models of smaller libraries in the third list: diffusers, monai, segmentation_models_pytorch."""

from collections.abc import Callable, Mapping

import torch

from bench.zoo.fresh_others import of_monai, of_segmentation
from bench.zoo.models import Built, noise


def _flux() -> Built:
    import diffusers

    options = {
        "in_channels": 16,
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 32,
        "num_attention_heads": 4,
        "joint_attention_dim": 64,
        "pooled_projection_dim": 48,
        "axes_dims_rope": (8, 12, 12),
    }
    inputs = {
        "hidden_states": noise(2, 16, 16),
        "encoder_hidden_states": noise(2, 12, 64),
        "pooled_projections": noise(2, 48),
        "timestep": torch.tensor([0.1, 0.5]),
        "img_ids": torch.randint(0, 4, (16, 3)),
        "txt_ids": torch.zeros(12, 3),
    }
    return lambda: diffusers.FluxTransformer2DModel(**options), inputs


def _autoencoder_tiny() -> Built:
    import diffusers

    return lambda: diffusers.AutoencoderTiny(), noise(2, 3, 64, 64)


def _prior() -> Built:
    import diffusers

    options = {
        "num_attention_heads": 4,
        "attention_head_dim": 32,
        "num_layers": 3,
        "embedding_dim": 96,
        "num_embeddings": 12,
    }
    inputs = {
        "hidden_states": noise(2, 96),
        "timestep": torch.tensor([10, 500]),
        "proj_embedding": noise(2, 96),
        "encoder_hidden_states": noise(2, 12, 96),
    }
    return lambda: diffusers.PriorTransformer(**options), inputs


def _efficientnet_pytorch() -> Built:
    from efficientnet_pytorch import EfficientNet

    return lambda: EfficientNet.from_name("efficientnet-b0"), noise(2, 3, 96, 96)


_VOLUME = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
MODELS: Mapping[str, Callable[[], Built]] = {
    "diffusers/AutoencoderTiny": _autoencoder_tiny,
    "diffusers/FluxTransformer2DModel": _flux,
    "diffusers/PriorTransformer": _prior,
    "monai/BasicUNet": of_monai("BasicUNet", (2, 1, 32, 32, 32), **_VOLUME),
    "monai/HighResNet": of_monai("HighResNet", (2, 1, 24, 24, 24), **_VOLUME),
    "monai/UNETR": of_monai(
        "UNETR",
        (2, 1, 64, 64),
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        img_size=64,
        hidden_size=160,
        mlp_dim=256,
        num_heads=4,
    ),
    "segmentation_models_pytorch/Linknet": of_segmentation("Linknet"),
    "segmentation_models_pytorch/MAnet": of_segmentation("MAnet"),
    "segmentation_models_pytorch/UnetPlusPlus": of_segmentation("UnetPlusPlus"),
    "efficientnet_pytorch/b0": _efficientnet_pytorch,
}
