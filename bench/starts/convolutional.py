"""Convolutions of other kinds than timm's: plain and deep, from image to image."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def plain(activation: type[nn.Module], depth: int, width: int = 16) -> nn.Module:
    """So many convolutions, nothing between them but the activation, 16 pixels and then 8."""
    layers: list[nn.Module] = []
    before = 1
    for number in range(depth):
        layers += [nn.Conv2d(before, width, 3, 2 if number == 2 else 1, 1), activation()]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def vgg(norm: type[nn.Module]) -> nn.Module:
    """Six convolutions in three stages of growing width, and three dense layers with dropout."""
    layers: list[nn.Module] = []
    before = 1
    for width in (16, 24, 32):
        for fan_in in (before, width):
            layers += [nn.Conv2d(fan_in, width, 3, 1, 1), norm(width), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        before = width
    dense = [nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.Dropout(0.5), nn.Linear(64, 10))


class UNet(nn.Module):
    """Two levels down and up again, joined across; noise out of patches."""

    def __init__(self, channels: int = 3, width: int = 12) -> None:
        super().__init__()
        self.down1 = self._pair(channels, width)
        self.down2 = self._pair(width, 2 * width)
        self.middle = self._pair(2 * width, 2 * width)
        self.up2 = nn.ConvTranspose2d(2 * width, 2 * width, 2, 2)
        self.out2 = self._pair(4 * width, width)
        self.up1 = nn.ConvTranspose2d(width, width, 2, 2)
        self.out1 = self._pair(2 * width, width)
        self.head = nn.Conv2d(width, channels, 1)

    @staticmethod
    def _pair(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(F.max_pool2d(one, 2))
        low = self.middle(F.max_pool2d(two, 2))
        two = self.out2(torch.cat([self.up2(low), two], 1))
        return self.head(self.out1(torch.cat([self.up1(two), one], 1)))


class SubPixel(nn.Module):
    """Twice the size by a shuffle of channels (Shi et al. 2016)."""

    def __init__(self, channels: int = 3, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 5, 1, 2),
            nn.Tanh(),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.Tanh(),
            nn.Conv2d(width, 4 * channels, 3, 1, 1),
            nn.PixelShuffle(2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def discriminator() -> nn.Module:
    """DCGAN's, for true and forged digits: strides, leaky rectifiers, batch normalization."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 1, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 1, 2),
        nn.Flatten(),
    )
