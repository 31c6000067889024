"""Files that are whole or not there: written under temporary names, renamed at the end."""

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_LONGEST = 255  # bytes of a file's name


@contextmanager
def replacing(final: Sequence[Path]) -> Iterator[list[Path]]:
    """Temporary names beside these; the files take their final names if the block ends well."""
    temporary = [_beside(place) for place in final]
    try:
        yield temporary
        for before, after in zip(temporary, final, strict=True):
            os.replace(before, after)
    finally:
        for place in temporary:
            with suppress(OSError):
                place.unlink()


def _beside(place: Path) -> Path:
    """A temporary name in the same folder, no longer than the system allows."""
    name = f".{place.name}.{os.getpid()}.tmp"
    if len(os.fsencode(name)) > _LONGEST:
        name = f".{zlib.crc32(os.fsencode(place.name)):08x}.{os.getpid()}.tmp"
    return place.with_name(name)
