"""`fanin gain`: the gains of an activation, and what theory says about a deep network of it."""

import argparse
import math
import sys
from typing import Any

from fanin._imported import import_object
from fanin.commands import _output
from fanin.commands._table import show_table
from fanin.errors import FaninError, one_line
from fanin.gains import (
    ActivationLike,
    DepthTheory,
    critical_weight_variance,
    depth_theory,
    gain,
    table,
    torch_constant,
)
from fanin.gains._list import HEADERS, NUMBERS, row_cells

_CORRELATIONS = (0.0, 0.5, 0.9, 0.99)


def add(commands: Any) -> None:
    """Add the parser of `fanin gain`."""
    parser = commands.add_parser(
        "gain",
        help="the gain of an activation, and its depth theory",
        description="Print the gains of an activation, and what mean-field theory says about a "
        "deep network of it: fixed points, depth scales, and a plot of the variance map.",
    )
    parser.add_argument(
        "activation",
        nargs="?",
        metavar="ACTIVATION",
        help="a name such as gelu, an expression such as 'leaky_relu(0.2)', or a function that "
        "can be imported, such as numpy:tanh",
    )
    parser.add_argument("--list", action="store_true", help="list all names and their gains")
    for flag, metavar, default, text in (
        ("--variance", "Q", 1.0, "variance of the pre-activations, for the gains (default 1)"),
        ("--mean", "M", 0.0, "their mean, for the gains (default 0)"),
        (
            "--weight-variance",
            "W",
            None,
            "fan_in times the variance of a weight, for the depth theory (default: the square of "
            "the forward gain at variance 1)",
        ),
        ("--bias-variance", "B", 0.0, "variance of a bias, for the depth theory (default 0)"),
    ):
        parser.add_argument(flag, metavar=metavar, type=float, default=default, help=text)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if arguments.list == bool(arguments.activation):
        raise FaninError("give an activation, such as gelu, or --list.")
    if arguments.list:
        _list()
    else:
        _show(arguments)


def _list() -> None:
    show_table(HEADERS, [*map(row_cells, table())], right=NUMBERS)


def _show(arguments: argparse.Namespace) -> None:
    text = arguments.activation
    f: ActivationLike = _function(text) if ":" in text else text
    gains, caption = _gains(f, text, arguments.variance, arguments.mean)
    weight = gain(f) ** 2 if arguments.weight_variance is None else arguments.weight_variance
    theory = depth_theory(f, weight, arguments.bias_variance)
    title, depth = _depth(theory, _critical(f, theory.bias_variance))
    show_table(("gains", ""), gains, right=(1,), caption=caption)
    show_table((title, ""), depth, right=(1,))
    _output.show(_plot(theory))


def _gains(
    f: ActivationLike, text: str, variance: float, mean: float
) -> tuple[list[tuple[str, str]], str]:
    """Rows of the table of gains, and what is to be said below it."""
    forward, caption = gain(f, variance=variance, mean=mean), ""
    rows = [("forward gain, for std = gain / sqrt(fan_in)", _digits(forward))]
    try:
        backward = gain(f, "backward", variance=variance, mean=mean)
    except FaninError as error:
        rows.append(("backward gain", "-"))
        caption = str(error)
    else:
        growth = (forward / backward) ** 2
        rows.append(("backward gain, for std = gain / sqrt(fan_out)", _digits(backward)))
        rows.append(("growth of a squared gradient at the forward gain", _digits(growth)))
    rows.append(("torch's gain", _digits(torch_constant(text))))
    return rows, caption


def _function(text: str) -> ActivationLike:
    """What is imported; of a class, such as torch.nn:ReLU, one made without arguments."""
    found = import_object(text, "activation")
    if not isinstance(found, type):
        return found
    try:
        made: ActivationLike = found()
    except Exception as error:
        raise FaninError(
            f"activation {text!r} is a class that cannot be made without arguments: "
            f"{one_line(error, named=True)}. Name a function that makes one."
        ) from error
    return made


def _depth(theory: DepthTheory, critical: str) -> tuple[str, list[tuple[str, str]]]:
    """The title and the rows of the table of depth."""
    weight, bias = _digits(theory.weight_variance), _digits(theory.bias_variance)
    rows = [
        ("a signal's variance, from 1 on", theory.variance),
        ("q*, fixed point of the variance map", _digits(theory.q_star)),
        ("its slope there", _digits(theory.chi_q)),
        ("xi_q, depth scale of the variance", _digits(theory.xi_q)),
        ("chi1, growth of a squared gradient", _digits(theory.chi1)),
        ("c*, correlation that inputs tend to", _digits(theory.c_star)),
        ("xi_c, depth scale of correlations", _digits(theory.xi_c)),
        ("trainable to about 6 xi_c layers", _digits(6 * theory.xi_c)),
    ]
    if 0 < theory.q_star < math.inf:
        rows += [
            (f"correlation {c:g} becomes", _digits(theory.correlation_map(c)))
            for c in _CORRELATIONS
        ]
    rows.append(("critical weight variance (chi1 = 1)", critical))
    return f"depth, at weight variance {weight} / fan_in and bias variance {bias}", rows


def _critical(f: ActivationLike, bias_variance: float) -> str:
    try:
        return _digits(critical_weight_variance(f, bias_variance))
    except FaninError:
        return "none"


def _plot(theory: DepthTheory) -> str:
    """The variance map beside the identity; they cross at fixed points."""
    try:
        import plotille
    except ModuleNotFoundError:
        return "no plot of the variance map: plotille is missing. pip install 'fanin[lab]'\n"
    end = 2 * theory.q_star if 0 < theory.q_star < math.inf else 2.0
    q = [end * step / 60 for step in range(61)]
    figure = plotille.Figure()
    figure.width, figure.height, figure.with_colors = 56, 14, sys.stdout.isatty()
    figure.x_label, figure.y_label = "q", "V(q)"
    figure.x_ticks_fkt = figure.y_ticks_fkt = lambda low, high: f"{low:.3g}"
    v = [theory.variance_map(point) for point in q]
    figure.set_x_limits(0, end)
    figure.set_y_limits(0, max(end, *v))
    figure.plot(q, v, lc="cyan")
    figure.plot([0, end], [0, end], lc="white")
    return f"\nvariance map V(q) and the line V = q\n\n{figure.show()}\n"


def _digits(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.6g}"
