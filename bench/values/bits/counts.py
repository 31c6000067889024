"""What was compared so far: a line of JSON for each comparison and kind of draw."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.lines import whole_lines
from fanin._replacing import replacing

ROOT = Path(__file__).parents[3]
FILE = Path(__file__).with_name("counts.jsonl")


@dataclass
class Count:
    """How many values two ways drew alike, under the code of this digest.

    `pieces` were drawn so far, and with the names they decide all that comes next by chance;
    `first` says where the first difference was, `seconds` are of the processor.
    """

    comparison: str
    draw: str
    code: str
    pieces: int = 0
    elements: int = 0
    differences: int = 0
    first: dict[str, object] | None = None
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        return self.comparison, self.draw, self.code


def digest_of_code() -> str:
    """Twelve hexadecimal digits of the sources that make bits of addresses."""
    streams = ROOT / "src" / "fanin" / "streams"
    definition = [
        streams / f"_{name}.py" for name in ("arithmetic", "philox", "quantile", "reference")
    ]
    found = hashlib.sha256()
    for path in sorted([*(ROOT / "native").glob("*.?pp"), *streams.glob("*.inc"), *definition]):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def read(path: Path) -> list[Count]:
    return [Count(**record) for record in whole_lines(path)]


def write(path: Path, counts: list[Count]) -> None:
    """Replace the file as a whole, so that a kill loses what came after the last time alone."""
    text = "".join(json.dumps(asdict(count)) + "\n" for count in counts)
    with replacing([path]) as (temporary,):
        temporary.write_text(text, "utf-8")
