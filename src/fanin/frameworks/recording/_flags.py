"""Flags: what the names of operations say of the nodes that they become."""

from fanin.graph import Flag, Op

_FLAGS: dict[Op, dict[Flag, tuple[str, ...]]] = {
    "input": {"integers": ("integers",)},
    "view": {
        "integers": ("integers",),
        "one hot": ("one_hot",),
        "part": ("slice", "select"),
        "moved": ("index", "index_select", "gather", "roll", "flip"),
        "written": ("mask", "write", "where", "masked_fill", "constant_pad_nd"),
    },
    "concat": {"written": ("write", "where")},
    "pointwise": {"written": ("where",)},
    "add": {"difference": ("sub",), "centred": ("centre",)},
    "shift": {"units": ("units",)},
    "normalize": {
        "uncentred": ("rms_norm", "_fused_rms_norm"),
        "by deviation": ("over_std",),
    },
    "softmax": {"logarithm": ("log_softmax",)},
    "linear": {"convolution": ("convolution",)},
    "matmul": {"convolution": ("convolution",)},
}


def flags_of(op: Op, label: str) -> frozenset[Flag]:
    """The flags of a node of this operation, by the name that it is recorded under."""
    return frozenset(flag for flag, names in _FLAGS.get(op, {}).items() if label in names)
