"""Restart: what modules keep of their old weights, made anew for those that were drawn."""

from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from fanin.frameworks.torch.write._slot import Slot
from fanin.streams import Stream

_ITERATIONS = 100  # of the power method: the largest singular value within a percent or two


def restart(model: nn.Module, drawn: Sequence[Slot], held: Iterable[Slot], seed: int) -> list[str]:
    """Start running statistics of normalizations anew, and fit the vectors of spectral norms.

    Of the modules whose parameters were drawn; a normalization without parameters goes with its
    neighbours, and stays where any of them is held. Returns the names of the normalizations
    whose statistics had moved.
    """
    for slot in drawn:
        if slot.shard is None:
            _fit_spectral(slot, seed)
    homes, holding = (
        {id(home) for slot in each for home, _ in slot.homes} for each in (drawn, held)
    )
    moved = []
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and _has_moved(module):
            parent = model.get_submodule(name.rpartition(".")[0])
            whole = module if any(True for _ in module.parameters()) else parent
            if _has_any(whole, homes) and not _has_any(whole, holding):
                module.reset_running_stats()
                moved.append(name or type(module).__name__)
    return moved


def _has_any(module: nn.Module, homes: Collection[int]) -> bool:
    return any(id(item) in homes for item in module.modules())


def _has_moved(module: nn.modules.batchnorm._NormBase) -> bool:
    mean, variance = module.running_mean, module.running_var
    if mean is None or variance is None or is_lazy(mean):
        return False
    if mean.is_meta:
        return False
    count = module.num_batches_tracked
    return bool((mean != 0).any() or (variance != 1).any() or (count is not None and count != 0))


def _fit_spectral(slot: Slot, seed: int) -> None:
    """The vectors u and v of a normalized weight, by the power method from the seed's stream."""
    for module, attribute in slot.homes:
        if isinstance(module, parametrize.ParametrizationList):
            for norm in module:
                if isinstance(norm, _SpectralNorm) and slot.tensor.ndim > 1:
                    matrix = norm._reshape_weight_to_matrix(slot.tensor.detach())
                    _fit(matrix, norm._u, norm._v, norm.eps, slot.stream, seed)
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm) and attribute == f"{hook.name}_orig":
                matrix = hook.reshape_weight_to_matrix(slot.tensor.detach())
                u, v = (getattr(module, f"{hook.name}_{end}") for end in "uv")
                _fit(matrix, u, v, hook.eps, slot.stream, seed)


def _fit(matrix: Tensor, u: Tensor, v: Tensor, eps: float, stream: str, seed: int) -> None:
    start = torch.from_numpy(Stream(seed, f"{stream}#u").normal(len(u)))
    # A matrix product may add in another order where memory is aligned otherwise; rounded from
    # float64 the vectors are the same.
    wide = matrix.to(torch.promote_types(matrix.dtype, torch.float64))
    left = start.to(wide)
    with torch.no_grad():
        for _ in range(_ITERATIONS):
            right = nn.functional.normalize(wide.mT @ left, dim=0, eps=eps)
            left = nn.functional.normalize(wide @ right, dim=0, eps=eps)
        u.copy_(left)
        v.copy_(right)
