"""The public surface: every public function and method, in groups that cost about the same."""

import inspect
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import fanin
from bench.faults.arguments import JUNK, VALID, Given, Make, junk, made_initializer
from fanin.axes import Axes

_PUBLIC = Path(__file__).parents[2] / "tests/golden/public_names.txt"

# How often each is chosen, and which names it has. A call of a stream takes microseconds, of a
# plan milliseconds, a comparison seconds.
GROUPS: dict[str, tuple[float, tuple[str, ...]]] = {
    "streams": (30, ("fanin.Stream", "fanin.streams.")),
    "initializers": (30, ("fanin.initializers.",)),
    "theory": (15, ("fanin.fans", "fanin.gains.", "fanin.axes.")),
    "torch": (10, ("fanin.frameworks.torch.",)),
    "plans": (10, ("fanin.plans.", "fanin.recipes.", "fanin.empty_weights")),
    "commands": (2, ()),
    "checks": (2, ("fanin.checks.check", "fanin.testing.")),
    "jax": (1, ("fanin.frameworks.jax.", "fanin.plans.initialize_params")),
    "lab": (0.02, ("fanin.lab.",)),
}
# What a call is always given: without, it would train for minutes.
LITTLE: dict[str, Given] = {
    "fanin.lab.compare": {
        "initializers": ("he_normal", "auto"),
        "data": "digits",
        **{"seeds": 1, "epochs": 1, "train": 20, "test": 20},
    }
}
NUMPY_ALONE = ("streams", "initializers", "theory")
# What fanin makes and users read; the classes whose methods are not theirs to call; functions of
# one argument that is a whole recipe's inside.
LEFT_OUT = (
    *("Checkup", "Conditions", "Finding", "Layer", "Limits", "Rule", "LIMITS", "RULES"),
    *("SEVERITIES", "Severity", "DepthTheory", "GainRow", "GainTable", "SteadyStart", "Account"),
    *("Audit", "Row", "Choice", "Graph", "Node", "Probe", "Recipe", "Comparison", "WidthCheck"),
    *("FaninError", "FaninWarning", "InitError", "Interrupted", "Fans", "Param", "Distribution"),
    *("Array", "DTypeLike", "Index", "ActivationLike", "Elementwise", "Initializer", "lsuv"),
    "calculate_gain",
)


class Target(NamedTuple):
    """A public function, or a method of what `receiver` makes."""

    name: str
    function: Callable[..., Any]
    valid: dict[str, Make]
    receiver: Make | None = None

    @property
    def writes(self) -> frozenset[str]:
        """The arguments that a call is there to change."""
        last = self.name.rpartition(".")[2]
        changed = {"out"}
        if last in ("initialize", "apply"):
            changed.add("model")
        if self.name.startswith("fanin.frameworks.torch.init."):
            changed |= {"tensor", "args", "the random state of torch"}
        if self.name == "fanin.cli.main":  # whose process is its own, and makes the user's model
            changed |= {f"the random state of {whose}" for whose in ("Python", "NumPy", "torch")}
        return frozenset(changed)


def _receivers(torch: bool) -> dict[str, Make]:
    """How an object is made whose methods are called."""
    made: dict[str, Make] = {
        "fanin.streams.Stream": lambda chance, given: fanin.Stream(
            VALID["seed"](chance, given), VALID["name"](chance, given)
        ),
        "fanin.initializers.Initializer": made_initializer,
        "fanin.axes.Axes": lambda chance, given: Axes(VALID["roles"](chance, given)),
        "fanin.gains.DepthTheory": lambda chance, given: fanin.gains.depth_theory("tanh", 1.5),
    }
    if torch:
        made["fanin.plans.Plan"] = import_module("bench.faults.models").plan
    return made


def public() -> list[str]:
    """The names of the golden file, each once: by its module rather than by `fanin`."""
    names = [name for name in _PUBLIC.read_text("utf-8").splitlines() if name[:1] != "#"]
    modules = {name.rpartition(".")[2] for name in names if name.count(".") > 1}
    return [name for name in names if name.count(".") > 1 or name[6:] not in modules]


