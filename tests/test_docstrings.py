"""The main functions say all their arguments in place, what they return and raise, and show it."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import fanin
from fanin.lab.settings import CompareSettings

MAIN: dict[str, Callable[..., Any]] = {
    "initialize": fanin.initialize,
    "initialize_params": fanin.initialize_params,
    "plan": fanin.plan,
    **{
        f"Plan.{name}": getattr(fanin.Plan, name)
        for name in ("apply", "apply_params", "audit", "verify")
    },
    **{f"Plan.{name}": getattr(fanin.Plan, name) for name in ("diff", "save", "load")},
    "Stream": fanin.Stream,
    **{f"Stream.{name}": getattr(fanin.Stream, name) for name in ("words", "uniform", "draw")},
    **{f"Stream.{name}": getattr(fanin.Stream, name) for name in ("normal", "truncated_normal")},
    "Initializer.__call__": fanin.initializers.Initializer.__call__,
    "empty_weights": fanin.empty_weights,
    "fans": fanin.fans,
    "gain": fanin.gain,
    "depth_theory": fanin.gains.depth_theory,
    "check": fanin.check,
    "assert_healthy": fanin.testing.assert_healthy,
    "compare": fanin.lab.compare,
    "mup": fanin.recipes.mup,
    "lsuv": fanin.recipes.lsuv,
}
SHOWN = {"Plan": fanin.Plan, "Stream": fanin.Stream, "Comparison": fanin.lab.Comparison}


@pytest.mark.parametrize("name", MAIN)
def test_all_arguments_are_said_in_place(name: str) -> None:
    found = MAIN[name]
    arguments = set(inspect.signature(found).parameters) - {"self"}
    if name == "compare":
        arguments |= {field.name for field in dataclasses.fields(CompareSettings)}
    told = re.search(r"\nArgs:\n(.*?)(\n\n|$)", inspect.getdoc(found) or "", re.DOTALL)
    entries = re.findall(r"^ {4}(\w[\w, ]*):", told[1] if told else "", re.MULTILINE)
    assert {word for entry in entries for word in entry.split(", ")} == arguments


@pytest.mark.parametrize("name", MAIN)
def test_what_is_returned_and_raised_is_said(name: str) -> None:
    text = inspect.getdoc(MAIN[name]) or ""
    assert re.search(r"\bReturns\b", text) or inspect.isclass(MAIN[name])
    assert re.search(r"\b[Rr]aises\b", text)


@pytest.mark.parametrize("name", {**MAIN, **SHOWN})
def test_there_is_an_example(name: str) -> None:
    """tests/test_examples.py runs it."""
    assert "\n>>> " in (inspect.getdoc({**MAIN, **SHOWN}[name]) or "")
