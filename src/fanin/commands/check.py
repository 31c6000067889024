"""`fanin check`: will this network train? Findings on stdout, progress on stderr."""

import argparse
import inspect
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from fanin._imported import import_object
from fanin.checks import RULES, SEVERITIES
from fanin.checks._baseline import Baseline
from fanin.checks._rules import choose, find_rules
from fanin.commands import _inputs, _output, _widths
from fanin.commands._checkup import checkup
from fanin.commands._factory import users_code
from fanin.commands.formats import FORMATS, ReportSubject, renderer
from fanin.errors import FaninError, quote
from fanin.frameworks import OPTIMIZERS


def add(commands: Any) -> None:
    """Add the parser of `fanin check`."""
    parser = commands.add_parser(
        "check",
        help="say whether a network will train, and what to fix",
        description="Run a model of PyTorch, Equinox, Flax NNX or Keras forward and backward once, "
        "and say layer by layer whether signal and gradient vanish, explode, saturate, die or are "
        "symmetric, and what to write "
        "instead. Exit status: 0 clean, 1 findings, 2 wrong use or nothing checked.",
    )
    parser.add_argument(
        "factory",
        nargs="?",
        metavar="FACTORY",
        help="package.module:factory, a function or class that returns a model; with --data it may "
        "take outputs (or classes), the number of classes",
    )
    _add_inputs(parser.add_argument_group("what the model runs on"))
    _add_model(parser.add_argument_group("the model"))
    _add_steps(parser.add_argument_group("first steps of training"))
    _widths.add(parser.add_argument_group("widths"))
    _add_report(parser.add_argument_group("what is reported"))
    parser.set_defaults(run=_run)


def _add_inputs(group: Any) -> None:
    source = group.add_mutually_exclusive_group()
    _inputs.add_input(source)
    source.add_argument(
        "--data",
        metavar="DATA",
        help="images (1, 28, 28) with labels: mnist, digits, fashion or an .npz file; then the "
        "initial loss is judged, too",
    )
    _inputs.add_batch(group)


def _add_model(group: Any) -> None:
    for flag, kind, default, text in (
        ("--draws", int, 1, "construct the model N times, from seed, seed + 1, ... (default 1)"),
        ("--seed", int, 0, "seed of weights and inputs, 0 to 2**64 - 1 (default 0)"),
        ("--recipe", str, None, "initialize by this recipe first, such as auto"),
        ("--initializer", str, None, "or by this initializer, such as he_normal"),
    ):
        metavar = "N" if kind is int else flag.removeprefix("--").upper()
        group.add_argument(flag, type=kind, default=default, metavar=metavar, help=text)
    mode = group.add_mutually_exclusive_group()
    text = "put the model into {} mode (default: as the factory returns it)"
    for name in ("train", "eval"):
        mode.add_argument(
            f"--{name}", dest="mode", action="store_const", const=name, help=text.format(name)
        )


def _add_steps(group: Any) -> None:
    group.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        help="take its first steps on the batch, judge them (F19, F20), and take them back; needs "
        "--data, or a model that returns its loss. With --widths that of the coordinate check "
        "(default adam)",
    )
    group.add_argument(
        "--lr",
        type=float,
        metavar="RATE",
        help="its learning rate (default 0.1 of sgd, else 0.001; with --widths 0.01 of adam)",
    )
    group.add_argument(
        "--steps", type=int, metavar="N", help="how many (default 8; with --widths 5)"
    )


