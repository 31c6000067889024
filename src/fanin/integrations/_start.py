"""FirstWeights: the first weights of a model, as a trainer is asked for them."""

import inspect
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from fanin._arguments import check_seed
from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks.torch import is_spread, slots
from fanin.plans import Plan, initialize

_NAME = "plan.toml"
_OWN = {"self", "model", "seed", "inputs", "device", "prefix"}  # said elsewhere, or not at all


class FirstWeights:
    """A plan that was made before, or what `fanin.initialize` makes one of; checked at once."""

    def __init__(
        self,
        seed: int | None,
        inputs: Any,
        plan: Plan | str | PathLike[str] | None,
        options: Mapping[str, Any],
    ) -> None:
        self.seed = seed if seed is None else check_seed(seed)
        self.inputs, self.options = inputs, dict(options)
        self.plan = plan if isinstance(plan, Plan) or plan is None else Plan.load(plan)
        if plan is not None and inputs is not None:
            raise FaninError("plan and inputs are both given; a plan was made with its inputs.")
        takes = inspect.signature(initialize if plan is None else Plan.apply).parameters
        known = [name for name in takes if name not in _OWN]
        for name in options:
            if name not in known:
                what = "with plan= " if plan is not None else ""
                raise FaninError(f"unknown argument {what}{name!r}{suggestion(name, known)}")

    def draw(self, model: Any, inputs: Any = None, device: Any = None) -> Plan:
        """Give the model its weights; returns the applied plan.

        `inputs` count where the user gave none, and only where every process holds the whole.
        """
        if self.plan is not None:
            return self.plan.apply(model, self.seed, device=device, **self.options)
        given = self.inputs
        if given is None and inputs is not None and not is_sharded(model):
            given = inputs
        return initialize(model, self.seed or 0, given, device=device, **self.options)


def is_sharded(model: Any) -> bool:
    """Whether processes hold parameters together, be it one process alone."""
    return any(is_spread(slot.tensor) for slot in slots(model))


def save_beside(plan: Plan, folder: str | PathLike[str]) -> Path | None:
    """Write plan.toml into the folder of checkpoints, which is made; None for one elsewhere."""
    if "://" in str(folder):  # of a store that is no file system: the checkpoint alone holds it
        return None
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FaninError(f"cannot make the folder {quote(str(path))}: {error.strerror}.") from None
    return plan.save(path / _NAME)
