"""What tests of studies share: verdicts by the beginning of a claim, and doctored measurements."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from fanin.studies._study import Scale, Study

Doctor = Callable[[dict[str, Any]], None]
Verdict = Callable[..., str]


@pytest.fixture(scope="session")
def verdict() -> Verdict:
    """`verdict(study, found, beginning, doctor)`: that of the one claim which begins so."""

    def verdict(
        study: Study, found: Any, beginning: str, doctor: Doctor = lambda found: None
    ) -> str:
        changed = copy.deepcopy(dict(found))
        doctor(changed)
        scale: Scale = "quick"
        claims = study.conclude(changed, scale).claims
        (claim,) = [claim for claim in claims if claim.statement.startswith(beginning)]
        return claim.verdict

    return verdict
