"""Where draws are written: dtypes, new arrays, and the buffers that callers bring."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin.errors import FaninError, an, quote
from fanin.streams._arithmetic import bfloat16_bits
from fanin.streams._distributions import Distribution

Array = npt.NDArray[Any]
DTypeLike = Any  # a name, or anything NumPy takes for a dtype

# The dtypes of values, and the largest finite number of each.
_LARGEST = {name: float(np.finfo(name).max) for name in ("float32", "float64", "float16")}
_LARGEST["bfloat16"] = 255 * 2.0**120
REAL = tuple(_LARGEST)
COMPLEX = ("complex64", "complex128")
_LARGEST |= {"complex64": _LARGEST["float32"], "complex128": _LARGEST["float64"]}


def dtype_name(dtype: DTypeLike, out: Array | None, allowed: tuple[str, ...] = REAL) -> str:
    """One of the allowed names of dtypes: as asked, else out's, else float32."""
    if out is not None and not isinstance(out, np.ndarray):
        raise FaninError(f"out is {an(type(out).__name__)}; it must be a NumPy array.")
    if dtype is None:
        dtype = "float32" if out is None else out.dtype
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or _numpy_name(dtype)
    if name in allowed:
        return str(name)
    hint = " (say which 16-bit float the uint16 buffer holds)" if name == "uint16" else ""
    raise FaninError(f"dtype is {quote(dtype)}; allowed are {', '.join(allowed)}{hint}.")


def is_complex(dtype: DTypeLike, out: Array | None) -> bool:
    """Whether complex values are asked for, by `dtype` or by the array to write into."""
    return dtype_name(dtype, out, REAL + COMPLEX) in COMPLEX


def precision_of(encoding: str) -> str:
    """What the values of a dtype are computed in: "float32" or "float64"."""
    return "float64" if encoding in ("float64", "complex128") else "float32"


def _numpy_name(dtype: DTypeLike) -> str | None:
    try:
        return np.dtype(dtype).name
    except TypeError:
        return None


def _storage(name: str) -> np.dtype[Any]:
    """The NumPy dtype of new arrays: bfloat16 is ml_dtypes' type where it is importable."""
    if name == "bfloat16":
        try:
            import ml_dtypes
        except ImportError:
            return np.dtype(np.uint16)
        name = ml_dtypes.bfloat16
    return np.dtype(name)


def constants_of(distribution: Distribution, encoding: str) -> tuple[float, ...]:
    """What the draws of a dtype compute with; FaninError where they would leave its range."""
    precision = precision_of(encoding)
    reach = distribution.reach(precision)
    if reach > _LARGEST[encoding]:
        raise FaninError(f"{distribution} reaches {reach:.3g}, beyond the range of {encoding}.")
    return distribution.constants(precision)


def check_out(out: Array | None, shape: tuple[int, ...], name: str) -> Array:
    """A new array, or the caller's after it was found fit to be written."""
    if out is None:
        return new_array(shape, _storage(name))
    stored = out.dtype.name
    if stored != name and not (stored == "uint16" and name in ("bfloat16", "float16")):
        raise FaninError(f"out holds {stored} and the draw is {name}; they must agree.")
    if out.shape != shape:
        raise FaninError(f"out has shape {out.shape} and the draw has {shape}; they must agree.")
    if not out.flags.writeable:
        raise FaninError(f"out of shape {shape} is read-only; pass a writable array.")
    if not out.flags.aligned or not out.dtype.isnative:
        raise FaninError(f"out of shape {shape} is unaligned or byte-swapped; pass a plain array.")
    if _may_overlap(out):
        raise FaninError(
            f"out of shape {shape} has strides {out.strides}, so that elements overlap in memory; "
            "pass an array that owns each of its elements."
        )
    return out


def new_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array that nothing was written into; FaninError where there is no memory for it."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # the latter beyond what NumPy can count
        gibibytes = math.prod(shape) * dtype.itemsize / 2**30
        raise FaninError(
            f"values of shape {shape} in {dtype} take {gibibytes:.3g} GiB, and there is no memory "
            "for them. Draw a part at a time with index=, or into a mapped array with out=."
        ) from None


def _may_overlap(out: Array) -> bool:
    if out.size == 0:
        return False  # NumPy gives an empty array strides of 0
    reach = out.itemsize
    for stride, size in sorted(zip(map(abs, out.strides), out.shape, strict=True)):
        if size > 1:
            if stride < reach:
                return True
            reach += stride * (size - 1)
    return False


def raw(out: Array) -> Array:
    """The array as the back ends take it: 16-bit floats as their bits."""
    return out.view(np.uint16) if out.dtype.itemsize == 2 else out


def encode(values: Array, name: str) -> Array:
    """Values of the dtype as the back ends store them: 16-bit floats as bits, rounded once."""
    if name == "float64" or name in COMPLEX:
        return values.astype(name, copy=False)
    single = values.astype(np.float32)
    if name == "bfloat16":
        return bfloat16_bits(single)
    return single.astype(np.float16).view(np.uint16) if name == "float16" else single


def write(values: Array, encoding: str, out: Array | None) -> Array:
    """Values of any float dtype, rounded once to this one, in `out` or a new array."""
    result = check_out(out, values.shape, encoding)
    beyond = float(np.max(np.abs(values), initial=0.0))
    if not beyond <= _LARGEST[encoding]:
        raise FaninError(f"values reach {beyond:.3g}, beyond the range of {encoding}.")
    raw(result)[...] = encode(values, encoding)
    return result
