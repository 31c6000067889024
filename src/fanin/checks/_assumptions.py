"""Assumptions: what the conditions of a checkup leave open, as far as its rules are concerned."""

from collections.abc import Collection, Iterator

from fanin.checks._conditions import Conditions
from fanin.checks._measurement import Measurement

# What is judged inside of recurrent modules, and by which rule.
_INSIDE = {
    "F03": "the gradient's growth through time",
    "F05": "what saturates",
    "F08": "equal units",
    "F09": "repeated weights",
    "F12": "weights far too small or large",
}
_BY_GATES = ("F03", "F05", "F12")


def assumptions(
    m: Measurement, conditions: Conditions, chance: str, rules: Collection[str]
) -> Iterator[str]:
    """What a reader of these rules' findings must know; `chance` says what inputs were drawn."""
    if chance:
        yield (
            f"inputs are {chance}, not data: what real inputs do (their scale, how alike they are) "
            "was not seen."
        )
    if conditions.loss == "random projection":
        unjudged = ", and the initial loss (F11) was not judged" if "F11" in rules else ""
        yield f"no targets: gradients are those of a random projection of the outputs{unjudged}."
    yield from _tell_inside(m, rules)
    if conditions.draws > 1:
        yield (
            f"sizes and gradients are geometric means over {conditions.draws} draws; rows and "
            "values are those of the first."
        )


def _tell_inside(m: Measurement, rules: Collection[str]) -> Iterator[str]:
    """What was judged inside of recurrent modules: less where gates were not looked at."""
    looked: dict[str, bool] = {}
    for at, node in enumerate(m.nodes):
        if node.op == "recurrent":
            looked[node.module] = looked.get(node.module, False) or bool(m.gates.get(at))
    for gates in (True, False):
        modules = [module for module, seen in looked.items() if seen is gates]
        known = [rule for rule in _INSIDE if gates or rule not in _BY_GATES]
        inside = [rule for rule in known if rule in rules]
        if modules and inside:
            *first, last = (_INSIDE[rule] for rule in inside)
            judged = f"{', '.join(first)} and {last}" if first else last
            yield (
                f"{', '.join(modules)}: a recurrent module is one layer here; of its inside, "
                f"{judged} were judged ({', '.join(inside)})."
            )
