"""Asked: which activations of a model its loss takes for logits, or for logarithms."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fanin.frameworks.recording._record import ActivationTensor
from fanin.frameworks.torch.record._record import Recorder

# Operations that say what their first argument is.
ASKING = (
    "_log_softmax",
    "binary_cross_entropy_with_logits",
    "nll_loss_forward",
    "nll_loss2d_forward",
)
# What shows the same numbers elsewhere, or in another type.
_CARRYING = (
    "alias",
    "clone",
    "detach",
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
) -> tuple[Tensor, dict[str, int]]:
    """The loss of an output, and the node that each asking operation of it read."""
    mode = _LossMode(recorder)
    with mode:
        value = loss(output)
    return value, mode.asked


class _LossMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows activations through the views of a loss; computes nothing of its own."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: dict[str, int] = {}
        self._recorder = recorder
        self._carried: dict[int, tuple[Tensor, int]] = {}  # the tensor keeps its id taken

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        node = self._node(args[0]) if args and isinstance(args[0], Tensor) else None
        name = func.overloadpacket.__name__
        if node is not None and name in ASKING:
            self.asked.setdefault(name, node)
        elif node is not None and name in _CARRYING and isinstance(out, Tensor):
            self._carried[id(out)] = out, node
        return out

    def _node(self, tensor: Tensor) -> int | None:
        if id(tensor) in self._carried:
            return self._carried[id(tensor)][1]
        entry = self._recorder.entry(tensor)
        return entry.node if isinstance(entry, ActivationTensor) else None
