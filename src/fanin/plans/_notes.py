"""Notes: what a plan tells beside its rows."""

from collections.abc import Iterable, Mapping, Sequence

from fanin._columns import list_names
from fanin.errors import FaninError, warn
from fanin.frameworks import Slot, Target
from fanin.graph import Graph
from fanin.initializers import Initializer
from fanin.plans._row import Row
from fanin.recipes import dropout_factor, same

_DROPOUT = 3.0  # between training and eval mode: more is told


def list_notes(
    target: Target,
    graph: Graph | None,
    rows: Mapping[str, Row],
    given: Mapping[str, Initializer],
) -> list[str]:
    """All that is to be told of these rows."""
    notes = [] if rows else ["the model has no parameters, so there is nothing to draw."]
    if rows and all(row.keeps == "asked" for row in rows.values()):
        notes.append(
            "every parameter stays as it is, so there is nothing to draw; only= says what."
        )
    notes += _find_silent(graph, rows)
    notes += _of_dropout(graph)
    notes += _of_values(target, graph, rows)
    notes += _find_overruled(target, rows, given)
    guessed = [name for name, row in rows.items() if row.guessed]
    if guessed:
        notes.append(f"guessed, for no run showed their use: {list_names(guessed)}")
    return notes


def _find_silent(graph: Graph | None, rows: Mapping[str, Row]) -> list[str]:
    """Notes of drawn weights that read zeros, or the same for all inputs, as it was measured."""
    if graph is None:
        return []
    silent, constant = [], []
    depends: list[bool] = []
    for node in graph.nodes:
        depends.append(node.op == "input" or any(depends[source] for source in node.inputs))
        drawn = node.param is not None and node.op == "linear" and node.param.name in rows
        if node.param is None or not drawn or rows[node.param.name].initializer is None:
            continue
        if graph.measured.get(node.inputs[0]) == 0:
            silent.append(node.param.name)
        elif node.inputs[0] in graph.constant and depends[node.inputs[0]]:
            constant.append(node.param.name)
    look = "Look at what comes before: fanin.check(model, inputs)."
    notes = []
    if silent:
        notes.append(
            f"on these inputs all that {list_names(silent)} reads is zero, so that it is sized for "
            f"nothing that it will see. {look}"
        )
    if constant:
        notes.append(
            f"all that {list_names(constant)} reads is the same for every one of these inputs, so "
            f"that nothing which it makes can tell them apart. {look}"
        )
    return notes


def _of_dropout(graph: Graph | None) -> list[str]:
    factor = 1.0 if graph is None else dropout_factor(graph)
    if factor <= _DROPOUT:
        return []
    return [
        f"planned for training: dropout makes second moments up to {factor:.3g} times as large "
        "there, so that those in eval mode are smaller by as much."
    ]


def _has_changed(slot: Slot, row: Row) -> bool:
    """Whether a kept parameter has other values than when fanin first kept it."""
    before = slot.first_digest if row.initializer is None else None
    return before is not None and row.kept_sha256 != before


def _of_values(target: Target, graph: Graph | None, rows: Mapping[str, Row]) -> list[str]:
    """Notes of values that are the constructor's, or training's, and not the seed's."""
    notes = []
    unseeded = [name for name, row in rows.items() if row.keeps == "unseeded"]
    if unseeded:
        notes.append(
            f"whatever the seed, the constructor's values stay in {list_names(unseeded)}. If it "
            "drew them by chance, pass overrides=, or build the model under fanin.empty_weights(), "
            "which sees how it draws."
        )
    frozen = [] if graph is None else find_untouched(target, rows)
    if frozen:
        notes.append(
            f"the plan reads {list_names(frozen)}, frozen, whose values look drawn: with others it "
            "may differ. Pass overrides=, or load what they are to be."
        )
    chance = [] if graph is None else target.chance_buffers()
    if chance:
        notes.append(
            f"the plan reads {list_names(chance)}, whose values look drawn: with others it may "
            "differ. Build the model under fanin.empty_weights(), which sees how they are drawn."
        )
    trained = [name for name, row in rows.items() if _has_changed(target.slots[name], row)]
    if trained:
        notes.append(
            f"{list_names(trained)} stay as they are, which is not as the constructor made them: "
            "they were trained or loaded, and are too large for fanin to have remembered."
        )
    return notes


