"""Command lines: any command, with any of its flags."""

import argparse
import contextlib
import io
from random import Random
from typing import Any

import fanin.cli
from bench.faults.arguments import FILES, INITIALIZERS, NAMES, Given

_WORDS: dict[str, tuple[str, ...]] = {
    "factory": (
        *(f"bench.faults.models:{name}" for name in ("mlp", "mlp", "Tied", "fail", "nobody")),
        *("plan.toml", "damaged.toml", "nowhere:make", "x", ""),
    ),
    "input": ("4", "3,4,4", "2,5:tokens=9", "x", "-1", "bench.faults.models:fail", "4,"),
    "initializer": (*INITIALIZERS, "normal(std=0.1)", "nam"),
    "override": ("*.bias=zeros", "0.weight=he_normal", "x", "=", "*=nam"),
    "recipe": ("auto", "torch", "gpt2", "lsuv", "x"),
    "seed": ("0", "7", "18446744073709551616", "-1", "x"),
    "dtype": ("float32", "bfloat16", "float16", "int8"),
    "activation": ("relu", "gelu", "leaky_relu(0.2)", "fail", "x"),
    "data": ("digits", "nothing.npz", "plan.toml"),
    "name": NAMES,
    "files": ("model.safetensors", "damaged.safetensors", "folder", "plan.toml"),
}
# What would take minutes.
_ALWAYS = {
    "compare": (
        *("--data", "digits", "--train", "16", "--test", "8", "--epochs", "1", "--seeds", "2"),
        *("--model", "mlp", "--initializers", "zeros", "he_normal"),
    ),
    "study": ("--list",),
}
_LEFT_OUT = ("help", "version", "print_completion", "ray", "names", "traceback")
_LEFT_OUT_OF_COMPARE = (
    *("data", "train", "test", "epochs", "seeds", "model", "initializers", "depths", "lr_grid"),
    "depth",
)


def _parsers() -> dict[str, argparse.ArgumentParser]:
    parser = fanin.cli._parser()
    (commands,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(commands.choices)


def argv(chance: Random, given: Given) -> list[str]:
    """The words behind `fanin`."""
    parsers = _parsers()
    command = chance.choice([*parsers])
    words = [command, *_ALWAYS.get(command, ())]
    for action in parsers[command]._actions:
        skipped = _LEFT_OUT + (_LEFT_OUT_OF_COMPARE if command == "compare" else ())
        if action.dest in skipped or chance.random() < (0.7 if action.option_strings else 0.1):
            continue
        if action.option_strings:
            words.append(action.option_strings[-1])
        if action.nargs != 0:
            words.append(_value(action, chance))
    if chance.random() < 0.1:
        words.append(chance.choice(("--nothing", "x", "-1", "")))
    return words


def _value(action: argparse.Action, chance: Random) -> str:
    if action.choices is not None and chance.random() < 0.9:
        return str(chance.choice([*action.choices]))
    words = _WORDS.get(action.dest, FILES)
    if action.type in (int, float):
        words = ("1", "2", "0", "-1", "0.5", "x")
    return chance.choice((*words, chance.choice(("", "x", "\0", "a\nb", "9" * 400))))


def main(argv: list[str]) -> Any:
    """Run it; more than one line of an error, or an exit of another kind, is a fault."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = fanin.cli.main(argv)
    assert status in (0, 1, 2), f"exit status {status}"
    if status == 2 and len(argv):
        last = err.getvalue().rstrip("\n").rpartition("\n")[2]
        assert last.startswith("fanin: error: "), f"the last line is {last!r}"
        raise fanin.FaninError(last)
    return out.getvalue()
