"""Checkup: the one that a command line of `fanin check` asks for."""

import argparse
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import fanin
from fanin import checks
from fanin._arguments import check_seed
from fanin.checks import Checkup
from fanin.commands import _inputs, _output
from fanin.commands._factory import factory
from fanin.commands._inputs import Inputs
from fanin.errors import FaninError


def checkup(arguments: argparse.Namespace, rules: tuple[str, ...]) -> Checkup:
    """Build the model, initialize it if asked, and check it by these rules."""
    seed = check_seed(arguments.seed)
    if arguments.data is not None:
        inputs = _inputs.of_data(arguments.data, arguments.batch, seed)
    else:
        inputs = _inputs.of_words(arguments.input, arguments.batch, seed)
    make = _maker(arguments, inputs, seed)
    if inputs.shape is None and inputs.told:
        make, inputs = _placed(make, inputs, seed)
    found = checks.check(
        make,
        inputs.values if inputs.shape is None else None,
        inputs.targets,
        shape=inputs.shape,
        draws=arguments.draws,
        seed=seed,
        select=rules,
    )
    if not found.layers:
        raise FaninError("nothing checked: the run used no weight of the model.")
    if inputs.shape is not None or not inputs.told:
        return found
    return replace(found, conditions=replace(found.conditions, inputs=inputs.told))


def _placed(make: Callable[[], Any], inputs: Inputs, seed: int) -> tuple[Callable[[], Any], Inputs]:
    """Our inputs in the type and on the device of the first model, which is built only once."""
    from fanin.frameworks.torch import built
    from fanin.lab.samples import placed

    first = built(make, seed)
    values, targets = placed(inputs.values, first), placed(inputs.targets, first)
    ready = [first]
    return (
        lambda: ready.pop() if ready else make(),
        replace(inputs, values=values, targets=targets),
    )


def _maker(arguments: argparse.Namespace, inputs: Inputs, seed: int) -> Callable[[], Any]:
    """The factory as the check calls it, once a draw: built, initialized and put into its mode."""
    offered = {"outputs": inputs.classes, "classes": inputs.classes} if inputs.classes else {}
    build = factory(arguments.factory, **offered)
    how = {"recipe": arguments.recipe, "initializer": arguments.initializer}
    given = {name: value for name, value in how.items() if value is not None}
    draws = itertools.count(1)

    def make() -> Any:
        draw = next(draws)
        if arguments.draws > 1:
            _output.tell("check", f"draw {draw} of {arguments.draws}: {arguments.factory}")
        model = build()
        if given:
            fanin.initialize(model, seed + draw - 1, inputs.values, unplaced="keep", **given)
        if arguments.mode is not None and hasattr(model, "train"):
            model.train(arguments.mode == "train")
        return model

    return make
