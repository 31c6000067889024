"""What was compared so far: a line of JSON for each comparison and kind of draw."""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
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
    """Twelve hexadecimal digits of the sources that make bits of addresses.

    Ends the process where the kernel was built before they were what they are.
    """
    streams = ROOT / "src" / "fanin" / "streams"
    compiled = [*(ROOT / "native").glob("*.?pp"), *streams.glob("*.inc")]
    kernel = Path(find_spec("fanin._native").origin)
    if max(path.stat().st_mtime for path in compiled) > kernel.stat().st_mtime:
        raise SystemExit("the kernel is older than its sources; build it again, as make does.")
    definition = [
        streams / f"_{name}.py" for name in ("arithmetic", "philox", "quantile", "reference")
    ]
    found = hashlib.sha256()
    for path in sorted(compiled + definition):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def read(path: Path) -> list[Count]:
    return [Count(**record) for record in whole_lines(path)]


def write(path: Path, counts: list[Count]) -> None:
    """Replace the file as a whole, so that a kill loses what came after the last time alone."""
    text = "".join(json.dumps(asdict(count)) + "\n" for count in counts)
    with replacing([path]) as (temporary,):
        temporary.write_text(text, "utf-8")