def _add_report(group: Any) -> None:
    group.add_argument("--select", metavar="IDS", help="rules to apply, such as F02,F03")
    group.add_argument("--ignore", metavar="IDS", help="rules to leave out")
    group.add_argument(
        "--fail-level",
        choices=SEVERITIES,
        default="error",
        help="the mildest findings that give exit status 1 (default error)",
    )
    group.add_argument(
        "--format", choices=FORMATS, default="text", help="of the report (default text)"
    )
    group.add_argument("-o", "--output", metavar="FILE", help="write the report there")
    group.add_argument(
        "--baseline", metavar="FILE", help="do not report the findings that this file records"
    )
    group.add_argument(
        "--write-baseline",
        metavar="FILE",
        help="record the findings in this file, report them and exit with status 0",
    )
    group.add_argument("--explain", metavar="ID", help="print what a rule measures, and why")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.explain is not None:
        explained = sorted(find_rules(arguments.explain, "explain"))
        _output.show("\n\n".join(RULES[rule].explanation for rule in explained) + "\n")
        return 0
    if arguments.widths is not None:
        return _widths.run(arguments)
    wanted = _choose_rules(arguments)
    written = [path for path in (arguments.output, arguments.write_baseline) if path is not None]
    for path in written:
        _output.check_writable(path)
    if len(written) > len({os.path.realpath(path) for path in written}):
        raise FaninError(
            f"--output and --write-baseline both name {quote(written[0])}; name two files."
        )
    with users_code():
        subject = _subject(arguments, wanted)
    render = renderer(arguments.format)  # now, as its libraries may be missing
    known = None if arguments.baseline is None else Baseline.load(arguments.baseline)
    with users_code():
        found = checkup(arguments, wanted)
    if arguments.write_baseline is not None:
        recorded = Baseline.of(found)
        recorded.save(arguments.write_baseline)
        _output.tell(
            "check", f"recorded {len(recorded.known)} findings in {arguments.write_baseline}"
        )
    if known is not None:
        for rule, layer in known.find_gone(found):
            if rule in subject.rules:
                where = layer or "the model"
                _output.tell(
                    "check", f"the baseline knows {rule} at {where}, which is no longer found"
                )
        found = known.remaining(found)
    text = render(found, subject)
    if arguments.output is None:
        _output.show(text)
    else:
        _output.write(text, arguments.output)
        _output.tell("check", f"wrote {arguments.output}: {found.verdict}")
    return int(arguments.write_baseline is None and not found.ok(arguments.fail_level))


def _choose_rules(arguments: argparse.Namespace) -> frozenset[str]:
    """The rules to judge by, of a command line that has something to judge."""
    if not arguments.factory:
        raise FaninError("nothing to check: name a factory, package.module:factory.")
    if arguments.data is None and not arguments.input:
        raise FaninError(
            "nothing to run the model on: give --input 3,224,224, say, or --data digits."
        )
    for flag in ("lr", "steps"):
        if getattr(arguments, flag) is not None and arguments.optimizer is None:
            raise FaninError(f"--{flag} is that of an optimizer; add --optimizer adam, say.")
    if arguments.optimizer is not None and not _has_labels(arguments):
        raise FaninError(
            "--optimizer needs a loss: give --data digits, or, of a model that returns its loss, "
            "--input package.module:function, which makes inputs with their labels."
        )
    wanted = choose(arguments.select, arguments.ignore)
    if not wanted:
        raise FaninError("nothing checked: --ignore leaves no rule of those selected.")
    return wanted


def _subject(arguments: argparse.Namespace, wanted: frozenset[str]) -> ReportSubject:
    # Reports name the rules that were judged.
    unjudged = set() if _has_labels(arguments) else {"F11"}
    unjudged |= {"F19", "F20"} if arguments.optimizer is None else set()
    rules = tuple(sorted(wanted - unjudged))
    if not rules:
        needs = "F11 compares the loss with labels; give --data digits"
        if "F11" not in wanted:
            needs = "F19 and F20 judge the steps of an optimizer; give --optimizer adam"
        raise FaninError(f"nothing checked: {needs}.")
    file, line = _find_source(arguments.factory)
    return ReportSubject(arguments.factory, rules, arguments.fail_level, file, line)


def _has_labels(arguments: argparse.Namespace) -> bool:
    """Whether there may be labels: a data set, or a function of the user that makes the inputs."""
    return arguments.data is not None or _inputs.are_called(arguments.input)


def _find_source(text: str) -> tuple[str, int]:
    """File and line of a factory, where it is written below the working folder."""
    found: Any = inspect.unwrap(import_object(text, "factory"))
    with suppress(TypeError, OSError, ValueError):
        path = Path(inspect.getsourcefile(found) or "").resolve()
        line = inspect.getsourcelines(found)[1]
        return path.relative_to(Path.cwd().resolve()).as_posix(), max(line, 1)
    return "", 1
