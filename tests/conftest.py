"""What all tests share: reproducible property tests, and every back end in turn."""

import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

from fanin.streams import backends, use_backend

# TensorFlow, which Keras takes by default, is not installed; Keras writes its settings at import.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp(prefix="fanin-tests-keras-"))

settings.register_profile("fanin", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("fanin")


@pytest.fixture(params=backends())
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Draw with this back end; a test that asks for it runs once for each."""
    with use_backend(request.param):
        yield request.param
