"""The safetensors format, written as a stream: header first, then the tensors in pieces."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from fanin._replacing import replacing
from fanin.commands._digest import Digest
from fanin.errors import FaninError, one_line
from fanin.frameworks import Stored
from fanin.frameworks._stored import item_size

CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
}

# In the metadata: what a plan calls tensors, where it calls them otherwise, and which block of what
# is drawn each block of the last axis holds, where layers pack gates in another order than torch.
NAMES, GATES = "fanin.names", "fanin.gates"
INDEX = ".index.json"  # behind the name that stands for the shards


def header(entries: Sequence[Stored], metadata: Mapping[str, str]) -> bytes:
    """Eight bytes of length, and the JSON that says where each tensor is behind it."""
    contents: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for entry in entries:
        if entry.dtype not in CODES:
            raise FaninError(
                f"{entry.name} of shape {entry.shape} holds {entry.dtype}, which safetensors files "
                f"do not; they hold {', '.join(CODES)}."
            )
        contents[entry.name] = {
            "dtype": CODES[entry.dtype],
            "shape": list(entry.shape),
            "data_offsets": [offset, offset + entry.size],
        }
        offset += entry.size
    text = json.dumps(contents, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the data is aligned
    return len(text).to_bytes(8, "little") + text


def split(entries: Sequence[Stored], shards: int) -> list[list[Stored]]:
    """The entries in this order, in `shards` groups of about equal size, none of them empty."""
    if not 1 <= shards <= max(len(entries), 1):
        raise FaninError(f"shards is {shards}; the model has {len(entries)} tensors to share out.")
    total, done = sum(entry.size for entry in entries), 0
    groups: list[list[Stored]] = [[] for _ in range(shards)]
    number = 0
    for position, entry in enumerate(entries):
        full = done >= total * (number + 1) / shards
        last = len(entries) - position == shards - number - 1  # one is left for each
        if groups[number] and number < shards - 1 and (full or last):
            number += 1
        groups[number].append(entry)
        done += entry.size
    return groups


def is_weights(path: Path, place: Path) -> bool:
    """Whether a file's name is one that weights written to `path` have, in any number of shards."""
    names = rf"{re.escape(path.stem)}(-\d{{5,}}-of-\d{{5,}})?{re.escape(path.suffix)}"
    named = re.fullmatch(rf"{names}|{re.escape(path.name + INDEX)}", place.name)
    return bool(named) and os.path.realpath(place.parent) == os.path.realpath(path.parent)


def remove_others(path: Path, written: Sequence[Path]) -> list[Path]:
    """Remove what an earlier run left of `path` in another number of shards; return what it was.

    Readers of a folder take whatever has these names for parts of the same weights.
    """
    new = {place.name for place in written}
    beside = [place for place in path.parent.glob("*") if is_weights(path, place)]
    others = sorted(place for place in beside if place.name not in new)
    for place in others:
        try:
            place.unlink()
        except OSError as error:
            raise FaninError(
                f"{str(path)!r} is written, and cannot replace {str(place)!r} "
                f"({one_line(error)}). Remove that file."
            ) from None
    return others


def write(
    path: Path,
    entries: Sequence[Stored],
    metadata: Mapping[str, str],
    shards: int,
    advance: Callable[[int], object],
) -> tuple[list[Path], Digest]:
    """Write one file, or `shards` files and their index; by temporary names until all are whole.

    Tensors of larger elements come first, so that all are aligned. `advance` is told the bytes
    written. Returns the files, and the digest of what they hold.
    """
    ordered = sorted(entries, key=lambda entry: -item_size(entry.dtype))
    groups = split(ordered, shards)
    names = [path.name]
    if shards > 1:
        names = [
            f"{path.stem}-{number:05d}-of-{shards:05d}{path.suffix}"
            for number in range(1, shards + 1)
        ]
    heads = [header(group, metadata) for group in groups]
    final = [path.with_name(name) for name in names]
    index = path.with_name(f"{path.name}{INDEX}")
    places = [*final, *([index] if shards > 1 else [])]
    digest = Digest()
    try:
        with replacing(places) as temporary:
            for place, head, group in zip(temporary, heads, groups, strict=False):
                with place.open("wb") as file:
                    _write_file(file, head, group, advance, digest)
            if shards > 1:
                temporary[-1].write_text(_index(names, groups), "utf-8")
                index.unlink(missing_ok=True)  # an earlier one would tell of files about to change
    except OSError as error:
        raise FaninError(
            f"cannot write {str(path)!r} ({one_line(error)}). Choose another place."
        ) from None
    return places, digest


def _write_file(
    file: IO[bytes],
    head: bytes,
    group: Sequence[Stored],
    advance: Callable[[int], object],
    digest: Digest,
) -> None:
    file.write(head)
    for entry in group:
        code = CODES[entry.dtype]
        for piece in digest.passing(entry.name, code, entry.shape, _check(entry)):
            file.write(piece)
            advance(len(piece))
    file.flush()
    os.fsync(file.fileno())


def _check(entry: Stored) -> Iterator[bytes]:
    done = 0
    for piece in entry.pieces():
        done += len(piece)
        yield piece
    assert done == entry.size, f"{entry.name} has {done} bytes of {entry.size}"


def _index(names: Sequence[str], groups: Sequence[Sequence[Stored]]) -> str:
    sizes = [entry.size for group in groups for entry in group]
    weight_map = {
        entry.name: name for name, group in zip(names, groups, strict=True) for entry in group
    }
    contents = {"metadata": {"total_size": sum(sizes)}, "weight_map": weight_map}
    return json.dumps(contents, indent=2, ensure_ascii=False) + "\n"
