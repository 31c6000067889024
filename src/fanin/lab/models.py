"""A model by name: one of the lab's networks, or a factory `package.module:make_model`."""

import hashlib
import inspect
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fanin._imported import imported
from fanin.errors import FaninError, suggestion
from fanin.lab import activations
from fanin.lab.dataset import Dataset
from fanin.lab.networks import NETWORKS
from fanin.lab.setup import Setup


@dataclass(frozen=True)
class Model:
    """`make()` builds the model; `digest` is a hash of the factory's source file, '' for ours."""

    name: str
    make: Callable[[], nn.Module]
    digest: str = ""

    def build(self, seed: int) -> nn.Module:
        """A new model. What its own constructor draws depends on the seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                model = self.make()
            except FaninError:
                raise
            except Exception as error:
                raise FaninError(f"model {self.name!r} raised {_told(error)}.") from error
        if not isinstance(model, nn.Module) or not any(True for _ in model.parameters()):
            raise FaninError(
                f"model {self.name!r} returned {type(model).__name__} without parameters. "
                "Return a torch.nn.Module."
            )
        return model


def find(setup: Setup, data: Dataset) -> Model:
    """The model that a setup names, for the outputs that the data needs."""
    name, depth = setup.model, setup.depth
    if ":" in name:
        return _factory(setup, data.outputs)
    if name not in NETWORKS:
        raise FaninError(
            f"unknown model {name!r}{suggestion(name, tuple(NETWORKS))} "
            "A factory is written package.module:make_model."
        )
    network = NETWORKS[name]
    if network.depth is None and depth is not None:
        raise FaninError(f"model {name!r} has one depth. Leave depth out, or use deep_cnn.")
    activation = activations.find(setup.activation)
    layers = depth or network.depth or 0
    return Model(name, lambda: network.make(data.outputs, activation, layers))


def check_output(name: str, model: nn.Module, images: Tensor, data: Dataset) -> None:
    """Raise unless the model runs on images (n, 1, 28, 28) and returns (n, outputs)."""
    training = model.training
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = model.eval()(images)
    except Exception as error:
        raise FaninError(
            f"model {name!r} raised {_told(error)} on images of shape {tuple(images.shape)}."
        ) from error
    finally:
        model.train(training)
    wanted = (len(images), data.outputs)
    if not isinstance(found, Tensor) or tuple(found.shape) != wanted:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        what = f"{data.classes} classes" if data.classes else f"{data.outputs} numbers"
        raise FaninError(
            f"model {name!r} returns {got} for {len(images)} images, but the labels of "
            f"{data.name} are {what}. Return {wanted}."
        )


def _factory(setup: Setup, outputs: int) -> Model:
    name = setup.model
    made = imported(name, "model")
    offered = {"outputs": outputs, "classes": outputs, "depth": setup.depth}
    accepted: Collection[str] = ()
    file = None
    with suppress(TypeError, ValueError):  # of what is not written in Python
        accepted = inspect.signature(made).parameters
        file = inspect.getsourcefile(made)
    given = {key: value for key, value in offered.items() if key in accepted and value is not None}
    if setup.depth is not None and "depth" not in given:
        raise FaninError(f"model {name!r} takes no argument depth. Add one, or leave depth out.")
    source = Path(file).read_bytes() if file else b""
    return Model(name, lambda: made(**given), hashlib.sha256(source).hexdigest())


def _told(error: Exception) -> str:
    """An exception in one short line."""
    message = (str(error).splitlines() or [""])[0].rstrip(".")[:200]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
