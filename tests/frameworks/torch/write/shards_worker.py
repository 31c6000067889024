"""One of several processes: shards a model in many ways, and hashes what initialize wrote."""

import hashlib
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)

import fanin
from fanin._empty import empty_weights


class Network(nn.Module):
    """`uneven` sizes divide by no number of processes up to 4."""

    def __init__(self, uneven: bool) -> None:
        super().__init__()
        wide, narrow = (13, 7) if uneven else (24, 16)
        self.table = nn.Embedding(wide, narrow, padding_idx=5)
        self.up = nn.Linear(narrow, wide)
        self.down = nn.Linear(wide, narrow)
        self.norm = nn.LayerNorm(narrow)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.norm(self.down(self.up(self.table(x)).relu()))
        return result


def place(model: nn.Module, mesh: DeviceMesh, placements: Any) -> None:
    """Every parameter of two axes under these placements; others are replicas."""
    for module in model.modules():
        for name, tensor in list(module.named_parameters(recurse=False)):
            own = placements if tensor.ndim == 2 else [Replicate()] * mesh.ndim
            part = distribute_tensor(tensor.detach(), mesh, own)
            setattr(module, name, nn.Parameter(part))


def tensor_parallel(model: nn.Module, mesh: DeviceMesh) -> None:
    plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
    parallelize_module(model, mesh, plan)


def both(model: nn.Module, mesh: DeviceMesh) -> None:
    tensor_parallel(model, mesh["tp"])
    fully_shard(model, mesh=mesh["dp"])


def ways(world: int) -> dict[str, Callable[[], nn.Module]]:
    line = init_device_mesh("cpu", (world,))

    def way(shard: Callable[[nn.Module], Any], uneven: bool = True, empty: bool = False) -> Any:
        def make() -> nn.Module:
            if empty:
                with empty_weights():
                    model = Network(uneven)
            else:
                model = Network(uneven)
            shard(model)
            return model

        return make

    found = {
        "whole": way(lambda model: None),
        "fsdp2": way(lambda model: fully_shard(model, mesh=line)),
        "fsdp2, empty": way(lambda model: fully_shard(model, mesh=line), empty=True),
        "fsdp2, offloaded": way(
            lambda model: fully_shard(
                model, mesh=line, offload_policy=CPUOffloadPolicy(pin_memory=False)
            )
        ),
        "rows": way(lambda model: place(model, line, [Shard(0)])),
        "columns": way(lambda model: place(model, line, [Shard(1)])),
        "replicas": way(lambda model: place(model, line, [Replicate()])),
        "tensor parallel": way(lambda model: tensor_parallel(model, line)),
        "whole, even": way(lambda model: None, uneven=False),
    }
    if world == 4:
        grid = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
        found |= {
            "grid": way(lambda model: place(model, grid, [Shard(0), Shard(1)])),
            "rows twice": way(lambda model: place(model, grid, [Shard(0), Shard(0)])),
            "replicated rows": way(lambda model: place(model, grid, [Replicate(), Shard(0)])),
            "hybrid": way(lambda model: fully_shard(model, mesh=grid)),
            "fsdp over tensor parallel, even": way(lambda model: both(model, grid), uneven=False),
            "the same, empty, even": way(lambda m: both(m, grid), uneven=False, empty=True),
        }
    return found


def digests(model: nn.Module) -> dict[str, str]:
    """SHA-256 of every parameter's full tensor, by communication."""
    found = {}
    for name, tensor in model.named_parameters():
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        found[name] = hashlib.sha256(whole.detach().contiguous().numpy().tobytes()).hexdigest()
    return found


def main() -> None:
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    warnings.simplefilter("ignore")
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world
    )
    results = {}
    for way, make in ways(world).items():
        plan = fanin.plan(Network("even" not in way), initializer="he_normal")
        model = make()
        with CommDebugMode() as communication:
            applied = plan.apply(model, seed=7)
            applied.verify(model)
        assert communication.get_total_counts() == 0, way
        results[way] = digests(model)
        # The model runs, so that FSDP found the weights; on the CPU from torch 2.7 on.
        if "fsdp" in way and hasattr(torch.cpu.Stream, "record_event"):
            assert model(torch.arange(4).view(1, 4)).isfinite().all(), way
            assert digests(model) == results[way], way
    (folder / f"{rank}.json").write_text(json.dumps(results))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
