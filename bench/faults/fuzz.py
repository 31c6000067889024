"""Random calls of the whole public surface: what crashes, hangs, or leaves something half done?

    python -m bench.faults.fuzz [--calls 20000] [--seed 0] [--groups GROUP ...]
    python -m bench.faults.fuzz --seed 0 --call 1234      # one of them again, with its traceback
    python -m bench.faults.fuzz --each       # every argument of everything, every piece of junk

A call is made from the seed and its number alone: a public function or method, with arguments
that are mostly valid, some of them not; with --each from its number, and one argument is not.
Counted are calls that end the process (crash), take longer than --limit (hang), raise anything but
FaninError or TypeError (traceback), leave a file changed or half-written behind an error
(half-written), or change an argument that they may not, all of them where they fail, or a random
state of the user (changed). The count is kept in --out, and the same command goes on where it was.
Exit status: 1 where a fault was found.
"""

import argparse
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from bench.faults import surface
from bench.faults.judge import KINDS, Folder, describe, judge
from fanin._progress import progress
from fanin._replacing import replacing

BLOCK = 5_000  # calls of a process, which may grow
MEMORY = 12 << 30  # bytes that it may map
IMPORTS = 300.0  # seconds that they may take
WORKER = (sys.executable, "-X", "faulthandler", "-m", "bench.faults.fuzz")
Found = Callable[[int, str, str, str], None]
Call = tuple[surface.Target, list[Any], dict[str, Any]]


def call(seed: int | None, number: int, groups: tuple[str, ...]) -> Call:
    """The call of this number; without a seed one of those with one wrong argument."""
    if seed is None:
        target, name, junk = surface.one_by_one(groups)[number]
        return (target, *surface.fill_with(target, name, junk))
    chance = Random(f"{seed}:{number}")
    weights = [surface.GROUPS[group][0] for group in groups]
    group = chance.choices(groups, weights)[0]
    target = chance.choice(surface.targets(group))
    return (target, *surface.fill(target, chance))


def folder(groups: tuple[str, ...]) -> Folder:
    """The current folder with a plan and weights in it, as far as the groups need them."""
    contents = {"damaged.toml": b"format = 1\n[[", "damaged.safetensors": b"\xff" * 40}
    contents |= {"folder/file": b"", "plan.toml": b"", "model.safetensors": b""}
    if set(groups) - set(surface.NUMPY_ALONE):
        import equinox  # noqa: F401  # which draws while it is imported

        import fanin.cli
        import fanin.lab.comparison  # seconds, which count as no call's

        words = "init bench.faults.models:mlp --input 4 --out w.safetensors --save-plan p.toml"
        stdout, sys.stdout = sys.stdout, sys.stderr
        try:
            assert fanin.cli.main(words.split()) == 0
        finally:
            sys.stdout = stdout
        contents["plan.toml"] = Path("p.toml").read_bytes()
        contents["model.safetensors"] = Path("w.safetensors").read_bytes()
    return Folder(contents)


def work(seed: int | None, start: int, stop: int, groups: tuple[str, ...]) -> None:
    """Make the calls; tell the number of each before it, and its fault behind it."""
    if "asan" not in os.environ.get("LD_PRELOAD", ""):  # which maps terabytes
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        files = folder(groups)
        for number in range(start, stop):
            told.write(f"{number}\n")
            target, positional, keywords = call(seed, number, groups)
            text = describe(target, positional, keywords)
            refused, fault = judge(target, positional, keywords, files)
            if refused:
                told.write("refused\n")
            if fault is not None:
                told.write(json.dumps([number, fault.kind, fault.told, text]) + "\n")
        os.chdir("/")


