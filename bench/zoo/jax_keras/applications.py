"""The models of keras.applications: the smallest member of every family, without its weights."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from bench.zoo.jax_keras.models import KerasModel, noise

_apps = keras.applications

FAMILIES: dict[Callable[..., Any], int] = {  # and the side of the images, in pixels
    _apps.ConvNeXtTiny: 64,
    _apps.DenseNet121: 64,
    _apps.EfficientNetB0: 64,
    _apps.EfficientNetV2B0: 64,
    _apps.InceptionResNetV2: 96,
    _apps.InceptionV3: 96,
    _apps.MobileNet: 64,
    _apps.MobileNetV2: 64,
    _apps.MobileNetV3Small: 64,
    _apps.NASNetMobile: 64,
    _apps.ResNet50: 64,
    _apps.ResNet50V2: 64,
    _apps.VGG16: 32,
    _apps.VGG19: 32,
    _apps.Xception: 96,
}


def build(family: Callable[..., Any], side: int) -> KerasModel:
    """A model with ten classes and logits."""
    keras.utils.set_random_seed(0)
    how: dict[str, Any] = {"classes": 10, "classifier_activation": None, "weights": None}
    return KerasModel(family(input_shape=(side, side, 3), **how), noise(side, side, 3))


MODELS = {
    f"keras/{family.__name__}": partial(build, family, side) for family, side in FAMILIES.items()
}
