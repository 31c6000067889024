"""Paths: how signal and gradient change along one, and which finding speaks for a chain."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from fanin.checks._chains import GATHERS, ratio
from fanin.checks._draws import Numbers
from fanin.checks._finding import SEVERITIES, Finding
from fanin.checks._measurement import Measurement
from fanin.checks._note import Note
from fanin.graph import reach


def fair(m: Measurement, path: Sequence[int], change: float, numbers: Numbers) -> float:
    """A change along a path, less what one average or maximum does if it is nearer to 1 without.

    One is as most networks have it, over all positions before the readout; of one in every layer
    the weights have to make up for it. And a gradient is more by what others that read the same
    layers send back. `numbers` are sizes by node, for a change of the signal, or norms of gradients
    on its way back.
    """
    steps = (_gathers(m, *step) for step in pairwise(path))
    changes = [_change(m, at, numbers) for gathers in steps for at in gathers]
    theirs = max(changes, key=lambda factor: abs(math.log(factor)), default=1.0)
    if numbers is m.gradients:
        theirs = 1 / theirs
        change = _nearest(change, change * _own_share(m, path))
    return _nearest(change, change / theirs)


def _nearest(*changes: float) -> float:
    """The change that is nearest to none."""
    return min(changes, key=lambda factor: abs(math.log(factor)) if factor > 0 else math.inf)


def _own_share(m: Measurement, path: Sequence[int]) -> float:
    """What a gradient would be of what it is if nothing but the path had sent one back.

    An embedding of time that each block of a U-Net reads has the gradients of all, which differ as
    the blocks' own do: beside one of the small ones that is no growth. What reads several layers
    at once, such as pieces of a concatenation, may send to some of them alone.
    """
    share = 1.0
    for parent, use in pairwise(path):
        readers = m.chains.children[parent]
        if any(len(m.chains.uses[reader].parents) > 1 for reader in readers):
            continue
        sent = {reader: _send(m, parent, reader) for reader in readers}
        together = math.hypot(*sent.values())
        share *= sent[use] / together if together > 0 else 1.0
    return share


def _send(m: Measurement, parent: int, use: int) -> float:
    """The gradient that a use of a weight sends back to one before it, as far as is known."""
    return (m.gradient(use) or 0.0) * (m.theory.backward((parent, use)) or 1.0)


def until_gathered(m: Measurement, path: Sequence[int]) -> Sequence[int]:
    """A path up to its first average or maximum over positions, which makes inputs alike."""
    for at, step in enumerate(pairwise(path), 1):
        if _gathers(m, *step):
            return path[:at]
    return path


def _gathers(m: Measurement, parent: int, use: int) -> list[int]:
    return [at for at in m.runs.between(parent, use) if m.nodes[at].op in GATHERS]


def _change(m: Measurement, position: int, numbers: Numbers) -> float:
    """What a node gives over what it is given; 1 where that is not known."""
    source = m.nodes[position].inputs[0]
    while numbers[source] is None and m.nodes[source].op == "view" and m.nodes[source].inputs:
        source = m.nodes[source].inputs[0]
    before, after = numbers[source], numbers[position]
    if not before or not after or not math.isfinite(before + after):
        return 1.0
    return after / before


def one_each(found: Iterable[tuple[int, Finding | Note]]) -> Iterator[Finding | Note]:
    """Of findings with their chains: the worst of every chain, and of every layer; all notes."""
    findings: list[tuple[int, Finding]] = []
    for chain, said in found:
        if isinstance(said, Note):
            yield said
        else:
            findings.append((chain, said))
    chains: set[int] = set()
    layers: set[str] = set()
    for chain, finding in sorted(findings, key=lambda pair: _badness(pair[1]), reverse=True):
        if chain not in chains and finding.layer not in layers:
            yield finding
        chains.add(chain)
        layers.add(finding.layer)


def _badness(finding: Finding) -> tuple[int, float]:
    value = finding.value or 0.0
    far = abs(math.log(value)) if value > 0 else math.inf
    return SEVERITIES.index(finding.severity), far


def comes_back(m: Measurement, uses: Sequence[int]) -> bool:
    """Whether an adaptive optimizer brings back a gradient that vanishes along a path.

    It divides by the gradient's size; what is left is a signal that biases hold, through
    activations that are flat nowhere far out.
    """
    if m.sgd is not False:
        return False
    first, last = (m.rms[m.chains.uses[uses[end]].output] for end in (0, -1))
    if not first or not last or ratio(first, last) > m.limits.forward_warning:
        return False
    return not any(m.chains.owners[at] in uses for at in m.flat)


def is_open(m: Measurement, position: int, closed: Collection[int]) -> bool:
    """Whether a way leads from a node to the outputs around the closed ones."""
    users = m.chains.structure.users
    ways = reach([position], lambda at: [user for user in users[at] if user not in closed])
    return any(at in m.outputs for at in ways)
