"""Checkup: the one that a command line of `fanin check` asks for."""

import argparse
import itertools
from collections.abc import Callable, Collection
from typing import Any

import fanin
from fanin import checks
from fanin._arguments import check_seed
from fanin.checks import Checkup
from fanin.commands import _inputs, _output
from fanin.commands._factory import factory
from fanin.errors import FaninError
from fanin.frameworks import in_mode, is_made_anew


def checkup(arguments: argparse.Namespace, rules: Collection[str]) -> Checkup:
    """Build the model, initialize it if asked, and check it by these rules."""
    seed, classes = check_seed(arguments.seed), 0
    if arguments.data is not None:
        inputs, classes = _inputs.of_data(arguments.data, arguments.batch, seed)
    else:
        inputs = _inputs.of_words(arguments.input, arguments.batch, seed)
    make = _maker(arguments, inputs, classes, seed)
    found = checks.check(make, inputs, draws=arguments.draws, seed=seed, select=rules)
    if not found.layers:
        raise FaninError("nothing checked: the run used no weight of the model.")
    return found


def _maker(
    arguments: argparse.Namespace, inputs: Any, classes: int, seed: int
) -> Callable[[], Any]:
    """The factory as the check calls it, once a draw: built, initialized and put into its mode."""
    offered = {"outputs": classes, "classes": classes} if classes else {}
    build = factory(arguments.factory, **offered)
    asked = {"recipe": arguments.recipe, "initializer": arguments.initializer}
    given = {name: value for name, value in asked.items() if value is not None}
    draws = itertools.count(1)

    def make() -> Any:
        draw = next(draws)
        if arguments.draws > 1:
            _output.tell("check", f"draw {draw} of {arguments.draws}: {arguments.factory}")
        model = build()
        if given:
            batch = _inputs.place(inputs, model)
            number = seed + draw - 1
            if is_made_anew(model):
                model, _ = fanin.initialize_params(
                    model, seed=number, inputs=batch, unplaced="keep", **given
                )
            else:
                fanin.initialize(model, number, batch, unplaced="keep", **given)
        return model if arguments.mode is None else in_mode(model, arguments.mode == "train")

    return make
