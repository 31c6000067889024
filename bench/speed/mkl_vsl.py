"""MKL's vector statistics library, through ctypes: Philox4x32-10, one thread, inversion.

A yardstick for bench/speed/streams.py only; `pip install mkl` brings it.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

_PHILOX4X32X10 = 16 << 20  # VSL_BRNG_PHILOX4X32X10
_STANDARD, _INVERSION = 0, 2  # VSL_RNG_METHOD_UNIFORM_STD, VSL_RNG_METHOD_GAUSSIAN_ICDF

Draw = Callable[[npt.NDArray[np.float32]], None]


def draws() -> dict[str, Draw]:
    """Functions that fill a contiguous float32 array, by draw; none where there is no MKL."""
    os.environ.setdefault("MKL_THREADING_LAYER", "SEQUENTIAL")
    try:
        library = ctypes.CDLL(str(next(Path(sys.prefix, "lib").glob("libmkl_rt.so*"))))
    except StopIteration:
        return {}
    stream = ctypes.c_void_p()
    _check(library.vslNewStream(ctypes.byref(stream), _PHILOX4X32X10, 1))

    def draw(function: str, method: int, *parameters: float) -> Draw:
        routine = getattr(library, function)

        def fill(out: npt.NDArray[np.float32]) -> None:
            pointer = ctypes.c_void_p(out.ctypes.data)
            numbers = (ctypes.c_float(value) for value in parameters)
            _check(routine(method, stream, ctypes.c_int(out.size), pointer, *numbers))

        return fill

    return {
        "uniform": draw("vsRngUniform", _STANDARD, 0.0, 1.0),
        "normal": draw("vsRngGaussian", _INVERSION, 0.0, 1.0),
    }


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"MKL's VSL answered with status {status}")
