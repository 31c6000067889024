"""`fanin init` of Keras factories: the weights of the call, under the paths of weight files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fanin
from fanin import cli

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MODELS = """
import keras

def model():
    layers = keras.layers
    table = layers.Embedding(30, 8)
    body = [layers.GRU(6, return_sequences=True), layers.BatchNormalization(), layers.Dropout(0.1)]
    return keras.Sequential([keras.Input((5,)), table, *body, layers.Dense(3)])
"""


@pytest.fixture(autouse=True)
def models(write_module: Callable[[str, str], Path]) -> Any:
    folder = write_module("stored_keras_models", MODELS)  # which is not on the path of modules
    sys.path.insert(0, str(folder))
    import stored_keras_models  # type: ignore[import-not-found]

    return stored_keras_models


def weights_in(path: str) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return {name: values for name, values in found.items() if "seed_generator" not in name}


def test_the_file_holds_what_the_call_makes(
    models: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["init", "stored_keras_models:model", "--seed", "3"]
    # TensorFlow's programs are not read.
    words += ["--input", "5:tokens=30"] if keras.config.backend() != "tensorflow" else []
    words += ["--out", "a.safetensors", "--save-plan", "plan.toml"]
    assert cli.main(words) == 0
    model = models.model()
    plan = fanin.Plan.load("plan.toml").apply(model)
    model.save_weights("m.weights.h5")
    found, wanted = load_file("a.safetensors"), weights_in("m.weights.h5")
    assert found.keys() == wanted.keys()
    for path, values in wanted.items():
        assert np.array_equal(found[path], values), path
    assert cli.main(["verify", "plan.toml", "a.safetensors"]) == 0
    assert plan.library == "keras"

    with safe_open("a.safetensors", "np") as file:
        metadata = file.metadata()
    assert metadata["format"] == "keras"
    recurrent = "layers/gru/cell/vars/1"
    assert json.loads(metadata["fanin.gates"])[recurrent] == [1, 0, 2]
    capsys.readouterr()
    for gates, message in (("[0, 1, 2]", "element (0, 0) is"), ("[0, 1, 3]", "no safetensors")):
        told = {**metadata, "fanin.gates": f'{{"{recurrent}": {gates}}}'}
        save_file(found, "b.safetensors", told)
        assert cli.main(["verify", "plan.toml", "b.safetensors"]) > 0
        printed = capsys.readouterr()
        assert message in printed.out + printed.err
