"""Cases: a recipe as a short table, words for what a parameter is and its initializer's formula."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from fanin._fans import fans
from fanin.graph import Graph
from fanin.initializers import Initializer, blocks, get
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._spots import TIMES, Spot, Spots
from fanin.recipes._tree import opens_packed

Notes = Callable[[Spots], Iterable[str]]

# Words that a parameter's kind alone gives.
_KINDS = {
    "weight": "weight",
    "direction": "weight",
    "recurrent": "weight",
    "table": "table",
    "bias": "bias",
    "scale": "scale",
}
_NUMBER = re.compile(r"\{(\w+)\}")
_PACKED = {3: ("query", "key", "value"), 2: ("key", "value")}  # as models pack them


@dataclass(frozen=True, slots=True)
class Case:
    """An initializer for the parameters that `words` tell.

    `words` are ways to be meant, with commas between, each some words that all hold: "weight
    end, weight value". They are the kinds weight, recurrent, table, bias and scale, kernel, gates
    (the bias of an LSTM's four) and those of `Spot`. `rule` is an expression of an initializer,
    with the numbers of `Spot` in braces, and "in", "out" and "width": the fans of a weight, of one
    group and one packed matrix whatever the stride, and the length of a table's rows.
    """

    words: str
    rule: str

    def way(self, words: set[str]) -> str | None:
        """The first way in which it is for a parameter with these words; None if it is not."""
        return next((way for way in self._ways() if words.issuperset(way.split())), None)

    @property
    def reads_run(self) -> bool:
        """Whether only a run of the model tells."""
        words = set().union(*map(str.split, self._ways())) - {
            "kernel",
            "recurrent",
            "gates",
            *_KINDS.values(),
        }
        numbers = set(_NUMBER.findall(self.rule)) - {"in", "out", "width"}
        return bool(words or numbers)

    def _ways(self) -> list[str]:
        return [way.strip() for way in self.words.split(",")]


def tabulate(name: str, source: str, *cases: Case, notes: Notes | None = None) -> Recipe:
    """The recipe of a table: the first case that holds decides; `notes` tell what a model lacks."""
    measures = any("measured" in case.words.split() for case in cases)
    seen: list[Spots] = []  # by the choices of a plan, for its notes

    def choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
        spots = None if graph is None else Spots(graph, measures=measures)
        seen[:] = [] if spots is None or notes is None else [spots]

        def rule(param: Param) -> Choice | None:
            found = Spot() if spots is None else spots.find(param.name)
            return _choose(cases, param, found)

        decided = any(word in case.words.split() for case in cases for word in TIMES)
        return place(params, graph, rule, spots.times if spots and decided else ())

    def tell(params: Params, graph: Graph | None) -> list[str]:
        if notes is None or graph is None:
            return []
        known = next((spots for spots in seen if spots.graph is graph), None)
        seen.clear()
        told = notes(known or Spots(graph, measures=measures))
        return [f"recipe {name}: {note}" for note in told]

    needs_run = notes is not None or any(case.reads_run for case in cases)
    return Recipe(name, choose, source, "graph" if needs_run else "shapes", notes=tell)


def _choose(cases: Iterable[Case], param: Param, found: Spot) -> Choice | None:
    """The first case's choice; of packed matrices that differ, one for each."""
    if param.kind not in _KINDS and not found.words & TIMES:
        return None
    words = found.words | {_KINDS.get(param.kind, "")} | set(param.axes.roles) & {"kernel"}
    words |= {"gates"} if opens_packed(param) else set()
    words |= {"recurrent"} if param.kind == "recurrent" else set()
    blocks_of = param.axes.blocks
    made = []
    for own, share in _split(words, blocks_of):
        case = next((case for case in cases if case.way(own)), None)
        if case is None:
            return None
        initializer, formula = _apply(case, _measure(param, share) | found.numbers)
        made.append((initializer, f"{case.way(own)}: {formula}"))
    initializers = [initializer for initializer, _ in made]
    chosen = initializers[0]
    if len(set(initializers)) > 1:
        chosen = blocks(*initializers, sizes=blocks_of)  # type: ignore[arg-type]
    return Choice(chosen, param.kind, "; ".join(dict.fromkeys(why for _, why in made)))


def _split(words: set[str], sizes: tuple[int, ...]) -> list[tuple[set[str], float]]:
    """The words of every packed matrix and its share of the outputs.

    A weight of query, key and value is one of them in turn.
    """
    names = _PACKED.get(len(sizes), ())
    projections = words & {"query", "key", "value"}
    if not names or projections != set(names):
        names = ("",) * len(sizes)
    shares = [size / sum(sizes) for size in sizes]
    return [
        (words - projections | {name} if name else words, share)
        for name, share in zip(names, shares, strict=True)
    ] or [(words, 1.0)]


def _apply(case: Case, numbers: Mapping[str, float]) -> tuple[Initializer, str]:
    """A case's initializer, and its formula with the numbers in it."""
    used = dict.fromkeys(_NUMBER.findall(case.rule))
    made = get(case.rule.format(**{name: f"{numbers[name]:.12g}" for name in used}))
    formula = case.rule.replace("{", "").replace("}", "")
    values = ", ".join(f"{name} {numbers[name]:g}" for name in used)
    return made, formula + (f" with {values}" if values else "")


def _measure(param: Param, share: float) -> dict[str, float]:
    """The fans of one packed matrix of one group, whatever the stride; of a table its cases."""
    axes = replace(param.axes, stride=1, blocks=())
    if not {"in", "out"} & set(axes.roles):
        width = float(param.shape[-1] if param.shape else 1)
        return {"in": 1.0, "out": 1.0, "width": width, "stream": width}
    counts = fans(param.shape, axes)
    width, products = float(axes.size("out", param.shape)), float(counts.fan_in)
    stream = width if param.kind == "table" else products
    return {"in": products, "out": counts.fan_out * share, "width": width, "stream": stream}
