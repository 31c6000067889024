"""What libraries do when nothing is said: torch, Keras, Flax, Equinox and Haiku."""

import math
from collections.abc import Mapping
from dataclasses import replace

from fanin._fans import fans
from fanin.axes import Axes
from fanin.graph import Graph
from fanin.initializers import (
    Initializer,
    glorot_uniform,
    lecun_truncated_normal,
    normal,
    ones,
    orthogonal,
    torch_bias,
    torch_default,
    truncated_normal,
    uniform,
    variance_scaling,
    zeros,
)
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._tree import open_forget_gate


def torch(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """Every parameter as torch's reset_parameters does, whatever follows the layer.

    Linear layers and convolutions: U(+-1/sqrt(f)), f = shape[1] * kernel as stored, which is
    fan_in but for transposed convolutions; their biases the same. Bilinear: f = shape[1].
    Recurrent layers: all U(+-1/sqrt(hidden)). Attention: Xavier uniform of the packed weight
    as one matrix, biases zero. Embeddings N(0, 1). Normalizations and PReLU as made.

    Source: torch/nn/modules, version 2.13. Of other layers' parameters, weights and biases get
    the rule of linear layers.
    """
    siblings = _Siblings(params)
    return place(params, graph, lambda param: _torch(param, siblings))


def _torch(param: Param, siblings: "_Siblings") -> Choice | None:
    hidden = siblings.count_units(param)
    if hidden is not None and param.kind in ("weight", "recurrent", "bias", "direction"):
        return Choice(torch_bias(hidden), param.kind, f"U(+-1/sqrt({hidden})), the hidden size")
    match param.kind:
        case "table" if "out" in param.axes.roles:
            return Choice(normal(), "table", "N(0, 1)")
        case "table" if param.owner == "MultiheadAttention":
            std = 1 / math.sqrt(param.shape[-1])  # Xavier of (1, 1, E): both fans are E
            return Choice(normal(std=std), "table", "Xavier normal")
        case "weight" | "direction" if param.owner == "MultiheadAttention":
            return Choice(_xavier(param.shape), param.kind, "Xavier uniform, as stored")
        case "weight" | "direction":
            return Choice(_torch_weight(param), param.kind, "U(+-1/sqrt(fan_in)) as torch counts")
        case "bias":
            fan_in = siblings.fan_in(param)
            if fan_in is not None:
                return Choice(torch_bias(fan_in), "bias", f"U(+-1/sqrt({fan_in}))")
    return None


def _xavier(shape: tuple[int, ...]) -> Initializer:
    fan_in, fan_out = fans(shape, convention="torch")
    bound = math.sqrt(6 / (fan_in + fan_out))
    return uniform(-bound, bound)


def _torch_weight(param: Param) -> Initializer:
    roles, transposed = param.axes.roles, param.axes.transposed
    if roles[:2] == (("in", "out") if transposed else ("out", "in")) and roles != _BILINEAR:
        return torch_default()
    if transposed or roles == _BILINEAR:
        return torch_bias(_torch_fan_in(param))
    return variance_scaling(1 / 3, "fan_in", "uniform")


_BILINEAR = ("out", "in", "in")


def _torch_fan_in(weight: Param) -> int:
    """What torch counts as fan_in: of a transposed convolution its outputs, whatever the layout."""
    shape, axes = weight.shape, weight.axes
    if axes.roles == _BILINEAR:
        return shape[1]
    if axes.transposed:
        return axes.size("out", shape) * axes.size("kernel", shape)
    return int(fans(shape, axes).fan_in)


# Attention's: of its packed weight, and of its output.
_ZERO_BIASES = ("MultiheadAttention", "NonDynamicallyQuantizableLinear")


class _Siblings:
    """The weights of the modules that biases belong to."""

    def __init__(self, params: Mapping[str, Param]) -> None:
        self.weights: dict[str, Param] = {}
        self.recurrent: dict[str, Param] = {}
        for param in params.values():
            found = self.recurrent if param.kind == "recurrent" else self.weights
            if param.kind in ("weight", "direction", "recurrent"):
                found.setdefault(_module(param), param)

    def count_units(self, param: Param) -> int | None:
        """The number of hidden units of a recurrent layer; None in any other."""
        weight = self.recurrent.get(_module(param))
        if weight is None:
            return None
        return weight.axes.blocks[0] if weight.axes.blocks else weight.shape[0]

    def weight(self, param: Param) -> Param | None:
        """The weight of a parameter's module; None where there is none."""
        return self.weights.get(_module(param))

    def fan_in(self, param: Param) -> int | None:
        """What torch counts as fan_in for a bias; None where torch's bias is zero."""
        weight = self.weight(param)
        if weight is None or param.owner in _ZERO_BIASES:
            return None
        return _torch_fan_in(weight)


def _module(param: Param) -> str:
    """The name of a parameter's module; a weight in two halves is stored one level down."""
    head, _, last = param.name.rpartition(".")
    return head.rpartition(".")[0] if last in ("original0", "original1") else head


def keras(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """Keras's defaults: Glorot uniform, recurrent orthogonal, zeros, an open forget gate.

    Embeddings are U(+-0.05). Glorot's fan_out of a grouped convolution counts all outputs, as
    Keras does. The recurrent weight of a layer is here one orthogonal matrix for each gate,
    where Keras makes one of all.

    Source: keras/src/layers and keras/src/initializers, version 3.
    """
    return place(params, graph, _keras)


def _keras(param: Param) -> Choice | None:
    match param.kind:
        case "weight" | "direction":
            return Choice(_glorot(param), param.kind, "Keras's default, Glorot uniform")
        case "table" if "out" in param.axes.roles:
            return Choice(uniform(-0.05, 0.05), "table", "Keras's default, U(+-0.05)")
        case "recurrent":
            return Choice(orthogonal(), "recurrent", "Keras's default")
        case "bias" if (opened := open_forget_gate(param)) is not None:
            return Choice(opened, "bias", "Keras's unit_forget_bias")
    return None


def _glorot(param: Param) -> Initializer:
    own, axes = glorot_uniform(), param.axes
    if axes.groups == 1:
        return own
    # kernel, in, out, as Keras stores it
    shape = [param.shape[position] for position in _by_role(axes, ("kernel", "in", "out"))]
    bound = math.sqrt(6 / sum(fans(shape, convention="keras")))
    return uniform(-bound, bound)


def _by_role(axes: Axes, order: tuple[str, ...]) -> list[int]:
    return [at for role in order for at, item in enumerate(axes.roles) if item == role]


def flax(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """Flax's defaults: LeCun normal, cut at two of its standard deviations; biases zero.

    Embeddings: normal of variance 1 / features. Recurrent kernels orthogonal, every gate.
    fan_in of a transposed convolution is in * kernel, whatever its stride.

    Source: flax/linen, version 0.12: linear.py, attention.py, recurrent.py.
    """
    return place(params, graph, _flax)


def _flax(param: Param) -> Choice | None:
    match param.kind:
        case "weight" | "direction":
            # The operation's fan_in is divided by the strides; Flax's is not.
            steps = param.axes.steps() if param.axes.transposed else 1
            cut = variance_scaling(1 / steps) if steps > 1 else lecun_truncated_normal()
            return Choice(cut, param.kind, "Flax's default, LeCun normal")
        case "table" if "out" in param.axes.roles:
            std = 1 / math.sqrt(param.shape[-1])
            return Choice(normal(std=std), "table", "Flax's default, variance 1 / features")
        case "recurrent":
            return Choice(orthogonal(), "recurrent", "Flax's default")
        case "bias":
            return Choice(zeros(), "bias", "Flax's default")
        case "scale" if param.constant is None:
            return Choice(ones(), "scale", "Flax's default")
    return None


def equinox(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """Equinox's defaults: weights and biases U(+-1/sqrt(fan_in)), embeddings N(0, 1).

    fan_in is that of one group, times the kernel, whatever the stride. Recurrent cells: all
    U(+-1/sqrt(hidden)).

    Source: equinox/nn, version 0.13: _linear.py, _conv.py, _rnn.py, _embedding.py.
    """
    siblings = _Siblings(params)
    return place(params, graph, lambda param: _equinox(param, siblings))


def _equinox(param: Param, siblings: "_Siblings") -> Choice | None:
    hidden = siblings.count_units(param)
    if hidden is not None and param.kind in ("weight", "recurrent", "bias"):
        return Choice(torch_bias(hidden), param.kind, f"U(+-1/sqrt({hidden})), the hidden size")
    weight = siblings.weight(param)
    match param.kind:
        case "weight" | "direction":
            return Choice(torch_bias(_map_fan(param)), param.kind, "Equinox's default")
        case "bias" if weight is not None:
            return Choice(
                torch_bias(_map_fan(weight)), "bias", "Equinox's default, as the weight's"
            )
        case "table" if "out" in param.axes.roles:
            return Choice(normal(), "table", "Equinox's default, N(0, 1)")
    return None


def _map_fan(weight: Param) -> int:
    """How many products an output sums where no stride leaves any out."""
    return int(fans(weight.shape, replace(weight.axes, stride=1, blocks=())).fan_in)


def haiku(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """Haiku's defaults: normal of std 1/sqrt(fan_in), cut at two of them; biases zero.

    What is left after the cut is 0.88 of that std, which Haiku does not make up for. Embeddings:
    the same cut of N(0, 1). fan_in is that of one group, times the kernel, whatever the stride.
    GRU's weights, which Haiku makes up for, are drawn like those of other layers.

    Source: haiku/_src, version 0.0.17: basic.py, conv.py, embed.py, recurrent.py.
    """
    return place(params, graph, _haiku)


def _haiku(param: Param) -> Choice | None:
    match param.kind:
        case "weight" | "direction" | "recurrent":
            std = 1 / math.sqrt(max(_map_fan(param), 1))
            why = "Haiku's default, 1/sqrt(fan_in), cut"
            return Choice(truncated_normal(std=std), param.kind, why)
        case "table" if "out" in param.axes.roles:
            return Choice(truncated_normal(), "table", "Haiku's default, N(0, 1), cut")
        case "bias":
            return Choice(zeros(), "bias", "Haiku's default")
    return None


LIBRARIES: tuple[Recipe, ...] = (
    Recipe("torch", torch, "torch/nn/modules, reset_parameters"),
    Recipe("keras", keras, "keras/src/layers, default arguments"),
    Recipe("flax", flax, "flax/linen, default arguments"),
    Recipe("equinox", equinox, "equinox/nn, default_init"),
    Recipe("haiku", haiku, "haiku/_src, default arguments"),
)