def left_out(name: str) -> bool:
    """What is not called: records, what trainers call, and Keras, which takes JAX's way."""
    apart = ("fanin.integrations.", "fanin.frameworks.keras")
    return name.startswith(apart) or name.rpartition(".")[2] in LEFT_OUT


def find(name: str) -> Any:
    """The object of a public name."""
    module, _, last = name.rpartition(".")
    try:
        return getattr(import_module(module), last)
    except ModuleNotFoundError:
        return getattr(find(module), last)


@cache
def targets(group: str) -> tuple[Target, ...]:
    """All that a group calls."""
    prefixes, torch = GROUPS[group][1], group not in NUMPY_ALONE
    valid = VALID | (import_module("bench.faults.models").VALID if torch else {})
    if group == "jax":
        valid |= import_module("bench.faults.trees").VALID
    found = []
    if group == "commands":
        commands = import_module("bench.faults.commands")
        return (Target("fanin.cli.main", commands.main, valid | {"argv": commands.argv}),)
    for name in public():
        if name.startswith(prefixes) and not left_out(name):
            thing = find(name)
            if callable(thing):
                found.append(Target(name, thing, valid))
    for kind, receiver in _receivers(torch).items():
        if kind.startswith(prefixes):
            found += [
                Target(f"{kind}.{method}", getattr(find(kind), method), valid, receiver)
                for method in methods(find(kind))
            ]
    return tuple(found)


def methods(kind: type) -> list[str]:
    """What users call of an object: its public methods, and printing and reading it."""
    spoken = ("__call__", "__getitem__", "__contains__", "__str__", "__repr__", "_repr_html_")
    members = inspect.getmembers(kind, callable)
    own = [name for name, _ in members if not name.startswith("_") or name in spoken]
    return [name for name in own if name not in ("register", "draws", "distribution")]


@cache
def one_by_one(groups: tuple[str, ...]) -> tuple[tuple[Target, str, int], ...]:
    """Every argument of all that the groups call, beside every piece of junk, by its number."""
    return tuple(
        (target, parameter.name, number)
        for group in groups
        for target in targets(group)
        for parameter in _named(target)
        for number in range(len(JUNK))
    )


def fill_with(target: Target, name: str, number: int) -> tuple[list[Any], Given]:
    """Arguments that are valid and no more than must be given, but for one, which is junk."""
    chance, given = Random(f"{target.name}:{name}:{number}"), Given()
    positional = [] if target.receiver is None else [target.receiver(chance, given)]
    for parameter in _named(target):
        make = target.valid.get(parameter.name)
        if parameter.name == name:
            given[name] = JUNK[number]()
        elif parameter.default is parameter.empty:
            given[parameter.name] = make(chance, given) if make else None
    given = LITTLE.get(target.name, {}) | given
    return positional, {key: value for key, value in given.items() if key[:1] != "_"}


def _named(target: Target) -> list[inspect.Parameter]:
    """The parameters that have a name of their own."""
    parameters = [*inspect.signature(target.function).parameters.values()]
    several = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    own = parameters[0 if target.receiver is None else 1 :]
    return [parameter for parameter in own if parameter.kind not in several]


def fill(target: Target, chance: Random) -> tuple[list[Any], Given]:
    """Positional arguments and keywords of one call: mostly valid, some junk, some missing."""
    given: Given = {}
    positional: list[Any] = [] if target.receiver is None else [target.receiver(chance, given)]
    wild = chance.choice((0.0, 0.0, 0.1, 0.5))
    parameters = [*inspect.signature(target.function).parameters.values()]
    for parameter in parameters[len(positional) :]:
        optional = parameter.default is not parameter.empty
        if (optional and chance.random() < 0.6) or chance.random() < wild / 5:
            continue
        make = target.valid.get(parameter.name)
        is_junk = make is None or chance.random() < wild
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += [] if make is None else [make(chance, given)]
        elif parameter.kind is not parameter.VAR_KEYWORD:
            given[parameter.name] = junk(chance) if is_junk else make(chance, given)
    given = LITTLE.get(target.name, {}) | given
    if chance.random() < wild / 10:
        given["unknown"] = junk(chance)
    return positional, {name: value for name, value in given.items() if name[:1] != "_"}
