from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fanin import FaninError
from fanin.lab.data.dataset import Dataset, pack, split
from fanin.lab.data.form import DataForm
from fanin.lab.networks.networks import SmallConvNet
from fanin.lab.settings import CompareSettings
from fanin.lab.training import checkpoint
from fanin.lab.training.checkpoint import Checkpoint
from fanin.lab.training.trial import Trial, train


class Killed(BaseException):
    """Ends a training where nothing may catch it."""


def dropping() -> nn.Module:
    """Draws random numbers in training, and has buffers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 20), nn.BatchNorm1d(20), nn.Dropout(), nn.Linear(20, 2)
    )


def data() -> Dataset:
    images = np.random.default_rng(0).random((60, 28, 28))
    return pack("noise", "", (images, np.arange(60) % 2))


def run(
    make: Callable[[], nn.Module],
    rates: Sequence[float],
    optimizer: str,
    place: Checkpoint | None = None,
    advance: Callable[[int], object] = lambda steps: None,
) -> list[Trial]:
    setup = CompareSettings(train=24, test=20, epochs=3, batch_size=5, optimizer=optimizer).setup
    torch.manual_seed(0)
    models = [make() for _ in rates]
    splits = [split(data(), 24, 20, 3, seed) for seed in range(len(rates))]
    stacked = len(rates) > 1
    return train(
        models, rates, splits, data(), setup, stacked=stacked, advance=advance, checkpoint=place
    )


@pytest.mark.parametrize(
    ("make", "rates", "optimizer"),
    [
        (lambda: SmallConvNet(DataForm(2)), [0.001, 0.001, 0.004], "adam"),
        (lambda: SmallConvNet(DataForm(2)), [0.01, 0.02], "momentum"),
        (lambda: SmallConvNet(DataForm(2)), [0.01, 0.02], "sgd"),
        (dropping, [0.001], "adamw"),
    ],
)
@pytest.mark.parametrize("last", [1, 6, 14])  # of 15 steps; there are tests after every third
def test_a_killed_training_goes_on_to_the_same_bits(
    make: Callable[[], nn.Module],
    rates: Sequence[float],
    optimizer: str,
    last: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = run(make, rates, optimizer)
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    taken = 0

    def kill(models: int) -> None:
        nonlocal taken
        taken += models
        if taken == (last + 1) * len(rates):
            raise Killed

    path = tmp_path / "unfinished" / "a.safetensors"
    with pytest.raises(Killed):
        run(make, rates, optimizer, Checkpoint(path), kill)
    heard: list[int] = []
    resumed = run(make, rates, optimizer, Checkpoint(path), heard.append)
    assert heard[0] == last * len(rates)
    assert sum(heard) == 15 * len(rates)
    for one, two in zip(whole, resumed, strict=True):
        assert one.losses.tobytes() == two.losses.tobytes()
        assert one.scores == two.scores


@pytest.mark.parametrize("kind", ["damaged", "cut off", "of another model"])
def test_a_state_that_does_not_fit_is_none(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    path = tmp_path / "unfinished" / "a.safetensors"
    run(
        lambda: SmallConvNet(DataForm(2)) if kind != "of another model" else dropping(),
        [0.1],
        "sgd",
        Checkpoint(path),
    )
    if kind == "damaged":
        path.write_bytes(b"no tensors" * 99)
    elif kind == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    heard: list[int] = []
    run(lambda: SmallConvNet(DataForm(2)), [0.1], "sgd", Checkpoint(path), heard.append)
    assert heard == [1] * 15


def test_a_state_that_cannot_be_written_keeps_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Checkpoint(tmp_path / "unfinished" / "a.safetensors")
    place.save({"x": torch.ones(3)})

    def full(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(FaninError, match=r"a\.safetensors cannot be written \(No space left"):
        place.save({"x": torch.zeros(3)})
    assert [path.name for path in place.path.parent.iterdir()] == ["a.safetensors"]
    found = place.load()
    assert found is not None
    assert found["x"].tolist() == [1, 1, 1]


def test_what_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / checkpoint.FOLDER
    one, two = (Checkpoint(folder / f"{name}.safetensors") for name in "ab")
    for place in (one, two):
        place.save({"x": torch.ones(1)})
    (folder / "a.steps").touch()
    (folder / ".a.safetensors.123.tmp").touch()  # half written by a process that was killed
    assert checkpoint.count(tmp_path) == 2
    one.remove()
    assert [path.name for path in folder.iterdir()] == ["b.safetensors"]
    checkpoint.forget(tmp_path)
    assert not folder.exists()
    checkpoint.forget(tmp_path)
