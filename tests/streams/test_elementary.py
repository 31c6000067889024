"""exp, log, sine and cosine of + - * / alone: against mpmath, and their bits."""

import hashlib

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin.streams._elementary import cos_sin, exp, expm1, log, log_of


def relative(found: float, exact: mpmath.mpf) -> float:
    return float(abs((mpmath.mpf(found) - exact) / exact)) if exact else abs(found)


@given(st.floats(1e-300, 1e300))
def test_log_is_right_to_2e_16(x: float) -> None:
    with mpmath.workdps(40):
        assert relative(log_of(x), mpmath.log(mpmath.mpf(x))) < 2e-16


@given(st.floats(0.0, 0.29, exclude_min=True).filter(lambda less: less > 1e-290))
def test_log_keeps_the_digits_of_an_excess_that_x_has_lost(less: float) -> None:
    found = float(log(np.array([1.0 - less]), np.array([-less]))[0])
    with mpmath.workdps(330):
        assert relative(found, mpmath.log(1 - mpmath.mpf(less))) < 2e-16


@given(st.floats(-700.0, 700.0))
def test_exp_is_right_to_5_e_16(x: float) -> None:
    with mpmath.workdps(40):
        assert relative(float(exp(np.array([x]))[0]), mpmath.exp(mpmath.mpf(x))) < 5e-16


@given(st.floats(-1.0, 1.0).filter(lambda x: abs(x) > 1e-290))
def test_exp_less_one_keeps_its_digits(x: float) -> None:
    with mpmath.workdps(330):
        assert relative(float(expm1(np.array([x]))[0]), mpmath.expm1(mpmath.mpf(x))) < 1e-15


def test_log_of_one_is_zero() -> None:
    assert log_of(1.0) == 0.0


@given(st.floats(0.0, 1.0))
def test_cos_and_sin_are_right_to_2e_16(turns: float) -> None:
    cos, sin = (float(one[0]) for one in cos_sin(np.array([turns])))
    with mpmath.workdps(40):
        angle = 2 * mpmath.pi * mpmath.mpf(turns)
        assert abs(cos - mpmath.cos(angle)) < 2e-16
        assert abs(sin - mpmath.sin(angle)) < 2e-16


def test_quarter_turns_are_exact() -> None:
    cos, sin = cos_sin(np.arange(5) / 4)
    assert cos.tolist() == [1, 0, -1, 0, 1]
    assert sin.tolist() == [0, 1, 0, -1, 0]


@pytest.mark.parametrize(
    ("what", "digest"),
    [
        ("log", "d8fdc84991256556"),
        ("cos", "ff14bba5084e1bc5"),
        ("sin", "ae843d0e0c3cf568"),
    ],
)
def test_the_bits_are_those_of_every_machine(what: str, digest: str) -> None:
    x = np.arange(1, 8192) / 8192
    cos, sin = cos_sin(x)
    values = {"log": log(x, x - 1.0), "cos": cos, "sin": sin}[what] + 0.0
    assert hashlib.sha256(values.tobytes()).hexdigest()[:16] == digest