def _find_overruled(
    target: Target, rows: Mapping[str, Row], given: Mapping[str, Initializer]
) -> list[str]:
    """Notes of what the constructor made constant, and the plan sets to something else.

    Scales of one and biases of zero are what all layers have.
    """
    found: dict[tuple[float, str], list[str]] = {}
    for name, row in rows.items():
        param = target.slots[name].param
        usual = 1 if param.kind == "scale" else 0 if param.kind in ("bias", "shift") else None
        if param.constant in (None, usual) or row.initializer is None or param.name in given:
            continue
        if param.kind != "magnitude" and row.initializer != same(param.constant):
            found.setdefault((param.constant, str(row.initializer)), []).append(row.name)
    return [
        f"the constructor made {made:g} of {list_names(names)}; the plan says {said}. Pass "
        "overrides= to have it otherwise."
        for (made, said), names in found.items()
    ]


def find_untouched(target: Target, rows: Mapping[str, Row]) -> list[str]:
    """The frozen parameters that hold what their constructors drew."""
    return [
        name
        for name, row in rows.items()
        if row.initializer is None and row.keeps is None and row.like is None
        if not target.slots[name].param.trainable and target.is_untouched(name)
    ]


def find_unseeded(pairs: Iterable[tuple[Slot, Row]]) -> list[str]:
    """The parameters whose values are the constructor's, as far as is known by chance."""
    return [
        row.name
        for slot, row in pairs
        if row.keeps == "unseeded" or (row.keeps == "redrawn" and not slot.is_redrawn)
    ]


def warn_of_unseeded(names: Sequence[str]) -> None:
    """Warn of what was written and does not follow from the seed."""
    if names:
        warn(
            f"{list_names(names)}: the values are the constructor's, whatever the seed. If it "
            "drew them by chance, pass overrides= or build the model under "
            "fanin.empty_weights(), which sees how it draws."
        )


def refuse_unseeded(target: Target, names: Sequence[str], rows: Mapping[str, Row]) -> None:
    """FaninError where strict=True and anything does not follow from the seed.

    `names` are the parameters that train and are kept so; `rows` are all.
    """
    roads = []
    frozen, buffers = find_untouched(target, rows), target.find_drawn_buffers()
    if names:
        roads.append(
            f"of the parameters {list_names(names)}: pass overrides=, or build the model under "
            "fanin.empty_weights(), which sees how it draws"
        )
    if frozen:
        roads.append(f"of the frozen parameters {list_names(frozen)}: pass overrides=")
    if buffers:
        roads.append(
            f"of the buffers {list_names(buffers)}: fill them from fanin.Stream, or make them "
            "frozen parameters and pass overrides="
        )
    if roads:
        raise FaninError(
            "strict is True, and values are the constructor's, whatever the seed, "
            f"{'; and '.join(roads)}."
        )


def warn_of_twins(names: Sequence[str], seed: int) -> None:
    """Warn of parameters that got the same numbers as others of this process."""
    warn(
        f"{list_names(names)} {'gets' if len(names) == 1 else 'get'} the same numbers as another "
        f"parameter of this process: the same seed {seed}, name and shape. Networks that are to "
        "differ, such as twin critics, an ensemble or layers that are initialized one by one, need "
        "a prefix='critic1' each, or a seed each; or initialize the module that holds them all. To "
        "make two equal, copy one: b.load_state_dict(a.state_dict()), in Keras "
        "b.set_weights(a.get_weights())."
    )
