"""Model: what `fanin plan` and `fanin init` build without memory, and the plan that they make."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import fanin
from fanin import recipes
from fanin._arguments import check_seed
from fanin.commands import _inputs
from fanin.commands._factory import factory, users_code
from fanin.errors import FaninError
from fanin.frameworks import build_empty, open_model

DTYPES = ("float32", "float64", "bfloat16", "float16")


def add_flags(parser: Any) -> None:
    """Add the factory, and what decides its plan."""
    parser.add_argument(
        "factory",
        nargs="?",
        metavar="FACTORY",
        help="package.module:factory, a function without arguments or a class of model; it returns "
        "a model of PyTorch, Keras, Equinox or Flax NNX, or a pair: a module of Flax Linen and its "
        "variables, or a function and its parameters",
    )
    inputs = parser.add_argument_group("what the model runs on, without memory")
    _inputs.add_input(inputs)
    _inputs.add_batch(inputs)
    group = parser.add_argument_group("what the weights become")
    for flag, metavar, text in (
        ("--recipe", "RECIPE", "which rules choose the initializers (default auto)"),
        ("--initializer", "INIT", "instead of a recipe, one initializer for all weights"),
        ("--unplaced", "HOW", "'keep' for what no rule places (default error)"),
    ):
        group.add_argument(flag, metavar=metavar, help=text)
    group.add_argument(
        "--override",
        metavar="NAME=INIT",
        action="append",
        help="the initializer of a parameter, or of those that a pattern such as '*.bias' names. "
        "May be given again; of patterns the last match counts",
    )
    _add_parts(group)
    group.add_argument(
        "--strict",
        action="store_true",
        default=None,
        help="refuse where a value would be the constructor's, whatever the seed",
    )
    group.add_argument(
        "--seed", type=int, metavar="SEED", help="seed of the weights, 0 to 2**64 - 1 (default 0)"
    )
    group.add_argument(
        "--dtype",
        choices=DTYPES,
        help="the type of all real weights and buffers (default: as the factory makes them)",
    )


def _add_parts(group: Any) -> None:
    """What is drawn of a model that has values."""
    for flag, text in (
        (
            "--only",
            "the parameters to draw, by name or a pattern such as 'head.*'; all others stay "
            "as the factory gives them",
        ),
        ("--keep", "the parameters that stay as the factory gives them, in place of --only"),
    ):
        group.add_argument(
            flag, metavar="NAME", action="append", help=f"{text}. May be given again"
        )
    group.add_argument(
        "--rows",
        metavar="NAME=FIRST:END",
        action="append",
        help="of a table that has grown the rows to draw, beside which all stays as the factory "
        "gives it; or the plan of the model before, whose shapes tell. May be given again",
    )
    group.add_argument(
        "--like",
        metavar="COPY=SOURCE",
        action="append",
        help="parameters that get the values of others, by name or by patterns such as "
        "'blocks.4.*=blocks.3.*'; all else stays. May be given again",
    )


RULES = (
    *("recipe", "initializer", "unplaced", "override"),
    *("only", "keep", "rows", "like", "strict"),
)
DECIDED = ("input", "batch", *RULES)


def load_plan(
    path: str, arguments: argparse.Namespace, flag: str, decided: Sequence[str] = DECIDED
) -> fanin.Plan:
    """The plan of a file, with the seed of the command line if there is one.

    `flag` says in errors what the file was given as, beside which no other flag may decide.
    """
    for name in decided:
        if getattr(arguments, name) is not None:
            raise FaninError(f"{flag} and --{name} are both given; the plan says it all.")
    plan = fanin.Plan.load(path)
    return plan if arguments.seed is None else replace(plan, seed=check_seed(arguments.seed))


class ModelAsked(NamedTuple):
    """What a command line names: a model, parameters that it does not hold, and inputs or None."""

    model: Any
    params: Any
    inputs: Any

    @property
    def opened(self) -> Any:
        """The model as its adapter takes it."""
        return open_model(self.model, self.params, self.inputs)


def build(arguments: argparse.Namespace, given: fanin.Plan | None = None) -> ModelAsked:
    """The factory's model, one of PyTorch without memory but where its values count.

    `given` is the plan that will be drawn into it, where there is one already.
    """
    stays = [row for row in given.rows if row.keeps == "asked" or row.part] if given else []
    empty = not (stays or _needs_values(arguments))
    with users_code():
        made = build_empty(factory(arguments.factory), empty=empty, dtype=arguments.dtype)
        if arguments.input:
            words = _inputs.of_words(arguments.input, arguments.batch, arguments.seed or 0)
            return ModelAsked(*made, _inputs.place(words, open_model(*made)))
    if arguments.batch is not None:
        raise FaninError("--batch is given without --input; give the shape of one input, too.")
    return ModelAsked(*made, None)


def _needs_values(arguments: argparse.Namespace) -> bool:
    """Whether the plan measures, or keeps what the factory loaded."""
    recipe = recipes.find(arguments.recipe or "auto")
    if recipe.needs == "data":
        raise FaninError(
            f"recipe {recipe.name} goes by a batch of real data, and --input makes one by chance. "
            f"Pass it in Python: fanin.initialize(model, seed, inputs, {recipe.name!r})."
        )
    held = (arguments.only, arguments.keep, arguments.rows, arguments.like)
    return recipe.needs_values or any(held)


def plan(arguments: argparse.Namespace, named: ModelAsked) -> fanin.Plan:
    """The plan of a model that the command line asks for; it knows the seed, if one is given."""
    seed = None if arguments.seed is None else check_seed(arguments.seed)
    names = ("recipe", "initializer", "unplaced", "only", "keep", "strict")
    how = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in how.items() if value is not None}
    given["overrides"] = _pairs(arguments.override, "override", "NAME=INIT", "'*.bias=zeros'")
    given["like"] = _pairs(arguments.like, "like", "COPY=SOURCE", "'blocks.4.*=blocks.3.*'")
    given["rows"] = _read_rows(arguments.rows)
    with users_code():
        plan = fanin.plan(named.model, named.inputs, params=named.params, **given)
    if not plan.rows:
        raise without_parameters(arguments)
    return replace(plan, seed=seed)


def without_parameters(arguments: argparse.Namespace) -> FaninError:
    """The error where there is nothing to do; what was there stays."""
    return FaninError(f"{arguments.factory} makes a model without parameters: nothing to draw.")


def _pairs(
    words: Sequence[str] | None, flag: str, form: str, example: str
) -> dict[str, str] | None:
    """What stands before and behind the first sign of equality; None where nothing is asked."""
    pairs = [word.partition("=") for word in words or ()]
    for name, equals, spec in pairs:
        if not (name and equals and spec):
            raise FaninError(f"{flag} {name + equals + spec!r} is not {form}, such as {example}.")
    return {name: spec for name, _, spec in pairs} or None


def _read_rows(words: Sequence[str] | None) -> fanin.Plan | dict[str, slice] | None:
    """Rows by name, or the plan of the model before."""
    if words and len(words) == 1 and words[0].endswith(".toml"):
        return fanin.Plan.load(words[0])
    example = "'emb.weight=50257:50304', nor the one file of a plan"
    found = {}
    for name, text in (_pairs(words, "rows", "NAME=FIRST:END", example) or {}).items():
        ends = re.fullmatch(r"(-?\d+)?:(-?\d+)?", text)
        if ends is None:
            raise FaninError(f"rows {f'{name}={text}'!r} is not NAME=FIRST:END, such as {example}.")
        found[name] = slice(*(int(end) if end else None for end in ends.groups()))
    return found or None
