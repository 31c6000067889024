"""Digest: one hash of a model's tensors, whatever files they lie in and in whatever order."""

import hashlib
import json
from collections.abc import Iterable, Iterator


class Digest:
    """SHA-256 over names, dtypes, shapes and bytes of tensors, sorted by name.

    Of each tensor the line is JSON, [name, dtype, shape, SHA-256 of its bytes], and a line feed.
    """

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self.values: dict[str, str] = {}  # the SHA-256 of each tensor's bytes

    def passing(
        self, name: str, dtype: str, shape: tuple[int, ...], pieces: Iterable[bytes]
    ) -> Iterator[bytes]:
        """The pieces of a tensor's bytes, which count when the last one has passed."""
        values = hashlib.sha256()
        for piece in pieces:
            values.update(piece)
            yield piece
        self.values[name] = values.hexdigest()
        parts = [name, dtype, list(shape), self.values[name]]
        self._lines[name] = json.dumps(parts, ensure_ascii=False)

    def __str__(self) -> str:
        lines = (f"{self._lines[name]}\n" for name in sorted(self._lines))
        return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
