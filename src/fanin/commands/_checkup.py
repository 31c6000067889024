"""Checkup: the one that a command line of `fanin check` asks for."""

import argparse
import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import fanin
from fanin import checks
from fanin._arguments import check_seed
from fanin.checks import Checkup
from fanin.commands import _inputs, _output
from fanin.commands._factory import factory
from fanin.errors import FaninError
from fanin.frameworks import FactoryModel, in_mode, is_made_anew, open_model, take_apart

_STEPS = 8  # of an optimizer, where --steps says nothing


def checkup(arguments: argparse.Namespace, rules: Collection[str]) -> Checkup:
    """Build the model, initialize it if asked, and check it by these rules."""
    seed, classes = check_seed(arguments.seed), 0
    if arguments.data is not None:
        inputs, classes = _inputs.of_data(arguments.data, arguments.batch, seed)
    else:
        inputs = _inputs.of_words(arguments.input, arguments.batch, seed)
    make = _maker(arguments, inputs, classes, seed)
    steps = arguments.steps
    if arguments.optimizer is not None and steps is None:
        steps = _STEPS
    found = checks.check(
        *(make, inputs),
        draws=arguments.draws,
        seed=seed,
        select=rules,
        optimizer=arguments.optimizer,
        lr=arguments.lr,
        steps=steps or 0,
    )
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
        made = take_apart(build())
        if given:
            made = _initialize(made, seed + draw - 1, inputs, given)
        model, params = made
        if arguments.mode is not None:
            model = in_mode(model, arguments.mode == "train")
        return model if params is None else (model, params)

    return make


def _initialize(
    made: FactoryModel, seed: int, inputs: Any, given: Mapping[str, Any]
) -> FactoryModel:
    """The same with new weights, which of some models are a new model or a new tree."""
    model, params = made
    batch = _inputs.place(inputs, open_model(model, params))
    how: dict[str, Any] = {"seed": seed, "inputs": batch, "unplaced": "keep", **given}
    if params is None and not is_made_anew(model):
        fanin.initialize(model, **how)
        return made
    new, _ = fanin.initialize_params(model, params, **how)
    return FactoryModel(new) if type(new) is type(model) else FactoryModel(model, new)
