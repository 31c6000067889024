"""The pytest plugin: the fixture `fanin_check`. Loading it imports no framework."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fanin.checks import Checkup


@pytest.fixture
def fanin_check() -> "Callable[..., Checkup]":
    """`fanin.testing.assert_healthy`, without an import: fanin_check(model, inputs)."""
    from fanin.testing import assert_healthy

    return assert_healthy
