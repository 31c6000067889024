"""Made: constants that the constructor gave on purpose, and which of them stay.

A draw never gives equal elements, so a parameter whose elements are equal was computed: its
author says something. It stays where the model can train with it. So does one whose elements
differ as those of no weight do: time steps, decay rates, frequencies.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fanin.graph import CARRIERS, Graph, Use, evaluate, reach
from fanin.graph.signal import MASS, Z
from fanin.initializers import Initializer, constant, ones, zeros
from fanin.param import Param
from fanin.recipes._acting import acts_as, only_sizes
from fanin.recipes._silence import Silence
from fanin.recipes._uses import has_rows

_WEIGHTS = ("weight", "direction", "recurrent", "table")
# Classes of torch whose weights are drawn: zeros in them were written on purpose.
_DRAWN = ("Linear", "Bilinear", "Embedding", "EmbeddingBag", "Conv1d", "Conv2d", "Conv3d")
_ON = 0.1  # of the second moment behind a rectifier without bias: with less, units are off


@dataclass(frozen=True, slots=True)
class Made:
    """Parameters with the constants that count, and the names of those that stay in any recipe.

    `made` is None in `params` where the model needs something else.
    """

    params: dict[str, Param]
    stay: frozenset[str]


def same(value: float) -> Initializer:
    """A constant under its usual name."""
    return {0.0: zeros(), 1.0: ones()}.get(value) or constant(value)


def heard(params: Mapping[str, Param], graph: Graph | None) -> Made:
    """Which of the constants that the constructor made count, and which of them stay.

    In any recipe stay: biases that are not zero, but those that would switch rectifiers off;
    zeros of weights, tables and scales that end or modulate branches or are the last layer, if
    gradients reach them and nothing that reads them is silent; parameters that reach no weight,
    such as a log-deviation that is returned; the zeros of adapters; and what differs from element
    to element and was meant, where it is no weight.
    """
    adapters = _find_adapters(params)
    if graph is None:
        stay, refused = _by_tree(params)
        stay |= adapters
        stay |= {name for name, param in params.items() if param.meant and not param.head}
    else:
        stay, refused = _ConstantsRun(params, graph, adapters).verdict()
    left = {name: replace(params[name], constant=None) for name in refused - stay}
    return Made(dict(params) | left, frozenset(stay))


def _find_adapters(params: Mapping[str, Param]) -> set[str]:
    """Zeros that train beside more weights that do not: by them an update starts as nothing."""
    sizes = {True: 0, False: 0}
    for param in params.values():
        sizes[param.trainable] += math.prod(param.shape)
    if sizes[False] <= sizes[True]:
        return set()
    return {
        name
        for name, param in params.items()
        if param.trainable and param.constant == 0 and param.kind not in ("bias", "shift")
    }


Constants = tuple[set[str], set[str]]  # the names that stay, and those that nobody heeds


def _by_tree(params: Mapping[str, Param]) -> Constants:
    """Without a run: zeros in few layers of torch, biases, and what is no layer's weight."""
    made = {name: param for name, param in params.items() if param.constant is not None}
    drawn = {name for name, param in made.items() if param.owner in _DRAWN}
    weights = {name for name, param in made.items() if param.kind in _WEIGHTS}
    zero = _few({name for name in weights & drawn if made[name].constant == 0}, params)
    rows = {name for name in weights - drawn if _is_row(made[name])}
    return zero | {name for name, param in made.items() if _is_bias(param)}, weights - zero - rows


def _is_row(param: Param) -> bool:
    """Whether a bare table is one row, such as a policy's log-deviation; tokens have more axes."""
    return param.kind == "table" and len(param.shape) <= 2


def _is_bias(param: Param) -> bool:
    """Whether a constant is a bias that says something: zero is what all have."""
    return param.kind in ("bias", "shift") and bool(param.constant)


