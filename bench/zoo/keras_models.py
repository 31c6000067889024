"""The models of keras.applications: the smallest member of every family, without its weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras


class Model(NamedTuple):
    """What builds a model for images of a side, in pixels; classes are 10, outputs are logits."""

    build: Callable[..., Any]
    side: int

    def make(self) -> Any:
        """The model, with values of Keras's own initializers."""
        keras.utils.set_random_seed(0)
        how = {"classes": 10, "classifier_activation": None}
        return self.build(weights=None, input_shape=(self.side, self.side, 3), **how)


_apps = keras.applications

MODELS: dict[str, Model] = {
    "ConvNeXtTiny": Model(_apps.ConvNeXtTiny, 64),
    "DenseNet121": Model(_apps.DenseNet121, 64),
    "EfficientNetB0": Model(_apps.EfficientNetB0, 64),
    "EfficientNetV2B0": Model(_apps.EfficientNetV2B0, 64),
    "InceptionResNetV2": Model(_apps.InceptionResNetV2, 96),
    "InceptionV3": Model(_apps.InceptionV3, 96),
    "MobileNet": Model(_apps.MobileNet, 64),
    "MobileNetV2": Model(_apps.MobileNetV2, 64),
    "MobileNetV3Small": Model(_apps.MobileNetV3Small, 64),
    "NASNetMobile": Model(_apps.NASNetMobile, 64),
    "ResNet50": Model(_apps.ResNet50, 64),
    "ResNet50V2": Model(_apps.ResNet50V2, 64),
    "VGG16": Model(_apps.VGG16, 32),
    "VGG19": Model(_apps.VGG19, 32),
    "Xception": Model(_apps.Xception, 96),
}
