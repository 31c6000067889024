"""Layer: what was measured of one weight and its output."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight at its first use, and the output that it gave, its bias included.

    Numbers are None where they were not measured or do not exist. `rms` and `mean` are of the
    output; `expected_rms` follows from the weights' own variances and the activations, from the
    start of the layer's chain on. `gradient` is the norm per sample of the loss's gradient with
    respect to the output. `scale` is n Var(W) E[x**2] over the square that keeps a signal, as a
    factor on the standard deviation: 1 keeps it. `saturated` and `dead` are shares (of values, of
    units) behind the activation that follows. `chain` numbers the run of layers between
    normalizations that the layer belongs to, `position` counts within it, both from 0.
    """

    name: str  # of the weight: "layers.3.weight"
    module: str  # that holds it: "layers.3"
    kind: str  # "linear", "conv2d", "embedding", "lstm"
    shape: tuple[int, ...]
    activation: str  # what the output goes through: "relu"; "" for none
    initializer: str  # matched to the values: "glorot_uniform", "normal std 1", "zeros"
    fan_in: int | None = None
    fan_out: int | None = None
    rms: float | None = None
    mean: float | None = None
    expected_rms: float | None = None
    scale: float | None = None
    gradient: float | None = None
    saturated: float | None = None
    dead: float | None = None
    cosine: float | None = None  # mean over pairs of different inputs
    distinct_rows: int | None = None  # of the weight, one row per output unit
    distinct_gradient_rows: int | None = None  # of the loss's gradient with respect to it
    chain: int | None = None
    position: int | None = None
