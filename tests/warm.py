"""Warm: a process that has imported what programs need, and becomes a child for each of them.

Importing torch and its friends takes seconds, which many tests of whole programs would wait for.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

# What programs of a kind load sooner or later, much of it in the middle of a call.
TORCH = "import torch._dynamo, torch.distributed.fsdp, fanin.frameworks.torch"
LAB = (
    "import torch._dynamo, jinja2, matplotlib.figure, mlxtend.data, rich.table, sklearn.datasets, "
    "fanin.lab.report.report, fanin.lab.training.group"
)

_SERVER = """
import json, os, sys, traceback

exec(sys.argv[1])

def become(code, arguments, environment, out, err):
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_RDWR), number)
    try:
        exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

for line in sys.stdin:
    asked = json.loads(line)
    if isinstance(asked, list):
        answer = os.fork() or become(*asked)
    else:
        answer = os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1])
    print(answer, flush=True)
"""


class Done(NamedTuple):
    """How a program ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


class Started(NamedTuple):
    """A program that runs."""

    pid: int
    out: Path
    err: Path


class Warm:
    """`with Warm("import torch") as warm: warm.run(code, *arguments)`, as often as is wanted.

    A program is Python's text, run as the main module of a process of its own that has these
    imports already; `start` and `wait` are for several at once.
    """

    def __init__(self, imports: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._count = 0
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, imports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],  # of bench; where the first test was may be gone
        )

    def __enter__(self) -> "Warm":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.communicate()
        self._folder.cleanup()

    def start_file(self, path: Path, *arguments: str, **environment: str) -> Started:
        code = f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"
        return self.start(code, *arguments, **environment)

    def start(self, code: str, *arguments: str, **environment: str) -> Started:
        self._count += 1
        out, err = (Path(self._folder.name) / f"{self._count}.{end}" for end in ("out", "err"))
        out.touch()
        err.touch()
        asked = [code, arguments, environment, str(out), str(err)]
        return Started(self._ask(asked), out, err)

    def wait(self, started: Started) -> Done:
        returncode = self._ask(started.pid)
        return Done(returncode, started.out.read_text(), started.err.read_text())

    def run(self, code: str, *arguments: str) -> Done:
        return self.wait(self.start(code, *arguments))

    def _ask(self, asked: object) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(asked), file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())
