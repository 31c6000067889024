"""Asked: what a loss takes activations of a model for, and which it compares with targets."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fanin.frameworks._observation import TargetsMet
from fanin.frameworks.recording._record import ActivationTensor
from fanin.frameworks.torch.observe._objective import Objective
from fanin.frameworks.torch.record._record import Recorder

# Operations that say what their first argument is.
ASKING = (
    "_log_softmax",
    "binary_cross_entropy_with_logits",
    "nll_loss_forward",
    "nll_loss2d_forward",
)
# Those that compare two tensors, number by number.
_COMPARING = ("huber_loss", "mse_loss", "rsub", "smooth_l1_loss", "sub")
# What shows the same numbers elsewhere, or in another type.
_CARRYING = (
    "alias",
    "clone",
    "detach",
    "expand",
    "permute",
    "reshape",
    "select",
    "slice",
    "squeeze",
    "t",
    "_to_copy",
    "transpose",
    "unsqueeze",
    "_unsafe_view",
    "view",
)


def asking(
    loss: Callable[[Any], Tensor], output: Any, recorder: Recorder
) -> tuple[Tensor, dict[str, int], TargetsMet | None]:
    """The loss of an output, the node that each asking operation read, what it compared."""
    mode = _LossMode(recorder, loss.targets if isinstance(loss, Objective) else None)
    with mode:
        value = loss(output)
    return value, mode.asked, mode.compared


class _Carried(NamedTuple):
    tensor: Tensor  # keeps its id taken
    node: int | None  # None of the targets
    shape: tuple[int, ...]  # before it was expanded


class _LossMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows activations and targets through the views of a loss; computes nothing of its own."""

    def __init__(self, recorder: Recorder, targets: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: dict[str, int] = {}
        self.compared: TargetsMet | None = None
        self._recorder = recorder
        self._carried: dict[int, _Carried] = {}
        if isinstance(targets, Tensor) and targets.is_floating_point() and targets.numel():
            self._carried[id(targets)] = _Carried(targets, None, tuple(targets.shape))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        found = self._find(args[0]) if args else None
        name = func.overloadpacket.__name__
        if found is not None and found.node is not None and name in ASKING:
            self.asked.setdefault(name, found.node)
        elif found is not None and name in _CARRYING and isinstance(out, Tensor):
            shape = found.shape if name == "expand" else tuple(out.shape)
            self._carried[id(out)] = _Carried(out, found.node, shape)
        elif name in _COMPARING and self.compared is None and len(args) > 1:
            self.compared = _compare(found, self._find(args[1]))
        return out

    def _find(self, tensor: Any) -> _Carried | None:
        if not isinstance(tensor, Tensor):
            return None
        if id(tensor) in self._carried:
            return self._carried[id(tensor)]
        entry = self._recorder.entry(tensor)
        node = entry.node if isinstance(entry, ActivationTensor) else None
        return None if node is None else _Carried(tensor, node, tuple(tensor.shape))


def _compare(left: _Carried | None, right: _Carried | None) -> TargetsMet | None:
    """What two operands are, where these are an activation and the targets."""
    if left is None or right is None:
        return None
    made, targets = (right, left) if left.node is None else (left, right)
    if made.node is None or targets.node is not None:
        return None
    values = targets.tensor.detach()
    together = np.broadcast_shapes(made.shape, targets.shape)
    return TargetsMet(
        made.node,
        made.shape,
        targets.shape,
        tuple(together),
        *(float(each.float().mean()) for each in (values < 0, values > 1, values.abs() > 1)),
    )
