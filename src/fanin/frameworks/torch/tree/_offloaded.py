"""Offloaded parameters: hooks (accelerate's) bring their values for a call; and freed ones."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from fanin.errors import FaninError
from fanin.frameworks.torch.runs._tensors import is_freed


def find_offloaded(model: nn.Module) -> set[int]:
    """The identities of parameters that accelerate's hooks hold elsewhere."""
    found: set[int] = set()
    for module in model.modules():
        hook = vars(module).get("_hf_hook")
        if hook is None:
            continue
        for item in getattr(hook, "hooks", (hook,)):
            if getattr(item, "weights_map", None) is not None:
                below = bool(getattr(item, "place_submodules", False))
                found.update(map(id, module.parameters(recurse=below)))
    return found


def refuse_offloaded(model: nn.Module, names: Mapping[str, Tensor], effect: str, do: str) -> None:
    """Raise FaninError where a hook holds values of a model: what that means, what to do before."""
    held = find_offloaded(model)
    for name, tensor in names.items():
        if tensor.is_meta and id(tensor) in held:
            raise elsewhere(name, effect, do)


def refuse_freed(model: nn.Module) -> None:
    """Raise FaninError where a parameter or a buffer has lost its memory: no values are left."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not is_lazy(tensor) and is_freed(tensor):
            raise FaninError(
                f"the memory of {name} of shape {tuple(tensor.shape)} was given back "
                "(storage.resize_), so that nothing can be read or written there. Give it its "
                "memory again first."
            )


def elsewhere(name: str, effect: str, do: str) -> FaninError:
    return FaninError(
        f"the values of {name} are offloaded: a hook (accelerate's) replaces the parameter at "
        f"every call, so that {effect}. {do} the model before it is offloaded, or remove the "
        "hooks first: accelerate.hooks.remove_hook_from_submodules(model)."
    )
