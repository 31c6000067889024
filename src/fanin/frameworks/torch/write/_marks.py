"""Marks: what the constructor had made of a parameter, remembered in its module.

A trained parameter does not show it any more. Marks are plain attributes of modules, so that
copies and pickles of a model have them too.
"""

from dataclasses import replace

from fanin.frameworks.torch.draws._records import MARKS, Mark
from fanin.frameworks.torch.write._shards import local_tensor
from fanin.frameworks.torch.write._slot import Slot

_SMALL = 1 << 16  # bytes of a kept value that are remembered


def mark(slot: Slot, *, kept: bool) -> None:
    """Remember, of a parameter that was just written or kept, what it had been made."""
    param = slot.param
    proved = kept and param.trainable and slot.shard is None
    remembered = replace(slot.origin or _held(slot)) if proved else Mark()
    remembered.shape, remembered.made = param.shape, param.constant
    remembered.norms = param.kind == "norms"
    for module, attribute in slot.homes:
        vars(module).setdefault(MARKS, {})[attribute] = remembered


def claim(slot: Slot) -> None:
    """Tell transformers that a parameter has its values.

    What its models call later (`post_init`, `initialize_weights`, adapters) would draw it again.
    """
    slot.tensor._is_hf_initialized = True  # type: ignore[attr-defined]  # as `from_pretrained` says it


def is_claimed(slot: Slot) -> bool:
    """Whether fanin drew a parameter, or transformers loaded it: no more the constructor's."""
    return bool(getattr(slot.tensor, "_is_hf_initialized", False))


def _held(slot: Slot) -> Mark:
    """What is in memory: itself if it is small, else its hash."""
    local = local_tensor(slot.tensor).detach()
    small = local.numel() * local.element_size() <= _SMALL
    return Mark(value=local.clone()) if small else Mark(digest=slot.digest())
