"""Pointwise: functions element by element of lax, on NumPy arrays."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

OperationParams = Mapping[str, Any]
RunOfOperation = Callable[..., Any]


def _div(params: OperationParams) -> RunOfOperation:
    def run(a: Any, b: Any) -> Any:
        if _is_integral(a) and _is_integral(b):
            whole = np.asarray(b) != 0
            return np.where(whole, np.trunc(np.divide(a, np.where(whole, b, 1))), -1).astype(
                np.result_type(a, b)
            )
        return np.divide(a, b)

    return run


def _is_integral(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "iu"


def _logical(
    of_bools: RunOfOperation, of_integers: RunOfOperation
) -> Callable[[OperationParams], RunOfOperation]:
    def run(*arrays: Any) -> Any:
        integral = all(_is_integral(array) for array in arrays)
        if integral:
            return of_integers(*arrays)
        return of_bools(*(np.asarray(array) != 0 for array in arrays))

    return lambda params: run


def _select(params: OperationParams) -> RunOfOperation:
    def run(which: Any, *cases: Any) -> Any:
        if len(cases) == 2:
            return np.where(np.asarray(which) != 0, cases[1], cases[0])
        arrays = np.broadcast_arrays(np.asarray(which).astype(int), *cases)
        return np.choose(arrays[0], arrays[1:])

    return run


def _power(params: OperationParams) -> RunOfOperation:
    exponent = params["y"]
    return lambda x: np.asarray(x) ** float(exponent) if exponent < 0 else np.asarray(x) ** exponent


def _round(params: OperationParams) -> RunOfOperation:
    if "EVEN" in str(params.get("rounding_method")):
        return np.round
    return lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5)


def _convert(params: OperationParams) -> RunOfOperation:
    dtype = np.dtype(params["new_dtype"])

    def run(x: Any) -> Any:
        array = np.asarray(x)
        if dtype.kind == "b":
            return array != 0
        if dtype.kind in "iu":
            return np.trunc(array).astype(dtype) if array.dtype.kind == "f" else array.astype(dtype)
        return array.astype(np.complex128 if dtype.kind == "c" else np.float64)

    return run


def _sigmoid(x: Any) -> Any:
    return (1 + np.tanh(np.asarray(x) / 2)) / 2


def _plain(run: RunOfOperation) -> Callable[[OperationParams], RunOfOperation]:
    return lambda params: run


def _same(x: Any) -> Any:
    return x


# What leaves every element as it is.
SAME = frozenset(
    (
        *("copy", "copy_p", "stop_gradient", "reduce_precision", "device_put", "name"),
        *("sharding_constraint", "mesh_cast", "reshard", "pvary", "optimization_barrier"),
        *("layout_constraint", "conj", "pcast", "annotate"),
    )
)

COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge", "eq_to", "le_to", "lt_to"))

# For each primitive what makes, of its parameters, a function of arrays.
FUNCTIONS: dict[str, Callable[[OperationParams], RunOfOperation]] = {
    **dict.fromkeys(SAME, _plain(_same)),
    **{
        name: _plain(getattr(np, numpy))
        for name, numpy in {
            **{"add": "add", "sub": "subtract", "mul": "multiply", "neg": "negative"},
            **{"max": "maximum", "min": "minimum", "pow": "float_power", "rem": "fmod"},
            **{"exp": "exp", "exp2": "exp2", "log": "log", "log1p": "log1p", "expm1": "expm1"},
            **{"tanh": "tanh", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin"},
            **{"acos": "arccos", "atan": "arctan", "atan2": "arctan2", "sinh": "sinh"},
            **{"cosh": "cosh", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"},
            **{"sqrt": "sqrt", "cbrt": "cbrt", "square": "square", "abs": "abs", "sign": "sign"},
            **{"floor": "floor", "ceil": "ceil", "is_finite": "isfinite", "real": "real"},
            **{"imag": "imag", "eq": "equal", "ne": "not_equal", "lt": "less"},
            **{"le": "less_equal", "gt": "greater", "ge": "greater_equal"},
            **{"eq_to": "equal", "le_to": "less_equal", "lt_to": "less", "add_any": "add"},
            **{"add_jaxvals": "add", "nextafter": "nextafter", "shift_left": "left_shift"},
            **{"shift_right_arithmetic": "right_shift", "shift_right_logical": "right_shift"},
        }.items()
    },
    **{
        name: _plain(getattr(special, own))
        for name, own in {
            **{"erf": "erf", "erfc": "erfc", "erf_inv": "erfinv", "lgamma": "gammaln"},
            **{"digamma": "digamma", "bessel_i0e": "i0e", "bessel_i1e": "i1e", "zeta": "zeta"},
        }.items()
    },
    "div": _div,
    "integer_pow": _power,
    "rsqrt": _plain(lambda x: 1 / np.sqrt(x)),
    "logistic": _plain(_sigmoid),
    "round": _round,
    "not": _logical(np.logical_not, np.invert),
    "and": _logical(np.logical_and, np.bitwise_and),
    "or": _logical(np.logical_or, np.bitwise_or),
    "xor": _logical(np.logical_xor, np.bitwise_xor),
    "select_n": _select,
    "clamp": _plain(lambda low, x, high: np.minimum(np.maximum(x, low), high)),
    "complex": _plain(lambda x, y: np.asarray(x) + 1j * np.asarray(y)),
    "convert_element_type": _convert,
}
