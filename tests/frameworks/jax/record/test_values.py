"""Primitives of lax in NumPy: what they give is what JAX gives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as core
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fanin.frameworks.jax.record._values import LARGEST, UnknownValue, compute, run, runs

X = np.linspace(-0.9, 0.9, 24, dtype=np.float32).reshape(4, 6)
ABOVE = X + 1.5
WHOLE = np.arange(-12, 12).reshape(4, 6)

FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    **{
        name: (getattr(lax, name), (X,))
        for name in (
            *("neg", "exp", "exp2", "expm1", "log1p", "tanh", "sin", "cos", "tan", "asin", "acos"),
            *("atan", "sinh", "cosh", "asinh", "atanh", "cbrt", "square", "abs", "sign", "floor"),
            *("ceil", "is_finite", "erf", "erfc", "erf_inv", "logistic", "stop_gradient"),
        )
    },
    **{
        name: (getattr(lax, name), (ABOVE,))
        for name in ("log", "sqrt", "rsqrt", "lgamma", "digamma", "acosh")
    },
    **{
        name: (getattr(lax, name), (ABOVE, X))
        for name in (
            *("add", "sub", "mul", "div", "max", "min", "pow", "rem", "atan2", "eq", "ne", "lt"),
            *("le", "gt", "ge", "nextafter"),
        )
    },
    "cube": (lambda x: lax.integer_pow(x, 3), (X,)),
    "inverse square": (lambda x: lax.integer_pow(x, -2), (ABOVE,)),
    "round": (lax.round, (X * 4,)),
    "round to even": (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), (X * 4,)),
    "div of integers": (lax.div, (WHOLE, np.full_like(WHOLE, 5))),
    "rem of integers": (lax.rem, (WHOLE, np.full_like(WHOLE, 5))),
    "and of integers": (lax.bitwise_and, (WHOLE, WHOLE + 3)),
    "not": (lambda x: lax.bitwise_not(x > 0), (X,)),
    "or": (lambda x: (x > 0) | (x < -0.5), (X,)),
    "clamp": (lambda x: lax.clamp(-0.5, x, 0.5), (X,)),
    "select": (lambda x: lax.select(x > 0, x, -x), (X,)),
    "select of three": (lambda w, x: lax.select_n(w, x, -x, 2 * x), (WHOLE % 3, X)),
    "cast": (lambda x: (x * 9).astype(jnp.int32), (X,)),
    "complex": (lambda x: jnp.abs(lax.complex(x, -x)), (X,)),
    "iota": (lambda x: x + lax.broadcasted_iota(jnp.float32, (4, 6), 1), (X,)),
    "broadcast": (lambda x: lax.broadcast_in_dim(x, (4, 3, 6), (0, 2)), (X,)),
    "transpose": (lambda x: x.T.reshape(3, 8), (X,)),
    "squeeze": (lambda x: jnp.squeeze(x[:1], 0), (X,)),
    "slice": (lambda x: lax.slice(x, (1, 0), (4, 6), (2, 3)), (X,)),
    "dynamic slice": (lambda x: lax.dynamic_slice(x, (3, 1), (2, 2)), (X,)),
    "split": (lambda x: jnp.split(x, [1, 3], 1)[1], (X,)),
    "concatenate": (lambda x: jnp.concatenate([x, 2 * x], 1), (X,)),
    "pad": (lambda x: lax.pad(x, 7.0, ((1, 2, 0), (0, 1, 2))), (X,)),
    "rev": (lambda x: lax.rev(x, (1,)), (X,)),
    "dot": (lambda x: lax.dot_general(x, x, (((1,), (1,)), ((), ()))), (X,)),
    "batched dot": (lambda x: lax.dot_general(x, x, (((1,), (1,)), ((0,), (0,)))), (X,)),
    "sum": (lambda x: x.sum(0), (X,)),
    "prod": (lambda x: x.prod(1), (X,)),
    "largest": (lambda x: x.max(1) - x.min(1), (X,)),
    "all": (lambda x: (x > 0).all(1) | (x < 0).any(1), (X,)),
    "argmax": (lambda x: x.argmax(1) + x.argmin(1), (X,)),
    "cumsum": (lambda x: lax.cumsum(x, 1, reverse=True), (X,)),
    "cumprod": (lambda x: lax.cumprod(x, 0), (X,)),
    "cummax": (lambda x: lax.cummax(x, 1) - lax.cummin(x, 0), (X,)),
    "window": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 3), (1, 2), ((1, 0), (1, 1))),
        (X,),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_primitives_give_what_jax_gives(name: str) -> None:
    function, given = FUNCTIONS[name]
    program = jax.make_jaxpr(function)(*given)
    made = _evaluate(program.jaxpr, program.consts, given)
    expected = np.asarray(function(*map(jnp.asarray, given)))
    assert np.shape(made) == expected.shape
    np.testing.assert_allclose(np.asarray(made), expected, rtol=2e-5, atol=2e-6)


def _evaluate(jaxpr: Any, consts: Any, given: Any) -> Any:
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *given), strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, core.Literal) else known[variable]

    for equation in jaxpr.eqns:
        arrays = [read(variable) for variable in equation.invars]
        inner = equation.params.get("jaxpr")
        if isinstance(inner, core.ClosedJaxpr):
            made = [_evaluate(inner.jaxpr, inner.consts, arrays)]
        else:
            assert runs(equation.primitive.name), equation.primitive.name
            found = run(equation.primitive.name, equation.params, *arrays)
            made = found if isinstance(found, list) else [found]
        known.update(zip(equation.outvars, made, strict=True))
    return read(jaxpr.outvars[0])


def test_what_is_not_known_is_none() -> None:
    with pytest.raises(UnknownValue):
        run("cholesky", {}, X)
    assert compute("cholesky", {}, [X], (4, 6)) is None
    assert compute("neg", {}, [X], (LARGEST + 1,)) is None


def test_jax_extend_has_what_the_tracer_reads() -> None:
    """jax.extend promises nothing: this test says what a new release took away."""
    program = jax.make_jaxpr(jax.jit(jax.nn.silu))(1.0)
    assert isinstance(program, core.ClosedJaxpr)
    assert isinstance(program.jaxpr, core.Jaxpr)
    assert [*program.consts] == []
    (equation,) = program.jaxpr.eqns
    assert isinstance(equation, core.JaxprEqn)
    assert all(isinstance(item, core.Var) for item in (*equation.invars, *equation.outvars))
    assert equation.primitive.name in ("jit", "pjit")
    assert equation.params["name"] == "silu"
    assert isinstance(equation.params["jaxpr"], core.ClosedJaxpr)
    assert str(equation.source_info.name_stack) == ""
    aval: Any = equation.invars[0].aval
    assert aval.shape == ()
    inner = jax.make_jaxpr(lambda x: x + 1)(1.0).jaxpr.eqns[0]
    assert [isinstance(item, core.Literal) for item in inner.invars] == [False, True]
    assert inner.invars[1].val == 1
    called = jax.make_jaxpr(jax.nn.relu)(1.0).jaxpr.eqns[0]
    assert called.primitive.name == "custom_jvp_call"
    assert called.params["call_jaxpr"].jaxpr.debug_info.func_name == "relu"
