"""States: what remembers, of gated and of linear recurrent networks, and of state spaces."""

import math
from dataclasses import dataclass

import numpy as np

from fanin._arguments import check_choice
from fanin.axes import Axes
from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Elementwise, Initializer, Request, Whole, expression
from fanin.initializers._entry import Entry
from fanin.initializers._random import uniform
from fanin.streams import Array, Distribution
from fanin.streams._elementary import log_of
from fanin.streams._scales import InverseSoftplus, LogOfUniform, LogUniform, RingRate

_GATES = 4
_TRANSFORMS = ("log", "inverse_softplus")


@dataclass(frozen=True, slots=True, repr=False)
class DrawnScale(Elementwise):
    """Values of one distribution of scales, which prints as what made it."""

    drawn: LogUniform | LogOfUniform | RingRate
    printed: str

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        return self.drawn

    def __repr__(self) -> str:
        return self.printed


def log_uniform(low: float, high: float, transform: str | None = None) -> Initializer:
    """Log-uniform, as time steps are, or what a function of the model brings to it.

    Formula: t = exp(U(log low, log high)); w = t, or with transform="log" log t, which is uniform,
    or with transform="inverse_softplus" log(exp(t) - 1).
    Reads: no axes. Preserves: a spread of time scales from low to high, each octave alike.
    Units: `low` and `high` are of t, whatever the transform. std by quadrature.
    Source: Gu & Dao 2023, section 3.6 (Mamba, steps from 0.001 to 0.1 through softplus); Gu et al.
    2022 (S4), their logarithm.
    Differs: torch, JAX and Keras have none. Mamba's floor of 1e-4 is below its `low`.

    >>> log_uniform(0.001, 0.1, transform="inverse_softplus")
    log_uniform(0.001, 0.1, transform='inverse_softplus')
    """
    if transform is None:
        made = LogUniform(low, high)
        return DrawnScale(made, expression("log_uniform", made.low, made.high))
    check_choice("transform of log_uniform", transform, _TRANSFORMS)
    seen = InverseSoftplus(low, high)
    if transform == "log":
        return uniform(log_of(seen.low), log_of(seen.high))
    return DrawnScale(seen, expression("log_uniform", seen.low, seen.high, transform=transform))


@dataclass(frozen=True, slots=True, repr=False)
class Chrono(Whole):
    """See `chrono`."""

    steps: float

    def __post_init__(self) -> None:
        steps = as_number(self.steps)
        if not 2 < steps <= 1e100:
            raise FaninError(f"steps of chrono is {quote(self.steps)}; it is a number above 2.")
        object.__setattr__(self, "steps", steps)

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        if len(shape) != 1 or shape[0] % _GATES:
            raise FaninError(
                f"shape {shape} is no bias of an LSTM, which chrono is for: one axis of four gates."
            )

    def _gate(self) -> LogOfUniform:
        return LogOfUniform(1.0, self.steps - 1.0)

    def _values(self, request: Request, precision: str) -> Array:
        drawn = DrawnScale(self._gate(), "chrono")
        values = drawn(request.shape, seed=request.seed, name=request.name, dtype=precision)
        forget = np.split(values, _GATES)[1]
        return np.concatenate([-forget, forget, 0 * forget, 0 * forget])

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)
        gate = self._gate()
        return math.sqrt((gate.mean_of_values() ** 2 + gate.std_of_values() ** 2) / 2)

    def __repr__(self) -> str:
        return expression("chrono", self.steps)


def chrono(steps: float) -> Chrono:
    """The bias of an LSTM that is to remember for up to `steps` steps.

    Formula: forget ~ log U(1, steps - 1), input = -forget, cell and output 0; in torch's and
    Keras's order of gates: input, forget, cell, output.
    Reads: the one axis. Preserves: the cell state over times spread from 1 to `steps`.
    Units: `steps` is the longest dependency. torch adds two biases: give it to one of them.
    Source: Tallec & Ollivier 2018, section 3, equation 16.
    Differs: torch, JAX and Keras have none.

    >>> b = chrono(100.0)((8,), seed=0, name="lstm.bias")
    >>> bool((b[:2] == -b[2:4]).all()), b[4:].tolist()
    (True, [0.0, 0.0, 0.0, 0.0])
    """
    return Chrono(steps)


