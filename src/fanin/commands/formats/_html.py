"""A checkup as one HTML page that needs nothing else."""

from dataclasses import asdict

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from fanin._columns import format_number, format_share
from fanin.checks import RULES, Checkup, Layer
from fanin.checks._causes import find_causes
from fanin.commands.formats import _figures
from fanin.commands.formats._subject import ReportSubject

# The columns of the printed table.
HEADERS = (
    "layer", "shape", "initializer", "activation", "RMS", "theory", "gradient", "flat", "dead"
)  # fmt: skip
OPEN = 40  # layers, up to which the table is unfolded
FEW = 6  # notes, and places of one finding, likewise


def render(checkup: Checkup, subject: ReportSubject) -> str:
    """The page. Everything that users wrote is escaped; the plots alone are trusted markup."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("fanin.commands.formats"), PackageLoader("fanin.lab.report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    worst, conditions = _figures.worst(checkup), asdict(checkup.conditions)
    text = environment.get_template("check.html.j2").render(
        checkup=checkup,
        subject=subject,
        rules=RULES,
        conditions=conditions | {"parameters": f"{checkup.conditions.parameters:,}"},
        causes=find_causes(checkup.findings),
        headers=HEADERS,
        rows=[(_cells(layer), worst.get(layer.name)) for layer in checkup.layers],
        open=OPEN,
        few=FEW,
        forward=Markup(_figures.forward(checkup)),
        backward=Markup(_figures.backward(checkup)),
    )
    return text.rstrip() + "\n"


def _cells(layer: Layer) -> tuple[str, ...]:
    return (
        layer.name.removesuffix(".weight"),
        "x".join(map(str, layer.shape)),
        layer.initializer,
        layer.activation,
        *map(format_number, (layer.rms, layer.expected_rms, layer.gradient)),
        *map(format_share, (layer.saturated, layer.dead)),
    )


def _breakable(name: str) -> Markup:
    """A path of modules that may be broken at its dots."""
    return escape(name).replace(".", Markup(".<wbr>"))
