"""Errors: what a layer raises while a model is run."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def plain_errors() -> Iterator[None]:
    """What a layer raises comes as it is, without Keras's account of all arguments."""
    filtered = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtered:
            keras.config.enable_traceback_filtering()
