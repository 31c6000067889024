"""Groups: parameters of an optimizer, with the rates that a plan's factors give."""

from collections.abc import Mapping
from typing import Any

from fanin._arguments import check_number
from fanin.errors import FaninError, quote
from fanin.plans._plan import Plan
from fanin.plans._row import Row


def optimizer_groups(
    plan: Plan,
    params: Mapping[str, Any],
    *,
    lr: float,
    eps: float | None = None,
    weight_decay: float | None = None,
) -> list[dict[str, Any]]:
    """Parameters grouped by the factors of their rows, for an optimizer of torch.

    Args:
        plan: of a recipe with factors, such as `mup` or `completep`.
        params: the parameters to train by name, dict(model.named_parameters()).
        lr: the learning rate that the factors multiply.
        eps: Adam's epsilon; None leaves the key out.
        weight_decay: the decoupled decay; None leaves the key out.

    Returns a list of dicts with "params", "lr" and, where they were given, "eps" and
    "weight_decay". Raises FaninError for a name that the plan has not, and for rates that are no
    positive numbers.

    >>> import fanin, torch
    >>> from fanin.plans import optimizer_groups
    >>> from fanin.recipes import mup
    >>> def net(width):
    ...     return torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Linear(width, 2))
    >>> model = net(32)
    >>> plan = fanin.plan(model, recipe=mup(base=dict(net(8).named_parameters())))
    >>> groups = optimizer_groups(plan, dict(model.named_parameters()), lr=0.01)
    >>> [(len(group["params"]), group["lr"]) for group in groups]
    [(3, 0.01), (1, 0.0025)]
    """
    check_number("lr", lr, 0, 1e6)
    for name, value in (("eps", eps), ("weight_decay", weight_decay)):
        if value is not None:
            check_number(name, value, 0, 1e6)
    if not isinstance(plan, Plan):
        raise FaninError(f"plan is {quote(plan)}; give what fanin.plan makes.")
    if not isinstance(params, Mapping):
        raise FaninError(f"params is {quote(params)}; give dict(model.named_parameters()).")
    groups: dict[tuple[float, float, float], list[Any]] = {}
    for name, tensor in params.items():
        if name not in plan:
            raise FaninError(f"the plan has no parameter {quote(name)}; make it of the same model.")
        groups.setdefault(_factors(plan[name]), []).append(tensor)
    return [
        {"params": tensors, "lr": lr * rate}
        | ({} if eps is None else {"eps": eps * small})
        | ({} if weight_decay is None else {"weight_decay": weight_decay * decay})
        for (rate, small, decay), tensors in groups.items()
    ]


def _factors(row: Row) -> tuple[float, float, float]:
    return row.lr_factor, row.eps_factor, row.decay_factor
