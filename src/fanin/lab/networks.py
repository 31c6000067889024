"""The networks that the lab trains."""

import torch
from torch import Tensor, nn


class SmallConvNet(nn.Module):
    """The article's network: two convolutions and a linear head, on grey images of 28 x 28."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=8)  # 28 x 28 -> 21 x 21
        self.conv2 = nn.Conv2d(16, 8, kernel_size=4, stride=2)  # 21 x 21 -> 9 x 9
        self.head = nn.Linear(8 * 9 * 9, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 1, 28, 28) to logits (n, classes)."""
        hidden = torch.relu(self.conv1(images))
        hidden = torch.relu(self.conv2(hidden))
        logits: Tensor = self.head(hidden.flatten(1))
        return logits
