"""A checkpoint: the state of a trial group in training, on disk, for a killed run to go on from."""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fanin._replacing import replacing
from fanin.errors import FaninError, one_line

EVERY = 20.0  # seconds; with a step and a test between two of them, still below 30
FOLDER = "unfinished"  # beside the file of trials
SUFFIX, COUNTER = ".safetensors", ".steps"  # of a state; of a count that processes share


class Checkpoint:
    """Where a trial group keeps its state: tensors by name, in a file that is whole or is not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._saved = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the state on disk is so old that another is wanted."""
        return time.monotonic() - self._saved >= EVERY

    def load(self) -> dict[str, Tensor] | None:
        """The state; None where there is none that can be read, and the group starts anew."""
        try:
            # Copies: what is mapped from a file has another alignment in memory than what is made.
            return {name: value.clone() for name, value in load_file(self.path).items()}
        except (OSError, SafetensorError):
            return None

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Replace the state on disk."""
        # Copies: tensors that share memory cannot stand in one file.
        tensors = {
            name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing([self.path]) as (temporary,):
                save_file(tensors, temporary)
        except (OSError, SafetensorError) as error:
            raise FaninError(
                f"{self.path} cannot be written ({one_line(error)}). Finished trials and the last "
                "state are kept; make room or choose another folder, then run the same command "
                "again."
            ) from error
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Forget the state; its folder goes with the last one."""
        _remove(self.path.parent, self.path.stem)


def count(folder: Path) -> int:
    """How many trial groups have a state in the folder of a comparison."""
    return len(list(folder.glob(f"{FOLDER}/*{SUFFIX}")))


def forget(folder: Path) -> None:
    """Remove all states of the folder of a comparison, and those that a kill left half written."""
    _remove(folder / FOLDER, "*")


def _remove(folder: Path, name: str) -> None:
    for pattern in (f"{name}{SUFFIX}", f"{name}{COUNTER}", f".{name}{SUFFIX}.*.tmp"):
        for path in folder.glob(pattern):
            with suppress(OSError):
                path.unlink()
    with suppress(OSError):  # of another group
        folder.rmdir()