def lru_ring(r_min: float = 0.0, r_max: float = 1.0) -> Initializer:
    """nu_log of a linear recurrent unit, whose eigenvalues exp(-exp(nu_log)) fill a ring.

    Formula: nu_log = log(-1/2 log(u (r_max**2 - r_min**2) + r_min**2)), u ~ U(0, 1).
    Reads: no axes. Preserves: eigenvalues uniform on the ring between the two radii.
    Units: radii in [0, 1]; the value is the logarithm of a rate.
    Source: Orvieto et al. 2023, Lemma 3.2 and appendix A. theta_log is lru_phase.
    Differs: torch, JAX and Keras have none.

    >>> lru_ring(0.9, 0.999)
    lru_ring(0.9, 0.999)
    """
    made = RingRate(r_min, r_max)
    return DrawnScale(made, expression("lru_ring", made.low, made.high))


def lru_phase(largest: float = 2 * math.pi) -> Initializer:
    """theta_log of a linear recurrent unit: phases uniform from 0 to `largest`.

    Formula: theta_log = log(u largest), u ~ U(0, 1). Reads: no axes.
    Preserves: oscillations of all periods down to 2 pi / largest.
    Units: radians; the std is 1.
    Source: Orvieto et al. 2023, section 3.4 and appendix A (max_phase).
    Differs: torch, JAX and Keras have none.

    >>> round(lru_phase().std((10,)), 3)
    1.0
    """
    made = LogOfUniform(0.0, largest)
    return DrawnScale(made, expression("lru_phase", made.high))


@dataclass(frozen=True, slots=True, repr=False)
class ComputedStates(Whole):
    """A matrix or a row of numbers that the shape alone decides."""

    called: str

    @property
    def seeded(self) -> bool:
        """No seed decides what is computed."""
        return False

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        square = len(shape) >= 2 and shape[-1] == shape[-2]
        if not shape or (self.called == "hippo_legs" and not square):
            needs = "a last axis" if not shape else "two last axes of one length"
            raise FaninError(f"shape {shape} has not what {self!r} needs: {needs}.")

    def _row(self, shape: tuple[int, ...]) -> Array:
        n = np.arange(shape[-1], dtype=np.float64)
        match self.called:
            case "s4d_lin":
                return np.asarray(math.pi * n)
            case "s4d_real":
                return np.array([log_of(float(k + 1)) for k in range(shape[-1])])
        root = np.sqrt(2 * n + 1)
        return np.tril(-np.multiply.outer(root, root), -1) - np.diag(n + 1)

    def _values(self, request: Request, precision: str) -> Array:
        return np.broadcast_to(self._row(request.shape), request.shape).astype(precision)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)
        if not shape[-1]:
            return 0.0
        try:
            return float(self._row(shape).std())
        except (MemoryError, ValueError):  # the latter beyond what NumPy can count
            raise FaninError(
                f"the std of {self!r} in shape {shape} is that of the values themselves, and there "
                "is no memory for them."
            ) from None

    def __repr__(self) -> str:
        return expression(self.called)


def hippo_legs() -> ComputedStates:
    """HiPPO-LegS: the state matrix that keeps a history as Legendre polynomials.

    Formula: A[n, k] = -sqrt((2 n + 1) (2 k + 1)) for n > k, -(n + 1) for n == k, 0 above, from 0;
    the same for every seed and every matrix of the leading axes.
    Reads: the two last axes, of one length. Preserves: the whole past, each time alike.
    Units: a rate, of a state x' = A x + B u; B[n] = sqrt(2 n + 1).
    Source: Gu et al. 2020 (HiPPO), theorem 2.
    Differs: torch, JAX and Keras have none.

    >>> hippo_legs()((2, 2), seed=0, name="A", dtype="float64").round(3).tolist()
    [[-1.0, 0.0], [-1.732, -2.0]]
    """
    return ComputedStates("hippo_legs")


