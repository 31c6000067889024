"""Offloaded parameters: accelerate's hooks hold their values and bring them for every call."""

from collections.abc import Mapping

from torch import Tensor, nn

from fanin.errors import FaninError


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


def elsewhere(name: str, effect: str, do: str) -> FaninError:
    return FaninError(
        f"the values of {name} are offloaded: a hook (accelerate's) replaces the parameter at "
        f"every call, so that {effect}. {do} the model before it is offloaded, or remove the "
        "hooks first: accelerate.hooks.remove_hook_from_submodules(model)."
    )
