"""Depth: where signals, gradients and training end in networks of 2 to 100 layers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fanin.studies._drawing import panels
from fanin.studies._study import Advance, Figure, Findings, Scale, Study, StudyPart
from fanin.studies.depth import _borders, _propagation
from fanin.studies.depth._claims import (
    KEPT,
    clipping_deepens,
    clipping_saves,
    count_kept,
    he_deeper,
    orthogonal,
    overflow,
    sigmoid,
    theory,
    vanish,
)
from fanin.studies.depth._setup import ACTIVATIONS, CLIPPED, RULES, SIZES, DepthSize, spell
from fanin.studies.depth._tables import conditions, draw, table


def _parts(scale: Scale) -> list[StudyPart]:
    size = SIZES[scale]
    made = [
        StudyPart(
            f"signals {activation}",
            {"width": size.width, "depth": size.depth, "seeds": size.seeds, "rules": list(RULES)},
            partial(_signals, size, activation),
            steps=20 * len(RULES),
        )
        for activation in ACTIVATIONS
    ]
    for activation in size.trained:
        rules = [spell(rule, activation) for rule in RULES]
        for clip in (False, True):
            name = f"training {activation}{CLIPPED if clip else ''}"
            made.append(_borders.part(name, activation, rules, clip, size.sweep))
    return made


def _signals(size: DepthSize, activation: str, advance: Advance) -> dict[str, Any]:
    """For each rule, what is measured and what theory says, in layers that both reach."""
    found = {}
    for rule in RULES:
        spelling = spell(rule, activation)
        signals: dict[str, Any] = _propagation.measure(
            spelling, ACTIVATIONS[activation], size.width, size.depth, size.seeds
        )
        variance = _propagation.weight_variance(spelling, size.width)
        forward, backward = _propagation.theory(activation, variance, size.depth)
        signals["theory"] = {"forward": forward, "backward": backward}
        found[rule] = signals
        advance(20)
    return found


def _conclude(found: Mapping[str, Any], scale: Scale) -> Findings:
    size = SIZES[scale]
    claims = [
        overflow(found, size),
        vanish(found, size),
        *(count_kept(found, *row) for row in KEPT),
        sigmoid(found),
        theory(found),
        he_deeper(found, size),
        orthogonal(found),
        clipping_saves(found, size),
        clipping_deepens(found, size),
    ]
    figures = [
        Figure(
            activation.partition("_relu(")[0],
            f"Signals and gradients through {size.depth} layers, {activation}",
            partial(
                panels, f"Signals, {activation}", 2, partial(draw, found, activation), (4.4, 3)
            ),
            "RMS of a layer's pre-activations, and of the gradient with respect to them from 1 at "
            "the last layer; a line ends where float32 does. Glorot's is that of LeCun.",
        )
        for activation in ACTIVATIONS
    ]
    return Findings(claims, [table(found, name) for name in ACTIVATIONS], figures, conditions(size))


STUDY = Study(
    "depth",
    "Depth: where signals, gradients and training end",
    "How do the starts scale signals and gradients over 2 to 100 layers, and to which depth does "
    "training start?",
    "Glorot and Bengio 2010; Saxe et al. 2013; Pascanu et al. 2013; He et al. 2015; Poole et al. "
    "2016; Schoenholz et al. 2017.",
    _parts,
    _conclude,
)
