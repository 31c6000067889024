"""The Lightning callback: under every strategy the weights are the seed's, and drawn once."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import fanin
from tests.warm import TORCH, Warm

pl = pytest.importorskip("lightning.pytorch")
from fanin.integrations.lightning import CheckModule, InitializeModule  # noqa: E402

# Lightning's own, of workers, folders and torch's deprecations; ours are errors as everywhere.
pytestmark = pytest.mark.filterwarnings(
    "ignore", "error::fanin.errors.FaninWarning", "ignore:.* the same numbers as another"
)
WORKER = Path(__file__).with_name("lightning_worker.py")
QUIET = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))


class Net(pl.LightningModule):
    """A network that is built in the constructor, in `setup` or in `configure_model`."""

    def __init__(self, built: str = "init", rate: float = 0.0) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(1, 8)
        self.built, self.rate = built, rate
        self.net: Any = network() if built == "init" else None

    def setup(self, stage: str) -> None:
        if self.built == "setup" and self.net is None:
            self.net = network()

    def configure_model(self) -> None:
        if self.net is None:
            with torch.device("meta"):
                self.net = network()

    def forward(self, x: torch.Tensor) -> Any:
        return self.net(x)

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return self(batch).square().mean()

    def test_step(self, batch: torch.Tensor) -> None:
        self(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


def fit(callback: InitializeModule, module: Net, folder: Path, **options: Any) -> Any:
    trainer = pl.Trainer(
        max_steps=2, accelerator="cpu", callbacks=[callback], default_root_dir=folder, **QUIET
    )
    trainer.fit(module, DataLoader(torch.randn(8, 8), batch_size=4), **options)
    return trainer


@pytest.mark.parametrize("built", ["init", "setup", "configure"])
def test_the_weights_are_those_of_the_seed(built: str, tmp_path: Path) -> None:
    callback, module = InitializeModule(3), Net(built)
    fit(callback, module, tmp_path)
    assert callback.plan is not None
    assert callback.plan.seed == 3
    callback.plan.verify(module)
    plain = Net()
    assert callback.plan.diff(fanin.plan(plain, plain.example_input_array)) == ()
    assert "configure_model" not in vars(module)


def test_the_plan_is_beside_the_checkpoint_and_in_it(tmp_path: Path) -> None:
    callback = InitializeModule(3)
    trainer = fit(callback, Net(), tmp_path)
    folder = Path(trainer.checkpoint_callback.dirpath)
    assert fanin.Plan.load(folder / "plan.toml") == callback.plan
    saved = torch.load(next(folder.glob("*.ckpt")), weights_only=False)
    other = InitializeModule()
    other.load_state_dict(saved["callbacks"]["InitializeModule"])
    assert other.plan == callback.plan


def test_a_checkpoint_wins(tmp_path: Path) -> None:
    """And the plan is that of the training which it goes on with."""
    first, module = InitializeModule(3), Net(rate=0.1)
    path = fit(first, module, tmp_path / "a").checkpoint_callback.best_model_path
    second, resumed = InitializeModule(4), Net()
    fit(second, resumed, tmp_path, ckpt_path=path)
    for mine, theirs in zip(resumed.parameters(), module.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert second.plan == first.plan


def test_a_module_is_drawn_once(tmp_path: Path) -> None:
    callback, module = InitializeModule(3), Net(rate=0.1)
    fit(callback, module, tmp_path)
    trained = [parameter.clone() for parameter in module.parameters()]
    module.rate = 0.0
    fit(callback, module, tmp_path)
    assert all(map(torch.equal, trained, module.parameters()))
    other = Net()
    fit(callback, other, tmp_path)
    assert callback.plan is not None
    callback.plan.verify(other)


def test_only_a_fit_draws(tmp_path: Path) -> None:
    callback, module = InitializeModule(3), Net()
    before = [parameter.clone() for parameter in module.parameters()]
    trainer = pl.Trainer(
        accelerator="cpu", callbacks=[callback], default_root_dir=tmp_path, **QUIET
    )
    trainer.test(module, DataLoader(torch.randn(4, 8)), verbose=False)
    assert callback.plan is None
    assert all(map(torch.equal, before, module.parameters()))


def test_a_part_and_a_plan(tmp_path: Path) -> None:
    module = Net()
    kept = module.net[0].weight.clone()
    fit(InitializeModule(3, only="net.2.*"), module, tmp_path)
    assert torch.equal(module.net[0].weight, kept)

    plan = fanin.plan(Net(), initializer="orthogonal")
    for given in (plan, plan.save(tmp_path / "given.toml")):
        callback, module = InitializeModule(5, plan=given), Net()
        fit(callback, module, tmp_path)
        assert callback.plan is not None
        assert callback.plan.seed == 5
        plan.verify(module, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"recipi": "auto"}, "unknown argument 'recipi': did you mean 'recipe'?"),
        ({"plan": "no.toml"}, "cannot read the plan 'no.toml'"),
        ({"plan": fanin.plan(nn.Linear(2, 2)), "recipe": "auto"}, "unknown argument with plan="),
        ({"plan": fanin.plan(nn.Linear(2, 2)), "inputs": 1}, "plan and inputs are both given"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(fanin.FaninError) as error:
        InitializeModule(**arguments)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only": "head.*"}, "only has 'head.*', which no parameter matches"),
        ({"plan": fanin.plan(nn.Linear(2, 2))}, "the plan has no net.0.weight"),
        ({"inputs": torch.zeros(1, 9)}, "does not run on these inputs"),
    ],
)
def test_wrong_models_are_told_when_the_fit_starts(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    module = Net()
    before = [parameter.clone() for parameter in module.parameters()]
    with pytest.raises(fanin.FaninError) as error:
        fit(InitializeModule(**arguments), module, tmp_path)
    assert message in str(error.value)
    assert all(map(torch.equal, before, module.parameters()))


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2", "fsdp2-planned"])
def test_two_processes_hold_the_same_weights(
    strategy: str, warm: Callable[[str], Warm], tmp_path: Path
) -> None:
    """Each proves those that it holds, which were on the meta device."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    lightning = warm(f"{TORCH}\nimport bench.zoo.torchvision_ops, lightning.pytorch")
    arguments = strategy, str(tmp_path)
    started = [
        lightning.start_file(WORKER, *arguments, RANK=rank, LOCAL_RANK=rank, **shared)
        for rank in "01"
    ]
    ended = [lightning.wait(process) for process in started]
    for done in ended:
        assert done.returncode == 0, done.stderr
    kind = "Parameter" if strategy == "ddp" else "DTensor"
    planned = strategy != "fsdp2"
    assert [done.stdout.splitlines()[-1] for done in ended] == [
        f"{rank} {kind} verified, with a graph: {planned}" for rank in (0, 1)
    ]
    assert len([*tmp_path.rglob("plan.toml")]) == 1