def watch(command: Sequence[str], start: int, stop: int, limit: float, found: Found) -> int:
    """A process that makes calls, until it is done or dead; returns the number to go on with."""
    number, rest = start - 1, b""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdout is not None
        while True:
            # Before the first call libraries are imported.
            wait = limit if number >= start else max(limit, IMPORTS)
            ready, _, _ = select.select([process.stdout], [], [], wait)
            if not ready:
                process.kill()
                found(number, "hang", f"no answer in {wait:g} s", "")
                return number + 1
            read = os.read(process.stdout.fileno(), 1 << 16)
            if not read:
                break
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                if line[:1] == b"[":
                    found(*json.loads(line))
                elif line == b"refused":
                    found(number, "refused", "", "")
                else:
                    number = int(line)
                    found(number, "call", "", "")
        status = process.wait()
        if status or number != stop - 1:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()[-12:]
            found(number, "crash", f"exit status {status}: {' | '.join(said)[:800]}", "")
    if number < start:
        sys.exit("no call was made: see the last line above.")
    return number + 1


class Tally:
    """The count so far, kept in a file."""

    def __init__(self, path: Path, seed: int | None, groups: tuple[str, ...]) -> None:
        self._path, self._same = path, {"seed": seed, "groups": list(groups)}
        self.next, self.counts, self.faults = 0, Counter[str](), []
        if path.exists():
            kept = json.loads(path.read_text("utf-8"))
            if {key: kept[key] for key in self._same} != self._same:
                sys.exit(f"{path} counts another seed or other groups; name another with --out.")
            self.next, self.faults = kept["next"], kept["faults"]
            self.counts.update(kept["counts"])

    def save(self) -> None:
        kept = self._same | {"next": self.next, "counts": self.counts, "faults": self.faults}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing([self._path]) as (temporary,):
            temporary.write_text(json.dumps(kept, indent=1), "utf-8")

    def add(self, number: int, kind: str, told: str, text: str) -> None:
        self.counts[kind] += 1
        if kind in KINDS:
            self.faults.append([number, kind, told, text])
            print(f"call {number}: {kind}: {told}\n    {text}", file=sys.stderr, flush=True)


def again(seed: int | None, number: int, groups: tuple[str, ...]) -> None:
    """One call once more, unguarded."""
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        files = folder(groups)
        target, positional, keywords = call(seed, number, groups)
        print(describe(target, positional, keywords), flush=True)
        _, fault = judge(target, positional, keywords, files)
        print(fault or "no fault", flush=True)
        target, positional, keywords = call(seed, number, groups)
        try:
            target.function(*positional, **keywords)
        finally:
            os.chdir("/")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000, help="in all (default 20,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", action="store_true", help="every argument, one by one")
    parser.add_argument("--groups", nargs="+", choices=surface.GROUPS, default=[*surface.GROUPS])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a call (default 60)")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz.json"), help="the count")
    parser.add_argument("--call", type=int, metavar="NUMBER", help="make this call again, alone")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    groups = tuple(arguments.groups)
    seed = None if arguments.each else arguments.seed
    if arguments.work is not None:
        start, stop = arguments.work
        return work(seed, start, stop, groups)
    if arguments.call is not None:
        return again(seed, arguments.call, groups)
    calls = len(surface.one_by_one(groups)) if arguments.each else arguments.calls
    which = "with one wrong argument" if arguments.each else f"of seed {seed}"
    tally = Tally(arguments.out, seed, groups)
    with progress(f"calls {which}", calls) as advance:
        advance(tally.next)

        def found(number: int, kind: str, told: str, text: str) -> None:
            tally.add(number, kind, told, text)
            if kind == "call":
                advance(1)

        while tally.next < calls:
            start = tally.next
            stop = min(start + BLOCK, calls)
            chosen = ["--each"] if arguments.each else ["--seed", str(seed)]
            words = [*chosen, "--groups", *groups, "--work"]
            command = [*WORKER, *words, str(start), str(stop)]
            tally.next = watch(command, start, stop, arguments.limit, found)
            tally.save()
    counts = tally.counts
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    print(f"{counts['call']} calls {which}, {counts['refused']} refused: {told}")
    sys.exit(any(counts[kind] for kind in KINDS))


if __name__ == "__main__":
    main()
