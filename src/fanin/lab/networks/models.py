"""A model by name: one of the lab's networks, or a factory `package.module:make_model`."""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fanin._imported import import_object, select_accepted
from fanin.errors import FaninError, one_line, suggestion
from fanin.lab.data.dataset import Dataset
from fanin.lab.data.inputs import InputKind
from fanin.lab.networks import activations
from fanin.lab.networks.networks import NETWORKS
from fanin.lab.settings import CompareSettings
from fanin.lab.setup import TrialSetup

KINDS: dict[InputKind, str] = {"images": "images", "table": "a table", "tokens": "token ids"}


@dataclass(frozen=True)
class NetworkOfUser:
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
                raise FaninError(
                    f"model {self.name!r} raised {one_line(error, named=True)}."
                ) from error
        if not isinstance(model, nn.Module) or not any(True for _ in model.parameters()):
            raise FaninError(
                f"model {self.name!r} returned {type(model).__name__} without parameters. "
                "Return a torch.nn.Module."
            )
        return model


def find(setup: TrialSetup, data: Dataset) -> NetworkOfUser:
    """The model that a setup names, for the outputs that the data needs."""
    name, depth = setup.model, setup.depth
    if ":" in name:
        return _factory(setup, data)
    if name not in NETWORKS:
        raise FaninError(
            f"unknown model {name!r}{suggestion(name, tuple(NETWORKS))} "
            "A factory is written package.module:make_model."
        )
    network = NETWORKS[name]
    if data.kind not in network.kinds:
        raise FaninError(_other_kind(name, network.kinds, data))
    if network.depth is None and depth is not None:
        raise FaninError(f"model {name!r} has one depth. Leave depth out, or use deep_cnn.")
    activation = activations.find(setup.activation)
    layers = depth or network.depth or 0
    return NetworkOfUser(name, lambda: network.make(data.form, activation, layers))


def reads_images_alone(name: str) -> bool:
    """Whether a model of this name is one of the lab's networks for images and nothing else."""
    return name in NETWORKS and NETWORKS[name].kinds == ("images",)


def _other_kind(name: str, kinds: Sequence[InputKind], data: Dataset) -> str:
    shape = ", ".join(map(str, ("n", *data.inputs.shape[1:])))
    held = f"{KINDS[data.kind]} ({shape}) of type {data.inputs.dtype}"
    others = [other for other, network in NETWORKS.items() if data.kind in network.kinds]
    return (
        f"model {name!r} reads {' or '.join(KINDS[kind] for kind in kinds)}, but {data.name} holds "
        f"{held}. Use {', '.join(others)} or a factory package.module:make_model."
    )


def check_output(name: str, model: nn.Module, inputs: Tensor, data: Dataset) -> None:
    """Raise unless the model runs on inputs (n, ...) and returns (n, outputs)."""
    training = model.training
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = model.eval()(inputs)
    except Exception as error:
        raise FaninError(
            f"model {name!r} raised {one_line(error, named=True)} on {data.unit} of shape "
            f"{tuple(inputs.shape)} and type {inputs.dtype}."
        ) from error
    finally:
        model.train(training)
    wanted = (len(inputs), data.outputs)
    if not isinstance(found, Tensor) or tuple(found.shape) != wanted:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        what = f"{data.classes} classes" if data.classes else f"{data.outputs} numbers"
        raise FaninError(
            f"model {name!r} returns {got} for {len(inputs)} {data.unit}, but the labels of "
            f"{data.name} are {what}. Return {wanted}."
        )


def _factory(setup: TrialSetup, data: Dataset) -> NetworkOfUser:
    name = setup.model
    made = import_object(name, "model")
    if isinstance(made, nn.Module):
        raise FaninError(
            f"model {name!r} is a model, {type(made).__name__}: name its class, or a function that "
            "makes it."
        )
    offered = {
        "outputs": data.outputs,
        "classes": data.outputs,
        "depth": setup.depth,
        "shape": tuple(data.inputs.shape[1:]),
        "tokens": data.tokens or None,
    }
    given = select_accepted(
        made, {key: value for key, value in offered.items() if value is not None}
    )
    file = None
    with suppress(TypeError, ValueError):  # of what is not written in Python
        file = inspect.getsourcefile(made)
    if setup.depth is not None and "depth" not in given:
        raise FaninError(f"model {name!r} takes no argument depth. Add one, or leave depth out.")
    if setup.activation != CompareSettings.activation:
        raise FaninError(
            f"activation is {setup.activation!r}, but model {name!r} chooses its own. Leave "
            "activation out."
        )
    source = Path(file).read_bytes() if file else b""
    return NetworkOfUser(name, lambda: made(**given), hashlib.sha256(source).hexdigest())