class Classifier(pl.LightningModule):
    """A network that is trained on pairs; `bad` makes it one that cannot start."""

    def __init__(self, bad: bool) -> None:
        super().__init__()
        self.net = network()
        if bad:
            for line in (self.net[0], self.net[2]):
                nn.init.constant_(line.weight, 0.1), nn.init.zeros_(line.bias)

    def forward(self, x: torch.Tensor) -> Any:
        return self.net(x)

    def training_step(self, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.net[:1].parameters(), lr=0.1)


@pytest.mark.parametrize("bad", [False, True])
def test_the_check_stops_a_training_that_would_fail(tmp_path: Path, bad: bool) -> None:
    made = torch.Generator().manual_seed(0)
    pairs = torch.utils.data.TensorDataset(torch.randn(32, 8, generator=made), torch.arange(32) % 2)
    checking = CheckModule(ignore="F07")
    trainer = pl.Trainer(
        max_steps=2,
        accelerator="cpu",
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        callbacks=[checking],
        **QUIET,
    )
    model = Classifier(bad)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    if bad:
        with pytest.raises(fanin.FaninError, match="stopped before its first step") as caught:
            trainer.fit(model, DataLoader(pairs, batch_size=32))
        assert "F08 error" in str(caught.value)
        assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
        return
    trainer.fit(model, DataLoader(pairs, batch_size=32))
    assert checking.checkup is not None
    assert checking.checkup.conditions.loss == "cross-entropy"
    (left,) = (found for found in checking.checkup.findings if found.id == "F17")
    assert "did not get net.2.weight, net.2.bias" in left.measured


def test_wrong_arguments_of_the_check() -> None:
    with pytest.raises(fanin.FaninError, match="level is 'worst'; allowed are note, warning, er"):
        CheckModule("worst")  # type: ignore[arg-type]
    with pytest.raises(fanin.FaninError, match="unknown argument 'step': did you mean 'steps'"):
        CheckModule(step=8)
