"""Models of the inputs themselves: autoencoders, a VAE, a flow, masks that make a model causal."""

import torch
from torch import Tensor, nn


def convolutional_autoencoder() -> nn.Module:
    """Strides down to 2 x 2 with eight channels, transposed convolutions up to 16 x 16."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(24, 8, 3, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 24, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(24, 16, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
    )


class Variational(nn.Module):
    """Images, means and log-variances of a code of eight (Kingma & Welling 2013)."""

    def __init__(self, inputs: int = 64, width: int = 96, code: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, width),
            nn.Softplus(),
            nn.Linear(width, width),
            nn.Softplus(),
        )
        self.mean = nn.Linear(width, code)
        self.log_variance = nn.Linear(width, code)
        self.decoder = nn.Sequential(
            nn.Linear(code, width),
            nn.Softplus(),
            nn.Linear(width, width),
            nn.Softplus(),
            nn.Linear(width, inputs),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return self.decoder(code).view_as(x), mean, log_variance


class Flow(nn.Module):
    """Six affine couplings, halves in turn (Dinh et al. 2017), of the columns of a table."""

    def __init__(self, columns: int = 13, width: int = 48, couplings: int = 6) -> None:
        super().__init__()
        self.half = columns // 2
        self.networks = nn.ModuleList()
        for number in range(couplings):
            read = self.half if number % 2 == 0 else columns - self.half
            self.networks.append(
                nn.Sequential(
                    nn.Linear(read, width),
                    nn.ReLU(),
                    nn.Linear(width, width),
                    nn.ReLU(),
                    nn.Linear(width, 2 * (columns - read)),
                )
            )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x[:, : self.half], x[:, self.half :]
        volume = x.new_zeros(len(x))
        for network in self.networks:
            scale, shift = network(first).chunk(2, 1)
            scale = torch.tanh(scale)
            second = second * scale.exp() + shift
            volume = volume + scale.sum(1)
            first, second = second, first
        return torch.cat([first, second], 1), volume
