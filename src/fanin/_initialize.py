"""initialize: one call from a model to its weights."""

from collections.abc import Mapping
from typing import Any

from fanin.frameworks import adapter_for
from fanin.initializers import Initializer
from fanin.plan import choose
from fanin.streams import check_seed


def initialize(
    model: Any,
    seed: int = 0,
    *,
    initializer: str | Initializer,
    overrides: Mapping[str, str | Initializer] | None = None,
) -> dict[str, Initializer]:
    """Give every parameter of a model its values, in place.

    Weights get `initializer` (a name or an Initializer), biases zeros, normalizations the
    identity. A value depends on nothing but `seed`, the parameter's name and the element's
    index: the same bits on every machine, and adding or removing layers changes no other's.

    Args: `model`, a torch.nn.Module of linear, convolution, normalization and embedding
    layers; `overrides`, initializers for parameters by name or glob pattern, which any other
    parameter needs. Returns the initializer that each parameter got, by name. Raises
    FaninError, with the model untouched, for whatever it cannot place.
    """
    check_seed(seed)
    adapter = adapter_for(model)
    slots = adapter.slots(model)
    chosen = choose([slot.param for slot in slots], initializer, overrides)
    for slot in slots:  # all that can fail, before the first write
        slot.rehearse(chosen[slot.param.name], seed)
    for slot in slots:
        slot.write(chosen[slot.param.name], seed)
    return chosen
