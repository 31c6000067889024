"""Operations: what a node can do, and the traits that structure, propagation and checks go by.

A new operation is one row here; what passes activations, ends chains or sums is read from its
traits, nowhere from a list of names.
"""

from functools import cache
from typing import Literal

Op = Literal[
    "input",
    "buffer",
    "parameter",
    "linear",
    "lookup",
    "scale",
    "shift",
    "matmul",
    "attention",
    "softmax",
    "pointwise",
    "add",
    "mul",
    "normalize",
    "mean",
    "pool",
    "max",
    "sum",
    "concat",
    "view",
    "dropout",
    "recurrent",
]

Trait = Literal[
    "source",  # reads no activation
    "weight",  # maps features by a weight of its own
    "carries",  # gives the elements of what it reads, as they are or not at all
    "function",  # of every element by itself
    "affine",  # times or plus a parameter, element by element
    "window",  # of several neighbours, at fewer positions
    "reduces",  # of many positions, or of all
    "own size",  # the size of what it gives does not follow from what it reads
    "norm",  # to mean zero and variance one, or RMS one
    "pair",  # of two activations, element by element
    "breaks",  # no chain of layers goes through it: products of activations, norms, averages
    "keeps units",  # a unit of a weight is the same unit behind it
    "sums",  # of several terms, where large ones overflow
    "bulky",  # large, many, and their gradients say nothing that those around them do not
]

# What every operation does, and its traits. Whatever only moves, selects or copies elements is a
# "view".
OPERATIONS: dict[Op, tuple[str, frozenset[Trait]]] = {
    "input": ("from outside the model", frozenset({"source", "own size"})),
    "buffer": ("a constant of the model", frozenset({"source", "own size"})),
    "parameter": ("one on its own, as a class token", frozenset({"source", "own size"})),
    "linear": (
        "activations times a weight: dense, convolution, einsum, one per expert or group",
        frozenset({"weight", "sums"}),
    ),
    "lookup": ("rows of a table by integers", frozenset({"own size"})),
    "scale": (
        "activations times a parameter, element by element",
        frozenset({"affine", "keeps units", "sums"}),
    ),
    "shift": (
        "activations plus a parameter: a bias, a position table",
        frozenset({"affine", "keeps units", "sums"}),
    ),
    "matmul": ("two activations multiplied as matrices", frozenset({"breaks", "sums", "bulky"})),
    "attention": ("fused: inputs q, k, v", frozenset({"breaks", "bulky"})),
    "softmax": ("averages' weights", frozenset({"own size", "breaks", "bulky"})),
    "pointwise": (
        "a function of its inputs, element by element",
        frozenset({"function", "keeps units"}),
    ),
    "add": ("two activations", frozenset({"pair", "keeps units", "sums"})),
    "mul": ("two activations", frozenset({"pair", "breaks", "keeps units", "sums"})),
    "normalize": (
        "to mean zero and variance one, or RMS one; a norm's own scale and shift are next nodes",
        frozenset({"norm", "own size", "breaks", "keeps units", "bulky"}),
    ),
    "mean": ("over positions", frozenset({"reduces", "sums"})),
    "pool": ("the average over a window", frozenset({"window", "sums"})),
    "max": ("the largest of several", frozenset({"window"})),
    "sum": ("of several elements", frozenset({"reduces", "sums"})),
    "concat": ("activations beside each other", frozenset()),
    "view": ("moves, selects or copies elements", frozenset({"carries", "bulky"})),
    "dropout": ("zeros by chance, the rest divided", frozenset({"carries", "keeps units"})),
    "recurrent": (
        "a whole recurrent module, bounded by its gates",
        frozenset({"weight", "own size", "breaks"}),
    ),
}


@cache
def having(*traits: Trait) -> frozenset[Op]:
    """The operations that have any of these traits."""
    return frozenset(op for op, (_, own) in OPERATIONS.items() if own.intersection(traits))
