"""One process of two that fit a module built on the meta device: lightning_worker.py HOW FOLDER."""

import sys
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

import fanin


def main(how: str, folder: str) -> None:
    import lightning.pytorch as pl
    from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
    from torch.distributed.fsdp import fully_shard

    from fanin.integrations.lightning import InitializeModule

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.example_input_array = torch.zeros(1, 8)
            self.net: Any = None

        def configure_model(self) -> None:
            with torch.device("meta"):
                self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
            if how != "ddp" and self.device_mesh is not None:
                mesh = self.device_mesh["data_parallel"]
                fully_shard(self.net[0], mesh=mesh)
                fully_shard(self.net, mesh=mesh)

        def forward(self, x: torch.Tensor) -> Any:
            return self.net(x)

        def training_step(self, batch: torch.Tensor) -> torch.Tensor:
            return self(batch).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    plan = None
    if how == "fsdp2-planned":
        whole = Net()
        whole.configure_model()
        plan = fanin.plan(whole, whole.example_input_array)
    parallel = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1)
    start, module = InitializeModule(3, plan=plan), Net()
    trainer = pl.Trainer(
        max_steps=2,
        accelerator="cpu",
        devices=2,
        strategy=DDPStrategy() if how == "ddp" else parallel,
        callbacks=[start],
        default_root_dir=folder,
        **dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False),
    )
    trainer.fit(module, DataLoader(torch.randn(8, 8), batch_size=4))
    assert start.plan is not None
    start.plan.verify(module)
    kind = type(next(module.parameters())).__name__
    print(f"{trainer.global_rank} {kind} verified, with a graph: {start.plan.notes == ()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
