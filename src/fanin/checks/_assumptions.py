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
    recurrent = dict.fromkeys(node.module for node in m.nodes if node.op == "recurrent")
    inside = {rule: what for rule, what in _INSIDE.items() if rule in rules}
    if recurrent and inside:
        *first, last = inside.values()
        judged = f"{', '.join(first)} and {last}" if first else last
        yield (
            f"{', '.join(recurrent)}: a recurrent module is one layer here; of its inside, "
            f"{judged} were judged ({', '.join(inside)})."
        )
    if conditions.draws > 1:
        yield (
            f"sizes and gradients are geometric means over {conditions.draws} draws; rows and "
            "values are those of the first."
        )
