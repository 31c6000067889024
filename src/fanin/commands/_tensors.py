"""Tensors: what safetensors files hold, read in pieces."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fanin.commands._safetensors import CODES, GATES, INDEX, NAMES
from fanin.errors import FaninError, one_line, quote
from fanin.frameworks._stored import item_size
from fanin.frameworks._tiles import tiles

_TYPES = {code: dtype for dtype, code in CODES.items()}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file; `planned` is what a plan calls it, where its file says so.

    `gates` says which block of what is drawn each block of its last axis holds; () in order.
    """

    path: Path
    name: str
    planned: str
    code: str
    shape: tuple[int, ...]
    start: int  # in the file
    gates: tuple[int, ...] = ()

    @property
    def dtype(self) -> str:
        """The type of its elements, by NumPy's name, or by the file's where there is none."""
        return _TYPES.get(self.code, self.code)

    def pieces(self) -> Iterator[bytes]:
        """The bytes of its tiles, one behind the other."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            for box in tiles(self.shape):
                size = item_size(self.dtype)
                for part in box:
                    size *= part.stop - part.start
                yield file.read(size)


def files_of(path: Path) -> list[Path]:
    """The files that a name stands for: itself, those of an index, or those of a folder.

    Where a folder has an index, that says which of its files are read.
    """
    if os.path.isdir(path):  # Path.is_dir() raises where a name is too long
        indexes = sorted(path.glob(f"*.safetensors{INDEX}"))
        for index in indexes:
            whole = index.with_name(index.name.removesuffix(INDEX))
            if whole.exists():
                raise FaninError(
                    f"{str(path)!r} holds {whole.name} and {index.name}, each all weights. Name "
                    "the one to compare."
                )
        files = [file for index in indexes for file in _read_index(index)]
        files = files or sorted(path.glob("*.safetensors"))
        if not files:
            raise FaninError(f"{str(path)!r} holds no .safetensors files.")
        return files
    if path.name.endswith(INDEX):
        return _read_index(path)
    return [path]


def _read_index(path: Path) -> list[Path]:
    try:
        names = set(json.loads(path.read_text("utf-8"))["weight_map"].values())
        return [path.with_name(Path(name).name) for name in sorted(names)]
    except OSError as error:
        raise FaninError(f"cannot read {str(path)!r} ({one_line(error)}).") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FaninError(f"{str(path)!r} is no index of safetensors files.") from None


def read(path: Path) -> list[Tensor]:
    """The tensors of a file, in the order of its header."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError("its first eight bytes do not give the length of a header")
            header = json.loads(file.read(length))
        given = header.pop("__metadata__", {})
        names, gates = (json.loads(given.get(key, "{}")) for key in (NAMES, GATES))
        tensors = [
            _tensor(path, name, names.get(name, name), fields, 8 + length, size)
            for name, fields in header.items()
        ]
        return [_set_gates(tensor, gates.get(tensor.name, ())) for tensor in tensors]
    except OSError as error:
        raise FaninError(f"cannot read {str(path)!r} ({one_line(error)}).") from None
    except FaninError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FaninError(f"{str(path)!r} is no safetensors file: {quote(str(error))}.") from None


def _set_gates(tensor: Tensor, gates: Any) -> Tensor:
    order = tuple(map(int, gates))
    blocks = sorted(order) == list(range(len(order)))
    if order and (not blocks or not tensor.shape or tensor.shape[-1] % len(order)):
        raise ValueError(f"gates of {tensor.name}")
    return replace(tensor, gates=order)


def _tensor(
    path: Path, name: str, planned: Any, fields: dict[str, Any], base: int, end: int
) -> Tensor:
    code, shape = str(fields["dtype"]), tuple(fields["shape"])
    start, stop = (base + offset for offset in fields["data_offsets"])
    sizes = all(type(size) is int and size >= 0 for size in shape)
    if not sizes or not base <= start <= stop <= end:
        raise FaninError(f"{str(path)!r} is no safetensors file: {name} lies outside of it.")
    count = 1
    for size in shape:
        count *= size
    dtype = _TYPES.get(code)
    if dtype is None or count * item_size(dtype) != stop - start:
        held = ", ".join(CODES.values())
        raise FaninError(
            f"{name} of {str(path)!r} is {code} of shape {shape} in {stop - start} bytes; types "
            f"that can be compared are {held}."
        )
    return Tensor(path, name, str(planned), code, shape, start)
