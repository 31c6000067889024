"""Cause: which of data, bias and weights is at fault at a layer, so that advice names that one."""

from collections.abc import Sequence

from fanin._columns import list_names
from fanin.checks._measurement import Measurement
from fanin.checks._remedy import DATA, RECTIFIERS, SIGMOIDS, initializer_for, same_size, write
from fanin.frameworks import ParameterStats
from fanin.graph import having, reach

_OUTWEIGHS = 0.7  # share of an output's RMS that a bias is, from which on it is to blame
_FADED = 0.3  # of the largest signal of a chain
_LISTED = 24  # places that advice names, each of which is to be changed
# What raw numbers pass on their way to a layer, their scale unknown to any initializer.
_HELD = having("own size") - having("source")


def advice(m: Measurement, path: Sequence[int]) -> str:
    """What to write for the layers of a path: for biases where they are at fault, else weights."""
    # Beside a signal that has faded every bias is large: the weights are at fault there.
    least = _FADED * max((m.size(use) or 0.0 for use in path), default=0.0)
    biases = ((use, bias_of(m, use)) for use in path if outweighs(m, use))
    heavy = [use for use, bias in biases if bias is not None and bias.rms >= least]
    if heavy:
        return f"zeros() for the bias of {_places(m, heavy)}: it outweighs the signal there."
    first = m.chains.uses[path[0]]
    if raw_inputs(m, first.node) is not None and _saturates(m, path):
        return DATA
    fit = all(m.fits(use) for use in path[1:])
    return write(m.activation(path[0]), fit, any(has_bias(m, use) for use in path))


def _saturates(m: Measurement, path: Sequence[int]) -> bool:
    """Whether a function behind one of these uses of weights is flat at too many values."""
    limit = m.limits.saturated_warning
    return any(share > limit and m.chains.owners[at] in path for at, share in m.flat.items())


def _places(m: Measurement, uses: Sequence[int]) -> str:
    names = list(dict.fromkeys(m.module(use) or m.chains.uses[use].name for use in uses))
    return list_names(names, _LISTED)


def bias_of(m: Measurement, use: int) -> ParameterStats | None:
    """The values of the bias of a weight's use; None where it has none."""
    node = m.nodes[m.chains.uses[use].output]
    return m.values.get(node.param.name) if node.op == "shift" and node.param else None


def has_bias(m: Measurement, use: int) -> bool:
    """Whether a use of a weight has a bias that is not zero."""
    bias = bias_of(m, use)
    return bias is not None and bias.rms > 0


def outweighs(m: Measurement, use: int) -> bool:
    """Whether a layer's output is its bias more than anything else, and too large or all one."""
    bias, size = bias_of(m, use), m.size(use)
    if bias is None or size is None or size == 0 or not bias.finite:
        return False
    return bool(bias.rms >= _OUTWEIGHS * size)


def raw_inputs(m: Measurement, position: int) -> int | None:
    """The input of the run that is off scale and reaches a node; None for none.

    A normalization on the way makes up for it.
    """

    def before(at: int) -> tuple[int, ...]:
        node = m.nodes[at]
        return () if node.op in _HELD and (node.over != "batch" or m.train) else node.inputs

    sources = reach([position], before)
    return next((at for at in sources if m.nodes[at].op == "input" and at in m.off_scale), None)


def smaller(m: Measurement, uses: Sequence[int], label: str) -> str:
    """What to write where the values of a bounded function are too large behind these weights.

    The first is the one that is to blame most.
    """
    use, word = uses[0], initializer_for(label)
    unfit = [
        at for at in uses if not (_has_size(m, at, word) or _has_size(m, at, "lecun_normal()"))
    ]
    fit = use not in unfit
    weights = f"the weight{'s' * (len(unfit) > 1)} of {_places(m, sorted(unfit))}"
    if raw_inputs(m, m.chains.uses[use].node) is not None:
        return DATA if fit else f"{DATA} And {word} for {weights}."
    if outweighs(m, use):
        chain = m.chains.uses[use].chain
        beside = [at for at, use in enumerate(m.chains.uses) if use.chain == chain]
        heavy = [use for use in beside if outweighs(m, use)]
        weight = "" if fit else f", and {word} for {weights}"
        return f"zeros() for the bias of {_places(m, heavy)}{weight}."
    if fit:
        return (
            f"a normalization before {_places(m, [use])}: its weight has the size of {word} "
            "already, and what feeds it is too large."
        )
    if label in SIGMOIDS and m.chains.uses[use].depth + 1 >= m.limits.sigmoids_warning:
        return write(label, fit=True)  # at the size of glorot_normal() sigmoids learn later still
    biased = [at for at in unfit if has_bias(m, at)]
    return f"{word} or lecun_normal() for {weights}" + (
        f", zeros() for the bias of {_places(m, sorted(biased))}." if biased else "."
    )


def _has_size(m: Measurement, use: int, word: str) -> bool:
    place = m.chains.uses[use]
    values, how = m.values.get(place.name), m.nodes[place.node].param
    if values is None or how is None or how.fans is not None:
        return False
    return same_size(word, values.std, values.shape, how.axes)


def reviving(m: Measurement, use: int) -> str:
    """What to write for a layer whose rectifiers are silent on every input."""
    place, label = _places(m, [use]), m.activation(use)
    word = initializer_for(label if label in RECTIFIERS else "relu")
    bias = bias_of(m, use)
    fit = _has_size(m, use, word) or m.fits(use)
    if bias is not None and bias.mean < 0 and outweighs(m, use):
        return f"zeros() for the bias of {place}."
    if raw_inputs(m, m.chains.uses[use].node) is not None:
        return DATA
    if not fit:
        zeros = ", and zeros() for its bias" if has_bias(m, use) else ""
        return f"{word} for the weight of {place}{zeros}."
    return (
        f"leaky_relu in place of {label or 'relu'} behind {place}, or more units there: its weight "
        f"has the size of {word} already. A readout of real numbers has no rectifier behind it."
    )


def tell_bound(m: Measurement, position: int, owner: int | None) -> str:
    """What to write where a function or a sum grows beyond what its type holds."""
    label = m.nodes[position].function
    if raw_inputs(m, position) is not None:
        return DATA
    if label in ("div", "reciprocal", "rsqrt", "log", "log2", "log10"):
        return f"Keep what {label} is given away from 0: x.clamp(min=1e-6), say."
    if label in ("exp", "expm1", "sinh", "cosh", "pow"):
        before = f"the layer {m.module(owner)}" if owner is not None else "what it is given"
        return f"Bound {before} first: x.clamp(max=10), say, or zeros() for its weight."
    label = "" if owner is None else m.activation(owner)
    if label and owner is not None:
        return write(label, biased=has_bias(m, owner))
    return (
        "he_normal() before ReLU, lecun_normal() else for the weights up to here, or "
        "fanin.initialize(model, inputs=x)."
    )