def s4d_lin() -> ComputedStates:
    """Imaginary parts of S4D-Lin: frequencies of a diagonal state space.

    Formula: w[..., n] = pi n, n from 0 along the last axis; real parts are -1/2, stored as
    log(1/2) mostly. The same for every seed.
    Reads: the last axis. Preserves: HiPPO's measure, approximately.
    Units: radians a unit of time.
    Source: Gu, Gupta, Goel & Ré 2022 (S4D), equation 9.
    Differs: torch, JAX and Keras have none.

    >>> s4d_lin()((3,), seed=0, name="A_imag", dtype="float64").round(3).tolist()
    [0.0, 3.142, 6.283]
    """
    return ComputedStates("s4d_lin")


def s4d_real() -> ComputedStates:
    """A_log of Mamba, S4D-Real: logarithms of decay rates 1, 2, 3 along the last axis.

    Formula: w[..., n] = log(n + 1), the same for every seed; A = -exp(w).
    Reads: the last axis. Preserves: memories of lengths 1, 1/2, 1/3 and so on.
    Units: the logarithm of a rate.
    Source: Gu, Gupta, Goel & Ré 2022 (S4D), section 4.2; Gu & Dao 2023, section 3.6.
    Differs: torch, JAX and Keras have none.

    >>> s4d_real()((3,), seed=0, name="A_log", dtype="float64").round(3).tolist()
    [0.0, 0.693, 1.099]
    """
    return ComputedStates("s4d_real")


_FLAT = (60_000,)
_S4D = "Gu, Gupta, Goel & Ré 2022"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "log_uniform",
        log_uniform,
        "none",
        "time scales, each octave alike",
        "Gu & Dao 2023, section 3.6",
        "log_uniform(0.001, 0.1, transform='inverse_softplus')",
        _FLAT,
        "exp(U(log low, log high)), or what brings it through softplus",
    ),
    Entry(
        "chrono",
        chrono,
        "its one axis",
        "the cell state, over times up to `steps`",
        "Tallec & Ollivier 2018, equation 16",
        "chrono(100.0)",
        _FLAT,
        "(-f, f, 0, 0) by gates, f ~ log U(1, steps - 1)",
    ),
    Entry(
        "lru_ring",
        lru_ring,
        "none",
        "eigenvalues in a ring",
        "Orvieto et al. 2023, Lemma 3.2",
        "lru_ring(0.5, 0.99)",
        _FLAT,
        "log(-log r), r**2 ~ U(r_min**2, r_max**2)",
    ),
    Entry(
        "lru_phase",
        lru_phase,
        "none",
        "oscillations of all periods",
        "Orvieto et al. 2023, section 3.4",
        "lru_phase(3.0)",
        _FLAT,
        "log U(0, largest)",
    ),
    Entry(
        "hippo_legs",
        hippo_legs,
        "the two last axes",
        "the whole past",
        "Gu et al. 2020, theorem 2",
        "hippo_legs()",
        (60, 60),
        "-sqrt((2n + 1)(2k + 1)) below, -(n + 1) on the diagonal",
    ),
    Entry(
        "s4d_lin",
        s4d_lin,
        "the last axis",
        "HiPPO's measure, approximately",
        f"{_S4D}, equation 9",
        "s4d_lin()",
        (60, 16),
        "pi n",
    ),
    Entry(
        "s4d_real",
        s4d_real,
        "the last axis",
        "memories of lengths 1, 1/2, 1/3 ...",
        f"{_S4D}, section 4.2",
        "s4d_real()",
        (60, 16),
        "log(n + 1)",
    ),
)
