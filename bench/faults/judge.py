"""Judge: what a call may do, and what it may not: the faults that are counted."""

import pickle
import random
import sys
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.faults.arguments import UsersError
from bench.faults.surface import Target
from fanin.errors import FaninError, quote

KINDS = ("crash", "hang", "traceback", "half-written", "changed")


@dataclass(frozen=True)
class Fault:
    """What a call did that none may do."""

    kind: str
    told: str


class Folder:
    """The current folder of the calls: files that are there, sound and damaged."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = dict(contents)
        self._made: dict[str, bytes] = {}
        self.restore()

    def restore(self) -> None:
        """Every file as it was at first, and no other."""
        found = self.read()
        if found == self._made and found:
            return
        for name in found.keys() - self._contents.keys():
            Path(name).unlink()
        for name, content in self._contents.items():
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_bytes(content)
        self._made = self.read()

    def read(self) -> dict[str, bytes]:
        """The contents of all files by name."""
        files = (path for path in Path().rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files}


def judge(
    target: Target, positional: list[Any], keywords: dict[str, Any], folder: Folder
) -> tuple[bool, Fault | None]:
    """Call it. Returns whether it was refused, and the fault that it has, if any."""
    named = {str(number): value for number, value in enumerate(positional)} | keywords
    folder.restore()
    before, files = _snapshot(named) | _states(), folder.read()
    refused, fault = False, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.seterr(all="ignore")
            target.function(*positional, **keywords)
    except (FaninError, TypeError, UsersError):
        refused = True
    except AssertionError as error:  # what assert_healthy is there to raise
        refused = True
        if target.name != "fanin.testing.assert_healthy":
            fault = Fault("traceback", _innermost(error))
    except Exception as error:
        refused, fault = True, Fault("traceback", _innermost(error))
    if fault is None:
        spared = target.writes if not refused or target.name == "fanin.cli.main" else frozenset()
        if "args" in spared:  # of positional ones
            spared |= {"0"}
        fault = _find_change(before, _snapshot(named) | _states(), spared)
    now = folder.read() if fault is None else files
    if fault is None and any(name.endswith(".tmp") for name in now):
        fault = Fault("half-written", f"left {sorted(now.keys() - files.keys())}")
    if fault is None and refused and now != files:
        changed = [name for name in now if now[name] != files.get(name)]
        fault = Fault("half-written", f"changed {changed or sorted(files.keys() - now.keys())}")
    return refused, fault


def describe(target: Target, positional: list[Any], keywords: dict[str, Any]) -> str:
    """The call as text, in one line."""
    words = [_quoted(value) for value in positional]
    words += [f"{name}={_quoted(value)}" for name, value in keywords.items()]
    return f"{target.name}({', '.join(words)})"


def _quoted(value: Any) -> str:
    try:
        return quote(value)
    except Exception as error:  # of an object that does not print
        return f"<{type(value).__name__} that raises {type(error).__name__}>"


def _innermost(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = [one for one in traceback.extract_tb(error.__traceback__) if "/fanin/" in one.filename]
    where = ours[-1] if ours else frame
    line = " ".join(str(error).split())[:200]
    place = f"{where.filename.rpartition('/fanin/')[2]}:{where.lineno}"
    return f"{type(error).__name__} at {place}: {line}"


def _snapshot(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [*_parts(value, 0)] for name, value in named.items()}


def _parts(value: Any, depth: int) -> Any:
    """All that can change of an argument, as values that compare."""
    torch = sys.modules.get("torch")
    if isinstance(value, np.ndarray):
        yield value.shape, value.dtype, np.ascontiguousarray(value).tobytes()
    elif torch is not None and isinstance(value, torch.Tensor):
        yield _of_tensor(value)
    elif torch is not None and isinstance(value, torch.nn.Module):
        yield [(name, module.training) for name, module in value.named_modules()]
        for name, tensor in (*value.named_parameters(), *value.named_buffers()):
            yield name, id(tensor), tensor.requires_grad, tensor.grad is None, _of_tensor(tensor)
    elif depth < 3 and isinstance(value, dict):
        for key, part in value.items():
            yield repr(key)
            yield from _parts(part, depth + 1)
    elif depth < 3 and isinstance(value, (list, tuple)):
        yield len(value)
        for part in value:
            yield from _parts(part, depth + 1)


def _of_tensor(tensor: Any) -> Any:
    if type(tensor).__name__ == "UninitializedParameter":
        return "no shape yet"
    about = tuple(tensor.shape), tensor.dtype, str(tensor.device), str(tensor.layout)
    if tensor.device.type == "meta":
        return about
    import torch

    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    return about, dense.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _states() -> dict[str, Any]:
    """The random states that belong to the user, and the current modes of torch."""
    numpy = np.random.get_state(legacy=False)
    states: dict[str, Any] = {
        "the random state of Python": random.getstate(),
        "the random state of NumPy": pickle.dumps(numpy),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        states["the random state of torch"] = torch.get_rng_state().numpy().tobytes()
        states["a mode of torch"] = (
            *(torch.is_grad_enabled(), torch.get_default_dtype(), torch.empty(0).device),
            *(torch.get_num_threads(), torch.is_deterministic_algorithms_warn_only_enabled()),
        )
    return states


def _find_change(
    before: Mapping[str, Any], after: Mapping[str, Any], spared: frozenset[str]
) -> Fault | None:
    changed = [name for name in before.keys() - spared if before[name] != after[name]]
    return Fault("changed", ", ".join(sorted(changed))) if changed else None
