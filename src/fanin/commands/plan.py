"""`fanin plan`: what every parameter of a model gets, and why; or what changed of it."""

import argparse
from typing import Any

import fanin
from fanin._json import json_text
from fanin.commands import _model, _output
from fanin.errors import FaninError
from fanin.plans import _file

_FORMATS = ("text", "toml", "json")


def add(commands: Any) -> None:
    """Add the parser of `fanin plan`."""
    parser = commands.add_parser(
        "plan",
        help="show which initializer every parameter of a model gets, and why",
        description="Build a model, one of PyTorch without memory, run it once without arithmetic "
        "on inputs of the shapes given, and print what every parameter gets, and why. With --save "
        "the plan is written as TOML: fanin init --plan draws it, fanin verify proves a file "
        "against it. With --diff only what changed against a saved plan is printed. A file "
        "plan.toml in place of the factory is read. Exit status: 0, with --diff where nothing "
        "changed; 1 something changed, 2 wrong use.",
    )
    _model.add_flags(parser)
    group = parser.add_argument_group("what is printed and written")
    shown = group.add_mutually_exclusive_group()
    shown.add_argument(
        "--format",
        choices=_FORMATS,
        default="text",
        help="of the plan: the table (text, the default), what its file says, or that as JSON",
    )
    shown.add_argument(
        "--diff",
        metavar="FILE",
        help="print, in place of the plan, what changed against this one: - what it has, + what "
        "there is now; seeds are compared where both say one, here with --seed",
    )
    group.add_argument("--save", metavar="FILE", help="write the plan there, such as plan.toml")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.factory:
        raise FaninError(
            "nothing to plan: name a factory, package.module:factory, and --input 3,224,224, say."
        )
    if arguments.save is not None:
        _output.check_writable(arguments.save)
    # First, as it needs no model: a file that is none is told at once.
    before = None if arguments.diff is None else fanin.Plan.load(arguments.diff)
    if arguments.factory.endswith(".toml"):
        plan = _model.load_plan(
            arguments.factory, arguments, "a plan's file", (*_model.DECIDED, "dtype")
        )
    else:
        plan = _model.plan(arguments, _model.build(arguments))
    changes = () if before is None else _list_changes(before, plan)
    if before is None:
        _output.show(_render(plan, arguments.format))
    else:
        _output.show("".join(f"{line}\n" for line in changes))
        if (before.seed is None) != (plan.seed is None):
            said = f"{plan.seed} now" if before.seed is None else f"{before.seed} before"
            _output.tell("plan", f"seeds are not compared: one is said, {said}, and none beside it")
    if arguments.save is not None:
        plan.save(arguments.save)
        _output.tell("plan", f"wrote {arguments.save}")
    return int(bool(changes))


def _list_changes(before: fanin.Plan, now: fanin.Plan) -> tuple[str, ...]:
    """What makes other values: the seed where both plans have one, the prefix, the rows."""
    lines: list[str] = []
    for what in ("seed", "prefix"):
        old, new = getattr(before, what), getattr(now, what)
        if old != new and None not in (old, new):
            lines += [f"- {what} {old}", f"+ {what} {new}"]
    return (*lines, *before.diff(now))


def _render(plan: fanin.Plan, form: str) -> str:
    if form == "toml":
        return _file.to_toml(plan._to_dict())
    return json_text(plan._to_dict(), indent=2) if form == "json" else f"{plan}\n"
