"""exp, log, sine and cosine in float64 from + - * / alone: the same bits on every machine.

libm's and NumPy's differ between platforms in the last bits, and those bits would reach the
drawn values. Series with their textbook coefficients; errors of about 1e-16 (tests).
"""

import math

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

# ln 2 in two doubles: the first has 32 bits, so that its product with an exponent is exact.
_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_ROOT_HALF = math.sqrt(0.5)
_HALF_PI = math.pi / 2

_LOG = tuple(2.0 / (2 * n + 1) for n in range(1, 12))  # log((1 + s) / (1 - s)) / s - 2
_EXP = tuple(1.0 / math.factorial(n) for n in range(1, 20))
_SINE = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(1, 9))
_COSINE = tuple((-1.0) ** n / math.factorial(2 * n) for n in range(2, 10))


def _series(coefficients: tuple[float, ...], z: Float64) -> Float64:
    """z * (c0 + z * (c1 + ...))."""
    total = np.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= z
        total += coefficient
    total *= z
    return total


def log(x: Float64, excess: Float64) -> Float64:
    """log(x) of positive normal doubles; `excess` is x - 1, exact where x itself is rounded.

    So log(1 + tiny) keeps its digits. x = m * 2**k with m in [sqrt(1/2), sqrt(2)), f = m - 1 and
    s = f / (2 + f): log m = f - f**2/2 + s * (f**2/2 + series), in the order that fdlibm uses.
    """
    m, k = np.frexp(x)
    k = k.astype(np.float64)
    low = m < _ROOT_HALF
    m = np.where(low, 2.0 * m, m)
    k = np.where(low, k - 1.0, k)
    f = np.where(k == 0.0, excess, m - 1.0)
    s = f / (2.0 + f)
    half = 0.5 * f * f
    tail: Float64 = s * (half + _series(_LOG, s * s)) + k * _LN2_LOW
    result: Float64 = k * _LN2_HIGH - ((half - tail) - f)
    return result


def log_of(x: float) -> float:
    """log(x) of one positive normal double, by the same arithmetic."""
    return float(log(np.array([x]), np.array([x - 1.0]))[0])


def exp(x: Float64) -> Float64:
    """exp(x) of doubles between -700 and 700: 2**k exp(r), |r| at most half of ln 2."""
    k = np.floor(x / (_LN2_HIGH + _LN2_LOW) + 0.5)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    return np.asarray(np.ldexp(1.0 + _series(_EXP, r), k.astype(np.int64)))


def expm1(x: Float64) -> Float64:
    """exp(x) - 1 of doubles between -1 and 1, which keeps its digits near 0."""
    return _series(_EXP, x)


def cos_sin(turns: Float64) -> tuple[Float64, Float64]:
    """cos and sin of 2 pi `turns`, turns in [0, 1].

    The reduction to an eighth of a turn around the nearest quarter is exact.
    """
    quarter = np.floor(4.0 * turns + 0.5)
    x = (4.0 * turns - quarter) * _HALF_PI
    z = x * x
    sine = x + x * _series(_SINE, z)
    cosine = 1.0 - (0.5 * z - z * _series(_COSINE, z))
    odd, side = quarter % 2.0 == 1.0, quarter % 4.0
    c, s = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    return (
        np.where((side == 1.0) | (side == 2.0), -c, c),
        np.where(side >= 2.0, -s, s),
    )
