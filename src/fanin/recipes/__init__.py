"""Recipes: which initializer each parameter gets."""

from fanin.graph import Graph as Graph
from fanin.graph import Node as Node
from fanin.recipes._choice import Choice as Choice
from fanin.recipes._dropout import dropout_factor as dropout_factor
from fanin.recipes._lora import lora as lora
from fanin.recipes._lsuv import lsuv as lsuv
from fanin.recipes._made import same as same
from fanin.recipes._mup import completep as completep
from fanin.recipes._mup import depth_mup as depth_mup
from fanin.recipes._mup import mup as mup
from fanin.recipes._recipe import Probe as Probe
from fanin.recipes._recipe import Recipe as Recipe
from fanin.recipes._registry import find as find
from fanin.recipes._registry import names as names
from fanin.recipes._rules import match_overrides as match_overrides
from fanin.recipes._rules import single as single
from fanin.recipes._statements import has_steps as has_steps
from fanin.recipes._statements import is_short as is_short
from fanin.recipes._statements import says_something as says_something

__all__ = [
    "Choice",
    "Graph",
    "Node",
    "Probe",
    "Recipe",
    "completep",
    "depth_mup",
    "find",
    "lora",
    "lsuv",
    "mup",
    "names",
]


def __dir__() -> list[str]:
    return list(__all__)
