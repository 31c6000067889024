"""Lightning: callbacks that give a LightningModule its first weights, and that check it."""

import sys
import weakref
from os import PathLike
from typing import Any

from fanin.checks import Checkup, Severity
from fanin.integrations._first_check import FirstCheck
from fanin.integrations._start import FirstWeights, save_beside
from fanin.plans import Plan, _file

if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    import pytorch_lightning as _lightning
else:
    try:
        import lightning.pytorch as _lightning
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "lightning":
            raise
        import pytorch_lightning as _lightning

__all__ = ["CheckModule", "InitializeModule"]


class InitializeModule(_lightning.Callback):  # type: ignore[misc]
    """Draws the weights when a fit starts, before the strategy wraps the module.

    After `setup` and `configure_model` of the module, which may build layers under
    `fanin.empty_weights()` or on the meta device, and shard them with FSDP2; before the optimizer
    is made, DDP or FSDP1 wraps the module, or a checkpoint is restored, whose weights therefore
    win. Every process draws its own part, without communication. A module is drawn once: a second
    fit goes on with what the first one left. The plan is logged, is in `plan`, in every checkpoint
    under this callback's state, and as plan.toml beside them.

    Args:
        seed: an integer in [0, 2**64); None for the plan's own, or 0.
        inputs: what the module is called with, for the plan; `example_input_array` if not given, as
            far as the module is not sharded.
        plan: a plan to apply, or its file, such as one made of a module that is sharded here.
        options: further arguments of `fanin.initialize`, `only="head.*"` say; with a plan those of
            `Plan.apply`.

    Raises FaninError for what is wrong: of the arguments at once, of the model when the fit starts.

    >>> import lightning.pytorch as pl, torch
    >>> from fanin.integrations.lightning import InitializeModule
    >>> class Net(pl.LightningModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.example_input_array = torch.zeros(1, 8)
    ...         self.line = torch.nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.line(x)
    ...     def training_step(self, batch):
    ...         return self(batch).square().mean()
    ...     def configure_optimizers(self):
    ...         return torch.optim.SGD(self.parameters(), lr=0.1)
    >>> start = InitializeModule(seed=3)
    >>> quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    >>> trainer = pl.Trainer(max_steps=1, accelerator="cpu", callbacks=[start], **quiet)
    >>> print(start.plan)
    None
    """

    def __init__(
        self,
        seed: int | None = None,
        inputs: Any = None,
        *,
        plan: Plan | str | PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._start = FirstWeights(seed, inputs, plan, options)
        self._drawn: weakref.ref[Any] | None = None
        self.plan: Plan | None = None

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Have the weights drawn behind `configure_model`, the last hook before the strategy's."""
        if stage != "fit" or (self._drawn is not None and self._drawn() is pl_module):
            return
        configure = pl_module.configure_model

        def configure_and_draw() -> None:
            del pl_module.configure_model  # from here on the class's own again
            configure()
            self._draw(trainer, pl_module)

        pl_module.configure_model = configure_and_draw

    def _draw(self, trainer: Any, module: Any) -> None:
        self.plan = self._start.draw(
            module, module.example_input_array, trainer.strategy.root_device
        )
        self._drawn = weakref.ref(module)
        _lightning.utilities.rank_zero_info(str(self.plan))

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Write plan.toml where the checkpoints go."""
        folder = getattr(trainer.checkpoint_callback, "dirpath", None)
        if self.plan is not None and folder is not None and trainer.is_global_zero:
            save_beside(self.plan, folder)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: the plan, as the text of its file."""
        return {} if self.plan is None else {"plan": _file.to_toml(self.plan._to_dict())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The plan of the weights that the checkpoint's training began with."""
        if "plan" in state_dict:
            self.plan = Plan(*_file.parse(state_dict["plan"], "the plan in the checkpoint"))


class CheckModule(_lightning.Callback):  # type: ignore[misc]
    """Checks the module on the first batch, and stops a training that would fail.

    Before the first step, `fanin.check` runs `forward` of the module on the batch as the trainer
    moved it; the module, its optimizer and all random states are then as they were. A batch of two
    is inputs and targets; any other is all inputs, as a dict with labels is. Parameters that the
    optimizer did not get are told, too, where there is one optimizer. A module that is sharded, and
    a training that goes on from a checkpoint, are not checked. The checkup is in `checkup`.

    Args:
        level: the mildest findings that stop the training: "note", "warning" or "error".
        options: further arguments of `fanin.check`: loss=, ignore="F12", steps=8.

    Raises FaninError for wrong arguments at once, and with the report when training starts.

    >>> from fanin.integrations.lightning import CheckModule
    >>> print(CheckModule(level="error", steps=8).checkup)
    None
    """

    def __init__(self, level: Severity = "error", **options: Any) -> None:
        super().__init__()
        self._first = FirstCheck(level, options)
        self.checkup: Checkup | None = None

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check, before anything has moved."""
        if trainer.global_step > 0 or self.checkup is not None:
            return
        pair = isinstance(batch, list | tuple) and len(batch) == 2
        inputs, targets = batch if pair else (batch, None)
        alone = len(trainer.optimizers) == 1
        self.checkup = self._first.run(
            pl_module,
            tuple(inputs) if isinstance(inputs, list) else inputs,
            targets,
            trainer.optimizers[0] if alone else None,
        )
        if self.checkup is not None:
            _lightning.utilities.rank_zero_info(self.checkup.verdict)
