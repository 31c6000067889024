"""Files that are whole or not there: written under temporary names, renamed at the end."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(final: Sequence[Path]) -> Iterator[list[Path]]:
    """Temporary names beside these; the files take their final names if the block ends well."""
    temporary = [place.with_name(f".{place.name}.{os.getpid()}.tmp") for place in final]
    try:
        yield temporary
        for before, after in zip(temporary, final, strict=True):
            os.replace(before, after)
    finally:
        for place in temporary:
            with suppress(OSError):
                place.unlink()
