"""`fanin plan`: what every parameter of a model gets, and why; as a table and as a file."""

import argparse
from typing import Any

import fanin
from fanin.commands import _model, _output
from fanin.errors import FaninError


def add(commands: Any) -> None:
    """Add the parser of `fanin plan`."""
    parser = commands.add_parser(
        "plan",
        help="show which initializer every parameter of a model gets, and why",
        description="Build a PyTorch model without memory, run it once without arithmetic on "
        "inputs of the shapes given, and print what every parameter gets, and why. With --save "
        "the plan is written as TOML: fanin init --plan draws it, fanin verify proves a file "
        "against it. A file plan.toml in place of the factory is printed.",
    )
    _model.add_flags(parser)
    parser.add_argument("--save", metavar="FILE", help="write the plan there, such as plan.toml")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if not arguments.factory:
        raise FaninError(
            "nothing to plan: name a factory, package.module:factory, and --input 3,224,224, say."
        )
    if arguments.save is not None:
        _output.check_writable(arguments.save)
    if arguments.factory.endswith(".toml"):
        plan = fanin.Plan.load(arguments.factory)
    else:
        plan = _model.plan(arguments, _model.build(arguments))
    _output.show(f"{plan}\n")
    if arguments.save is not None:
        plan.save(arguments.save)
        _output.tell("plan", f"wrote {arguments.save}")
