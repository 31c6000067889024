"""Seven models in five libraries: the rows, the bits and the loss of torch; docs/libraries.md.

The loss is a mean of cross-entropies of float32 logits, which each library sums in an order of its
own; `TOLERANCE` is four times the largest difference that was seen.
"""

import importlib

import pytest

from bench.libraries.compare import LIBRARIES, MODELS, TOLERANCE, compare, compare_keras

pytestmark = pytest.mark.filterwarnings(  # Keras's own way of reading tensors of torch
    "ignore:__array__ implementation:DeprecationWarning"
)
FAST = ("mlp", "lstm")
EVERY = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]


@pytest.mark.parametrize("library", LIBRARIES[1:])
@pytest.mark.parametrize("model", EVERY)
def test_a_model_is_that_of_torch(model: str, library: str) -> None:
    found = compare(model, library)
    ports = importlib.import_module(f"bench.libraries.{model}").PORTS
    alike = (
        2 if library in ports.packs else found.rows
    )  # the head of a cell with kernels of its own
    assert (found.planned, found.same) == (alike, alike), found.told
    assert abs(found.loss) < TOLERANCE


@pytest.mark.slow
def test_keras_on_jax_is_torch_too() -> None:
    for found in compare_keras("jax").values():
        assert found.planned == found.same == found.rows, found.told
        assert abs(found.loss) < TOLERANCE