def _few(zero: set[str], params: Mapping[str, Param]) -> set[str]:
    """Zero weights, if they are the exception: else nobody has drawn the weights yet."""
    count = sum(param.kind in _WEIGHTS for param in params.values())
    own = sum(params[name].kind in _WEIGHTS for name in zero)
    return zero if 2 * own <= count else {n for n in zero if params[n].kind not in _WEIGHTS}


class _ConstantsRun:
    """What one run shows of the constants; those that act through a function go by their rules."""

    def __init__(self, params: Mapping[str, Param], graph: Graph, adapters: set[str]) -> None:
        self.params, self.graph, self.adapters = params, graph, adapters
        self.shapes = {name: param.shape for name, param in params.items()}
        self.users = graph.users()
        self.at: dict[str, list[int]] = {}
        for position, node in enumerate(graph.nodes):
            if node.param is not None:
                self.at.setdefault(node.param.name, []).append(position)
        self.leads = [False] * len(graph.nodes)  # to a weight
        for position in reversed(range(len(graph.nodes))):
            self.leads[position] = any(
                self.leads[user] or graph.nodes[user].op in ("linear", "recurrent")
                for user in self.users[position]
            )

    def verdict(self) -> Constants:
        stay: set[str] = set()
        refused: set[str] = set()
        for name, param in self.params.items():
            if param.meant and self._acts_as_meant(name):
                stay.add(name)
            said = None if param.constant is None else self._stays(name, param.constant)
            if said is not None:
                (stay if said else refused).add(name)
        zero = self._zeros(stay) | (self.adapters - set(self._find_blocked()))
        return stay | zero, refused | {name for name in self._multiplying() if name not in zero}

    def _through(self, name: str) -> bool:
        """Whether a parameter acts through a function of its own."""
        uses = (self.graph.nodes[position].param for position in self.at[name])
        return any(use.through for use in uses if use is not None)

    def _ops(self, name: str) -> set[str]:
        return {self.graph.nodes[position].op for position in self.at.get(name, ())}

    def _stays(self, name: str, made: float) -> bool | None:
        """Whether a constant stays; None where the rules, or `_zeros`, decide."""
        param, ops = self.params[name], self._ops(name)
        if not ops:
            return True if _is_bias(param) else None
        if ops & {"linear", "lookup"}:
            return None if made == 0 else False
        if "parameter" in ops and self._is_apart(name):
            return True
        if "scale" in ops or self._through(name):
            return None
        if "parameter" in ops:
            return False
        if sum(size > 1 for size in param.shape) > 1:  # a table of positions
            return None if any(self.leads[position] for position in self.at[name]) else True
        return not any(self._is_off(item, made) for item in self.at[name]) if made else None

    def _acts_as_meant(self, name: str) -> bool:
        """Whether values that differ act element by element: a vector as one that is added."""
        ops, param = self._ops(name), self.params[name]
        if not has_rows(param, [self.graph.nodes[item] for item in self.at.get(name, ())]):
            mean = 0.0 if param.read is None else float(np.mean(param.read()))
            off = any(self._is_off(item, mean) for item in self.at.get(name, ()))
            return ops <= {"shift", "parameter"} and not off
        return ops <= {"shift", "scale", "parameter"}

    def _is_apart(self, name: str) -> bool:
        """Whether a parameter on its own is no token: a state, a constant, something returned."""
        if not any(self.leads[position] for position in self.at[name]) or not any(
            size > 1 for size in self.params[name].shape
        ):
            return True
        readers = [pair for item in self.at[name] for pair in self._readers(item)]
        return all(self._is_state(*pair) for pair in readers) or self._is_part(name)

    def _is_part(self, name: str) -> bool:
        """Whether a parameter is written beside something else into a matrix that multiplies."""
        inside, joined = set(self.at[name]), False
        for position in reach(self.at[name], lambda at: self.users[at] if at in inside else ()):
            node = self.graph.nodes[position]
            joins = node.op == "concat" and "written" in node.flags
            if joins or node.op in CARRIERS:
                inside.add(position)
            elif position not in inside and node.op != "matmul":
                return False
            joined |= joins
        return joined

    def _readers(self, position: int) -> Iterator[tuple[int, int]]:
        """The nodes that read an activation, views aside, each with what it reads."""
        for user in self.users[position]:
            if self.graph.nodes[user].op in CARRIERS:
                yield from self._readers(user)
            else:
                yield position, user

    def _is_state(self, position: int, user: int) -> bool:
        """Whether a parameter is read as the first state of a loop is, or by a function."""
        node = self.graph.nodes[user]
        match node.op:
            case "linear":
                assert node.param is not None
                return len(self.at[node.param.name]) > 1
            case "concat":
                return node.shape[-1:] != self.graph.nodes[position].shape[-1:]
            case "pointwise":
                return "written" not in node.flags
        return node.op == "mul"

    def _is_off(self, position: int, bias: float) -> bool:
        """Whether units with this bias would hardly ever pass the rectifier behind them."""
        for _, user in self._readers(position):
            node = self.graph.nodes[user]
            if node.op != "pointwise" or node.fn is None or len(set(node.inputs)) > 1:
                continue
            gates = any(self.graph.nodes[reader].op == "mul" for _, reader in self._readers(user))
            with np.errstate(all="ignore"):
                origin, plain, moved = (MASS @ evaluate(node, z) ** 2 for z in (0 * Z, Z, Z + bias))
            if not gates and origin == 0 and moved < _ON * plain:
                return True
        return False

    def _multiplying(self) -> Iterator[str]:
        """Zeros that multiply: of weights, tables and scales, in the order of the run."""
        for name in self.at:
            param = self.params[name]
            multiplies = self._ops(name) & {"linear", "lookup", "scale"} and param.kind != "shift"
            if param.constant == 0 and multiplies and self._acts_as_zero(name):
                yield name

    def _acts_as_zero(self, name: str) -> bool:
        """Whether zeros are zeros where they act, and learn there: plain, or behind a mask."""
        uses = (self.graph.nodes[position].param for position in self.at.get(name, ()))
        return all(use is None or self._passes_zero(use) for use in uses)

    def _passes_zero(self, use: Use) -> bool:
        if not use.through:
            return True
        made = acts_as(use, self.shapes, 0.0)
        return made is not None and not made.any() and only_sizes(use, self.shapes)

    def _find_blocked(self) -> Iterator[str]:
        """Zeros of adapters that others behind them multiply: of both none gets a gradient."""
        silence = Silence(self.graph, {n for n in self.adapters if self._acts_as_zero(n)}, ())
        behind: set[str] = set()
        for name in reversed([name for name in self.at if name in self.adapters]):
            silent = (user for at in self.at[name] for user in self._reach_silent(silence, at))
            nodes = [self.graph.nodes[user] for user in silent]
            if any(node.param is not None and node.param.name in behind for node in nodes):
                yield name
            else:
                behind.add(name)

    def _reach_silent(self, silence: Silence, position: int) -> Iterator[int]:
        """What reads a silent activation, as far as silence goes."""
        yield from reach([position], lambda at: self.users[at] if silence.silent[at] else ())

    def _zeros(self, stay: set[str]) -> set[str]:
        """Those of them with which the model trains."""
        zero = _few(set(self._multiplying()), self.params)
        rules = {
            n
            for n, p in self.params.items()
            if p.kind == "shift" and "linear" in self._ops(n) and self._acts_as_zero(n)
        }
        filled = stay | {
            name
            for name, param in self.params.items()
            if name not in zero and sum(size > 1 for size in param.shape) > 1
        }
        silence = Silence(self.graph, zero | rules, filled)
        for name in list(self._multiplying()):
            if name in zero and any(map(silence.harms, self.at[name])):
                zero.discard(name)
                silence = Silence(self.graph, zero | rules, filled)
        return zero
