"""`fanin compare`: train one network from several initializations, and report."""

import argparse
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from fanin.errors import FaninError, one_line
from fanin.lab.settings import FLAGS, CompareSettings

_HELP: dict[str, tuple[str, str]] = {
    "initializers": (
        "NAME",
        "rows of the table: names such as he_normal, expressions such as 'uniform(-0.5, 0.5)', "
        "recipes such as auto, lsuv or torch (PyTorch's own default; recipe:NAME where an "
        "initializer has that name), glorot_then_he (Glorot for the first layer, He for the "
        "others), a plan's file plan.toml, or @FILE with one of these a line",
    ),
    "seeds": ("N", "runs of each initializer, from consecutive seeds"),
    "first_seed": ("SEED", "the first of the seeds, 0 to 2**64 - 1"),
    "train": ("N", "training inputs: images, rows of a table or sequences"),
    "test": ("N", "test inputs"),
    "epochs": ("N", "passes over the training inputs"),
    "batch_size": ("N", "inputs in a training step"),
    "model": (
        "MODEL",
        "for images cnn2, deep_cnn, resnet (without normalization); for images and token ids "
        "transformer; for all data mlp, deep_mlp; or a factory package.module:make_model, which "
        "may take outputs, shape (of one input), tokens (how many there are) and depth",
    ),
    "activation": ("NAME", "any of torch's, such as gelu or 'leaky_relu(0.2)'"),
    "depth": ("N", "layers or blocks of the network, if not its own number"),
    "depths": ("N", "train at these depths too, and tell to which depth training starts"),
    "task": ("TASK", "classification, or regression: labels are numbers to predict"),
    "loss": ("LOSS", "cross_entropy (the default) or quadratic (the default of regression)"),
    "optimizer": ("NAME", "sgd, momentum, adam or adamw"),
    "lr": ("RATE", "learning rate"),
    "lr_grid": ("RATE", "choose each initializer's rate among these, on seeds of their own"),
    "lr_for": ("NAME=RATE", "rates of single initializers"),
    "clip_value": ("X", "clip each gradient to [-X, X]"),
    "clip_norm": ("X", "clip the norm of all gradients of a network to X"),
    "target_loss": (
        "LOSS",
        "training loss of the steps-to-target column, 0.5 if not given; of the quadratic loss, "
        "half that of guessing",
    ),
    "baseline": ("NAME", "compare the others with this row alone, not all pairs"),
    "data": (
        "DATA",
        "mnist, digits, fashion, or the path of an .npz file that holds x_train, y_train, x_test, "
        "y_test (also as trainimages, trainlabels, testimages, testlabels) or x, y: images (n, h, "
        "w), (n, c, h, w) or (n, h, w, c), a table of floats (n, features), whole numbers (n, "
        "length) as token ids",
    ),
}
_TYPES = {"depth": int, "depths": int, "lr_grid": float, "lr_for": str}
_TYPES |= dict.fromkeys(("clip_value", "clip_norm", "target_loss"), float)


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that there are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, ()) or action.default is False:
            return action.help
        if isinstance(action.default, tuple):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


def add(commands: Any) -> None:
    """Add the parser of `fanin compare`."""
    parser = commands.add_parser(
        "compare",
        help="train one network from several initializations and compare",
        description="Train a network on real data from several initializations, each from the "
        "same seeds. Prints a table; writes report.html, results.json and results.csv. Finished "
        "trials are kept in trials.sqlite: the same command goes on where it was.",
        formatter_class=_Defaults,
    )
    for name, (metavar, text) in _HELP.items():
        default = getattr(CompareSettings, name)
        parser.add_argument(
            FLAGS.get(name, f"--{name.replace('_', '-')}"),
            dest=name,
            metavar=metavar,
            default=default,
            help=text,
            type=_TYPES.get(name, type(default) if isinstance(default, (int, float)) else str),
            nargs="+" if isinstance(default, tuple) else None,
        )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="fanin-compare",
        help="folder for the report, the results and the trials; earlier reports are replaced",
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="use the trials that the folder has: the default"
    )
    again.add_argument("--fresh", action="store_true", help="forget the trials that it has")
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="train on a Ray cluster; local starts one on this machine"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from fanin.lab.comparison import compare
    from fanin.lab.interrupted import Interrupted
    from fanin.lab.report.verdict import verdict

    options = {field.name: getattr(arguments, field.name) for field in fields(CompareSettings)}
    options["initializers"] = _read_names(options["initializers"])
    console = Console()
    try:
        comparison = compare(
            **options,
            folder=arguments.out,
            fresh=arguments.fresh,
            ray=arguments.ray,
            workers=_cpus(),
            progress=True,
        )
    except Interrupted as stop:
        if stop.found.rows:
            console.print(stop.found.table())
        raise
    console.print(comparison.table())
    console.print(verdict(comparison), markup=False, highlight=False)
    for path in comparison.save(arguments.out):
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def _cpus() -> int:
    """The CPUs that this process may use."""
    count = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count else os.cpu_count() or 1


def _read_names(words: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """The initializers' names, with those that @FILE has in its place."""
    names: list[str] = []
    for word in words:
        if not word.startswith("@"):
            names.append(word)
            continue
        try:
            lines = Path(word[1:]).read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise FaninError(f"{word[1:]!r} cannot be read: {one_line(error)}.") from error
        names += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return tuple(names)
