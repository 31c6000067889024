"""Arguments: fields keep the names that they had for one version, and say so."""

from dataclasses import replace

import pytest

from fanin.errors import FaninWarning
from fanin.initializers import zeros
from fanin.recipes import Choice


def test_a_field_keeps_its_old_name_for_a_version() -> None:
    with pytest.warns(FaninWarning, match=r"Choice\.lr is called lr_factor now"):
        old = Choice(zeros(), "bias", "as asked", lr=0.5)  # type: ignore[call-arg]
    assert old == Choice(zeros(), "bias", "as asked", lr_factor=0.5)
    with pytest.warns(FaninWarning, match="old name goes"):
        assert old.lr == 0.5  # type: ignore[attr-defined]
    assert replace(old, lr_factor=1.0).lr_factor == 1.0  # no warning: the new name is asked for
