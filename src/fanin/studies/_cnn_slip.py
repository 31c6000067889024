"""A slip of the article: He's uniform rule of a dense layer with the bound sqrt(2 / n)."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

import fanin
from fanin.lab.data import sources
from fanin.lab.networks.networks import NETWORKS, SmallConvNet
from fanin.studies._cnn import rows, spell
from fanin.studies._cnn_once import HEAD, HEAD_FAN, spell_slip
from fanin.studies._sources import CAP
from fanin.studies._study import Claim, Table

CLOSE = 0.05  # relative, of a variance
DEPTH, WIDTH = 4, 64  # of a network with dense layers inside
IMAGES = 200


def measure(data: str) -> dict[str, Any]:
    """The variance that the slip gives, and what `fanin.check` says of it in two networks."""
    held = sources.load(data)
    images, labels = (torch.from_numpy(part[:IMAGES]) for part in (held.inputs, held.labels))
    dense = NETWORKS["deep_mlp"].make(held.form, nn.ReLU, DEPTH)
    inside = {
        name: spell_slip(int(value.shape[1]))
        for name, value in dense.named_parameters()
        if value.ndim > 1 and value.shape[1] == WIDTH
    }
    cnn = spell(rows()["He, uniform"], "torch")
    found: dict[str, Any] = {}
    for name, model, overrides in (
        ("the CNN, right", SmallConvNet(), cnn),
        ("the CNN, slip", SmallConvNet(), cnn | {HEAD: spell_slip(HEAD_FAN)}),
        ("dense layers, right", dense, {}),
        ("dense layers, slip", dense, inside),
    ):
        fanin.plan(model, initializer="he_uniform", overrides=overrides).apply(model, 0)
        checkup = fanin.check(model, images, labels)
        found[name] = [
            {key: getattr(finding, key) for key in ("id", "severity", "layer", "measured")}
            for finding in checkup.findings
        ]
        if name == "the CNN, slip":
            weight = model.get_parameter(HEAD).detach().double()
            found["variance"] = HEAD_FAN * float(weight.square().mean())
    return found


def bound(found: Mapping[str, Any]) -> Claim:
    """The variance of the slip."""
    return Claim(
        "The bound of He's uniform rule for a dense layer is sqrt(2 / n)",
        CAP,
        f"Drawn so, the variance of the dense layer is {found['variance']:.3f} / n; He's is 2 / n, "
        f"so a third of it is left. The bound is sqrt(6 / n), {math.sqrt(3):.2f} times as large.",
        abs(found["variance"] / 2 - 1) <= CLOSE,
        f"Holds if the variance is 2 / n within {100 * CLOSE:g} %.",
        {"variance": found["variance"]},
    )


def name_slip(found: Mapping[str, Any]) -> Claim:
    """What the check says."""
    ids = {name: {finding["id"] for finding in found[name]} for name in _networks(found)}
    inside, right = ("F12" in ids[f"dense layers, {which}"] for which in ("slip", "right"))
    told = [
        finding["measured"] for finding in found["dense layers, slip"] if finding["id"] == "F12"
    ]
    head = (
        "names it there too"
        if "F12" in ids["the CNN, slip"]
        else ("does not in the CNN, whose dense layer is a readout, where F12 allows any size")
    )
    return Claim(
        "fanin check names this slip: F12",
        "docs/check/F12.md",
        f"In dense layers inside a network: {told[0] if told else 'nothing'}. It {head}.",
        inside and not right,
        "Holds if F12 speaks of the dense layers with the slip, and not of those without.",
    )


def table(found: Mapping[str, Any]) -> Table:
    """What the check says of all four."""
    rows_ = [(name, "; ".join(map(_tell, found[name])) or "nothing") for name in _networks(found)]
    return Table(
        "What fanin.check says of He's uniform rule",
        ("network", "findings"),
        rows_,
        f"He's rule by torch's fans; slip: the bound sqrt(2 / n) in dense layers. Dense layers: "
        f"{DEPTH} of {WIDTH}, of which the first keeps the right bound.",
    )


def _networks(found: Mapping[str, Any]) -> list[str]:
    return [name for name in found if name != "variance"]


def _tell(finding: Mapping[str, str]) -> str:
    place = finding["layer"] or "the model"
    return f"{finding['id']} {finding['severity']} {place}: {finding['measured']}"
