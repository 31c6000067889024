"""Depth: where signals, gradients and training end in networks of 2 to 100 layers."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from fanin.studies._drawing import panels
from fanin.studies._sources import ARTICLES, DJURIC, DOSHI
from fanin.studies._study import Advance, Figure, Findings, Scale, Study, StudyPart
from fanin.studies.depth import _borders, _dead, _gradients, _propagation, _taper
from fanin.studies.depth._article import (
    biases_keep,
    early_slowest,
    explode,
    fans_favour,
    mitigate,
    near_one,
    never_dies,
    never_zero,
    relu_fine,
    tell_centred,
)
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
from fanin.studies.depth._gradient_tables import draw_biases, gradient_table, sign_table
from fanin.studies.depth._setup import (
    ACTIVATIONS,
    CLIPPED,
    DEAD,
    GRADIENTS,
    NONNEGATIVE,
    OVERSHOOT,
    RULES,
    SIZES,
    SIZES_OF_ONE_SIGN,
    TAPER,
    DepthSize,
    spell,
)
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
    return _article_parts(size) + made


def _article_parts(size: DepthSize) -> list[StudyPart]:
    """What two articles' claims need besides."""
    rules = {
        activation: {rule: spell(rule, activation) for rule in RULES} for activation in ACTIVATIONS
    }
    made = [
        _gradients.part(f"{GRADIENTS}{name}", ACTIVATIONS[name], rules[name], size.seeds)
        for name in ACTIVATIONS
    ]
    spread = {f"uniform(0, {high:g})": high / 2 for high in SIZES_OF_ONE_SIGN}  # and its mean
    # Where all activations are 1/2, such biases leave sums of mean zero.
    centred = {tell_centred(rule): -_gradients.WIDTH * mean / 2 for rule, mean in spread.items()}
    starts = {rule: rule for rule in spread} | {tell_centred(rule): rule for rule in spread}
    made.append(_gradients.part(NONNEGATIVE, ACTIVATIONS["sigmoid"], starts, size.seeds, centred))
    for name, rate in OVERSHOOT.items():
        sweep = replace(size.sweep, depths=size.sweep.depths[:3], rates={"sigmoid": rate})
        made.append(_borders.part(name, "sigmoid", list(spread), False, sweep))
    made += [_dead.part(f"{DEAD}{name}", name, *size.dead) for name in _dead.MODULES]
    return [*made, _taper.part(TAPER, size.seeds)]


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
        fans_favour(found),
        *(early_slowest(found, name, size) for name in ("sigmoid", "tanh")),
        sigmoid(found),
        relu_fine(found),
        explode(found),
        never_zero(found),
        never_dies(found),
        biases_keep(found),
        near_one(size),
        mitigate(found, size),
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
    figures.append(
        Figure(
            "biases",
            "Gradients of biases and of weights by layer",
            partial(panels, "Gradients by layer", 3, partial(draw_biases, found), (3.0, 2.8)),
            f"RMS in {_gradients.DEPTH} layers, from the loss; a bias has the gradient of its "
            "layer's sum.",
        )
    )
    tables = [
        *(table(found, name) for name in ACTIVATIONS),
        gradient_table(found),
        sign_table(found),
    ]
    return Findings(claims, tables, figures, conditions(size))


STUDY = Study(
    "depth",
    "Depth: where signals, gradients and training end",
    "How do the starts scale signals and gradients over 2 to 100 layers, and to which depth does "
    "training start?",
    "Glorot and Bengio 2010; Saxe et al. 2013; Pascanu et al. 2013; He et al. 2015; Poole et al. "
    f"2016; Schoenholz et al. 2017; {ARTICLES[DJURIC]}; {ARTICLES[DOSHI]}.",
    _parts,
    _conclude,
)
