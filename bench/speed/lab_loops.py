"""The network of Enrichment Cap (2023) and its training, as written there: loops over NumPy.

The yardstick of bench/speed/lab.py. One image at a time; a convolution visits every filter and
every place, forward and backward, and the backward pass makes the gradient of the image too.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Weights = dict[str, Array]


def convolution(image: Array, filters: Array, bias: Array, stride: int) -> Array:
    """(c, h, w) by (f, c, k, k) to (f, h', w')."""
    count, _, size, _ = filters.shape
    side = (image.shape[1] - size) // stride + 1
    out = np.zeros((count, side, side), image.dtype)
    for f in range(count):
        for y in range(side):
            for x in range(side):
                top, left = y * stride, x * stride
                patch = image[:, top : top + size, left : left + size]
                out[f, y, x] = np.sum(filters[f] * patch) + bias[f]
    return out


def convolution_backward(
    d_out: Array, image: Array, filters: Array, stride: int
) -> tuple[Array, Array, Array]:
    """Gradients of the image, the filters and the bias."""
    count, _, size, _ = filters.shape
    d_image, d_filters = np.zeros_like(image), np.zeros_like(filters)
    d_bias = np.zeros(count, filters.dtype)
    for f in range(count):
        for y in range(d_out.shape[1]):
            for x in range(d_out.shape[2]):
                top, left = y * stride, x * stride
                patch = image[:, top : top + size, left : left + size]
                d_filters[f] += d_out[f, y, x] * patch
                d_image[:, top : top + size, left : left + size] += d_out[f, y, x] * filters[f]
        d_bias[f] = np.sum(d_out[f])
    return d_image, d_filters, d_bias


def loss_and_gradients(weights: Weights, image: Array, label: int) -> tuple[float, Weights]:
    """Cross-entropy of one image (1, 28, 28), and its gradients by parameter name."""
    w = weights
    hidden1 = np.maximum(convolution(image, w["conv1.weight"], w["conv1.bias"], 1), 0)
    hidden2 = np.maximum(convolution(hidden1, w["conv2.weight"], w["conv2.bias"], 2), 0)
    flat = hidden2.reshape(-1)
    logits = w["head.weight"] @ flat + w["head.bias"]
    logits = logits - logits.max()
    total = np.exp(logits).sum()
    loss = float(np.log(total) - logits[label])
    d_logits = np.exp(logits) / total
    d_logits[label] -= 1
    d_flat = w["head.weight"].T @ d_logits
    d_hidden2 = d_flat.reshape(hidden2.shape) * (hidden2 > 0)
    d_hidden1, d_conv2, d_bias2 = convolution_backward(d_hidden2, hidden1, w["conv2.weight"], 2)
    d_hidden1 *= hidden1 > 0
    _, d_conv1, d_bias1 = convolution_backward(d_hidden1, image, w["conv1.weight"], 1)
    return loss, {
        "conv1.weight": d_conv1,
        "conv1.bias": d_bias1,
        "conv2.weight": d_conv2,
        "conv2.bias": d_bias2,
        "head.weight": np.outer(d_logits, flat),
        "head.bias": d_logits,
    }


class LoopTrainer:
    """Adam (0.9, 0.999, 1e-7) over those gradients."""

    def __init__(self, weights: Weights, lr: float) -> None:
        self.weights = {name: value.copy() for name, value in weights.items()}
        self.lr, self.steps = lr, 0
        self.first = {name: np.zeros_like(value) for name, value in weights.items()}
        self.second = {name: np.zeros_like(value) for name, value in weights.items()}

    def step(self, image: Array, label: int) -> float:
        """One image; the loss before the step."""
        loss, gradients = loss_and_gradients(self.weights, image, label)
        self.steps += 1
        for name, gradient in gradients.items():
            first = self.first[name] = 0.9 * self.first[name] + 0.1 * gradient
            second = self.second[name] = 0.999 * self.second[name] + 0.001 * gradient**2
            first, second = first / (1 - 0.9**self.steps), second / (1 - 0.999**self.steps)
            self.weights[name] -= self.lr * first / (np.sqrt(second) + 1e-7)
        return loss
