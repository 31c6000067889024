"""Causes: what several rules see of one fault is told once, with its places."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Checkup, Conditions, Finding
from fanin.checks._causes import find_causes

INPUTS = torch.randn(128, 32, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(128) % 4


def finding(id: str, severity: Any, layer: str, fix: str, why: str = "why") -> Finding:
    return Finding(id, severity, layer, f"measured {layer}", "expected", "limit", why, fix)


def chain(activation: type[nn.Module], depth: int, std: float = 1.0) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for at in range(depth):
        line = nn.Linear(64 if at else 32, 64)
        nn.init.normal_(line.weight, std=std * line.in_features**-0.5)
        nn.init.zeros_(line.bias)
        layers += [line, activation()]
    return nn.Sequential(*layers, nn.Linear(64, 4))


def test_one_remedy_is_one_cause() -> None:
    findings = [
        finding("F02", "error", "a", "zeros() for the bias of a.b: it outweighs the signal."),
        finding("F03", "error", "c", "zeros() for the bias of a.b. All units are dead."),
        finding("F05", "warning", "d", "tanh in place of sigmoid."),
        finding("F12", "note", "0", "zeros() for the bias of a.b; or fewer layers."),
        finding("F12", "note", "2", "zeros() for the bias of a.b."),
    ]
    first, second = find_causes(findings)
    assert first.findings == (*findings[:2], *findings[3:])
    assert first.same == (findings[0],)
    assert first.consequences == ("F03 error at c: measured c", "F12 note at layer 0, layer 2")
    assert (second.findings, second.consequences) == ((findings[2],), ())


def test_a_remedy_of_two_parts_is_not_lost() -> None:
    data = "Standardize the data: x / x.std()."
    both = f"{data} And glorot_normal() for the weight of 0."
    findings = [finding("F13", "warning", "", data), finding("F05", "warning", "0", both)]
    assert len(find_causes(findings)) == 2


def test_sizes_beside_numbers_that_are_not_finite_are_consequences() -> None:
    findings = [
        finding("F01", "error", "a", "Fill it: zeros() for a."),
        finding("F02", "error", "b", "he_normal() for these weights."),
        finding("F10", "error", "c", "ones() for c."),
    ]
    first, second = find_causes(findings)
    assert first.consequences == ("F02 error at b: measured b",)
    assert second.first.id == "F10"
    findings[0] = finding("F01", "warning", "a", "Fill it: zeros() for a.")  # harmless so far
    assert len(find_causes(findings)) == 3


def test_places_of_one_rule_are_listed() -> None:
    findings = [finding("F17", "warning", str(at), "Take it away.") for at in range(8)]
    (cause,) = find_causes(findings)
    assert (len(cause.same), cause.consequences) == (8, ())
    conditions = Conditions("Net", 1, "2", "float32", "cpu", "train", 8, "given", "given", 1, 0)
    text = str(Checkup(tuple(findings), (), (), conditions))
    assert (
        "F17 warning: layer 0, and layer 1, layer 2, layer 3, layer 4, layer 5 and 2 more" in text
    )
    assert text.count("Take it away") == 1


def shifted(model: nn.Sequential) -> nn.Sequential:
    for line in model[:-1:2]:
        nn.init.constant_(line.bias, 3.0)
    return model


@pytest.mark.parametrize(
    ("model", "inputs", "rules"),
    [
        (lambda: chain(nn.ReLU, 24), INPUTS, {"F02", "F03", "F12"}),
        (lambda: shifted(chain(nn.Tanh, 8)), INPUTS, {"F03", "F05", "F14"}),
        (lambda: chain(nn.Tanh, 3), 200 + 100 * INPUTS, {"F02", "F03", "F05", "F13"}),
        (lambda: chain(nn.ReLU, 24, 1e3), INPUTS, {"F01", "F02", "F12"}),
    ],
)
def test_networks_with_one_fault(model: Any, inputs: Tensor, rules: set[str]) -> None:
    checkup = fanin.check(model(), inputs, TARGETS)
    assert {one.id for one in checkup.findings} >= rules
    (cause,) = find_causes(checkup.findings)
    assert cause.findings == checkup.findings
    assert str(checkup).count("fix: ") == 1
    assert checkup._repr_html_().count("fix:") == 1
