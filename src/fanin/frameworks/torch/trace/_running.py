"""Running: the path of the module that runs, while it runs; recurrent modules as one node."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from fanin.frameworks.torch.trace._mode import RecordingMode
from fanin.frameworks.torch.trace._packed import find_packed, repack
from fanin.frameworks.torch.trace._recurrent import record_recurrent
from fanin.frameworks.torch.tree._recurrent import RECURRENT


@contextmanager
def running_paths(paths: dict[nn.Module, str], mode: RecordingMode) -> Iterator[None]:
    """Keeps the path of the running module; recurrent modules are one node each."""
    recorder = mode.recorder
    running: list[tuple[nn.Module, Any]] = []
    thread = threading.get_ident()  # the hooks are called for the modules of all threads

    def enter(module: nn.Module, args: Any) -> Any:
        if threading.get_ident() != thread:
            return None
        recorder.path.append(paths.get(module, recorder.path[-1]))
        running.append((module, args))
        mode.paused += isinstance(module, RECURRENT)
        packed = find_packed(args) if mode.unpacks and isinstance(module, RECURRENT) else None
        return None if packed is None else (packed.data,)

    def leave(module: nn.Module, *given: Any) -> Any:
        if threading.get_ident() != thread:  # there it may come without keywords
            return None
        args, kwargs, output = given
        while running:  # modules that raised, and whose error was caught, never left
            last, args = running.pop()
            packed = find_packed(args) if mode.unpacks and last is module else None
            if packed is not None and isinstance(module, RECURRENT):
                output = repack(packed, output, mode)  # while it is not recorded
            mode.paused -= isinstance(last, RECURRENT)
            if last is module:
                break
            recorder.path.pop()
        if isinstance(module, RECURRENT) and not mode.paused:
            made = record_recurrent(recorder, module, [args, kwargs], output)
            if made is not None:
                mode.look_inside(made, module, args, kwargs)
        recorder.path.pop()
        return output

    handles = [
        nn.modules.module.register_module_forward_pre_hook(enter),
        nn.modules.module.register_module_forward_hook(leave, with_kwargs=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
