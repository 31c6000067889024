"""Recipes of networks with a state by name: gated, linear, and state spaces."""

from collections.abc import Callable, Iterator

from fanin.initializers import chrono as chrono_bias
from fanin.recipes._cases import Case, tabulate
from fanin.recipes._recipe import Recipe
from fanin.recipes._spots import Spots


def irnn() -> Recipe:
    """Recurrent weights the identity, all others N(0, 0.001): RNNs of rectifiers that remember.

    Source: Le et al. 2015, section 2.
    """
    return tabulate(
        "irnn",
        "Le et al. 2015, section 2",
        Case("recurrent", "identity()"),
        Case("weight, table", "normal(std=0.001)"),
    )


def chrono(steps: float = 100.0) -> Recipe:
    """LSTMs that remember for up to `steps` steps: biases f ~ log U(1, steps - 1) and i = -f.

    Weights Glorot uniform, recurrent ones orthogonal, as Keras has them; of torch's two biases the
    other is zero. Cells with a bias for each gate get one for the forget gate.

    Source: Tallec & Ollivier 2018, section 3, equation 16.
    """
    return tabulate(
        f"chrono({steps:g})",
        "Tallec & Ollivier 2018, equation 16",
        Case("gates", repr(chrono_bias(steps))),
        Case("recurrent", "orthogonal()"),
        Case("weight", "glorot_uniform()"),
    )


def mamba(low: float = 0.001, high: float = 0.1) -> Recipe:
    """Mamba: time steps log-uniform from `low` to `high` through a softplus, decay rates 1, 2, 3.

    Biases of steps so, weights of steps U(+-1/sqrt(in)), as all weights; ends of branches divided
    by the square root of the number of branches; tables N(0, 0.02); the logarithms of decay rates
    log(n + 1). Those two are drawn though the constructor made them.

    Source: Gu & Dao 2023, section 3.6; state-spaces/mamba, mamba_simple.py and
    mixer_seq_simple.py.
    """
    limit = "1 / sqrt({in})"
    ends = "1 / sqrt({in} * {branches})"
    return tabulate(
        "mamba" if (low, high) == (0.001, 0.1) else f"mamba({low:g}, {high:g})",
        "Gu & Dao 2023, section 3.6",
        Case("table, weight tied", "normal(std=0.02)"),
        Case("weight steps", f"uniform(-{limit}, {limit})"),
        Case("weight end", f"uniform(-{ends}, {ends})"),
        Case("weight", f"uniform(-{limit}, {limit})"),
        Case("decay", "s4d_real()"),
        Case("steps", f"log_uniform({low!r}, {high!r}, transform='inverse_softplus')"),
        notes=_note_without_decay,
    )


RECURRENCES: tuple[Callable[..., Recipe], ...] = (irnn, chrono, mamba)


def _note_without_decay(spots: Spots) -> Iterator[str]:
    if "decay" not in spots.words:
        yield "the run shows no decay rate exp(p) that acts for a softplus."
