"""`fanin gain`: the gains of an activation, and what theory says about a deep network of it."""

import argparse
import math
from typing import Any

from fanin._imported import imported
from fanin.commands import _output
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

_NUMBERS = ("", "forward", "backward", "torch's")  # headings of columns of numbers
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
    grid = _grid("activation", "parameters", "forward", "backward", "torch's")
    for row in table():
        names = ", ".join((row.name, *row.aliases))
        grid.add_row(names, row.parameters, *map(_digits, (row.forward, row.backward, row.torch)))
    _output.print_table(grid)


def _show(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    text = arguments.activation
    f: ActivationLike = _function(text) if ":" in text else text
    law = {"variance": arguments.variance, "mean": arguments.mean}
    forward = gain(f, **law)
    moments = _grid("gains", "")
    moments.add_row("forward gain, for std = gain / sqrt(fan_in)", _digits(forward))
    try:
        backward = gain(f, "backward", **law)
    except FaninError as error:
        moments.add_row("backward gain", "-")
        moments.caption = str(error)
    else:
        growth = (forward / backward) ** 2
        moments.add_row("backward gain, for std = gain / sqrt(fan_out)", _digits(backward))
        moments.add_row("growth of a squared gradient at the forward gain", _digits(growth))
    moments.add_row("torch's gain", _digits(torch_constant(text)))
    weight = gain(f) ** 2 if arguments.weight_variance is None else arguments.weight_variance
    theory = depth_theory(f, weight, arguments.bias_variance)
    console = Console()
    console.print(moments)
    console.print(_depth(theory, _critical(f, theory.bias_variance)))
    console.print(_plot(theory, console.is_terminal), markup=False, highlight=False)


def _function(text: str) -> ActivationLike:
    """What is imported; of a class, such as torch.nn:ReLU, one made without arguments."""
    found = imported(text, "activation")
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


def _depth(theory: DepthTheory, critical: str) -> Any:
    weight, bias = _digits(theory.weight_variance), _digits(theory.bias_variance)
    grid = _grid(f"depth, at weight variance {weight} / fan_in and bias variance {bias}", "")
    grid.add_row("a signal's variance, from 1 on", theory.variance)
    for what, value in (
        ("q*, fixed point of the variance map", theory.q_star),
        ("its slope there", theory.chi_q),
        ("xi_q, depth scale of the variance", theory.xi_q),
        ("chi1, growth of a squared gradient", theory.chi1),
        ("c*, correlation that inputs tend to", theory.c_star),
        ("xi_c, depth scale of correlations", theory.xi_c),
        ("trainable to about 6 xi_c layers", 6 * theory.xi_c),
    ):
        grid.add_row(what, _digits(value))
    if 0 < theory.q_star < math.inf:
        for c in _CORRELATIONS:
            grid.add_row(f"correlation {c:g} becomes", _digits(theory.correlation_map(c)))
    grid.add_row("critical weight variance (chi1 = 1)", critical)
    return grid


def _critical(f: ActivationLike, bias_variance: float) -> str:
    try:
        return _digits(critical_weight_variance(f, bias_variance))
    except FaninError:
        return "none"


def _plot(theory: DepthTheory, colors: bool) -> str:
    """The variance map beside the identity; they cross at fixed points."""
    import plotille

    end = 2 * theory.q_star if 0 < theory.q_star < math.inf else 2.0
    q = [end * step / 60 for step in range(61)]
    figure = plotille.Figure()
    figure.width, figure.height, figure.with_colors = 56, 14, colors
    figure.x_label, figure.y_label = "q", "V(q)"
    figure.x_ticks_fkt = figure.y_ticks_fkt = lambda low, high: f"{low:.3g}"
    v = [theory.variance_map(one) for one in q]
    figure.set_x_limits(0, end)
    figure.set_y_limits(0, max(end, *v))
    figure.plot(q, v, lc="cyan")
    figure.plot([0, end], [0, end], lc="white")
    return f"\nvariance map V(q) and the line V = q\n\n{figure.show()}"


def _grid(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, caption_justify="left")
    for column in columns:
        grid.add_column(column, justify="right" if column in _NUMBERS else "left")
    return grid


def _digits(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.6g}"
