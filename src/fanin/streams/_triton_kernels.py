"""The two kernels: one job in a launch, and many in one.

A job is a row of `_triton_tables`; its elements are shared out in groups. Where addresses step by
one along some axis (LANES = 4), a group is a block of Philox there, four elements at most; else
(LANES = 1) it is an element. A program makes BLOCK groups.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# As in _triton_values.

import triton
import triton.language as tl

from fanin.streams import _triton_tables as tables
from fanin.streams._triton_values import _double, _four, _single, _words

_OUT = tl.constexpr(tables.OUT)
_BASE = tl.constexpr(tables.BASE)
_SEED = tl.constexpr(tables.SEED)
_STREAM = tl.constexpr(tables.STREAM)
_LOW = tl.constexpr(tables.LOW)
_KIND = tl.constexpr(tables.KIND)
_ENCODING = tl.constexpr(tables.ENCODING)
_WHOLE = tl.constexpr(tables.WHOLE)
_RUN = tl.constexpr(tables.RUN)
_RUN_STRIDE = tl.constexpr(tables.RUN_STRIDE)
_GROUPS = tl.constexpr(tables.GROUPS)
_RANK = tl.constexpr(tables.RANK)
_AXES = tl.constexpr(tables.AXES)
_AXIS = tl.constexpr(tables.AXIS)
_FLOAT32 = tl.constexpr(tables.ENCODINGS["float32"])
_BFLOAT16 = tl.constexpr(tables.ENCODINGS["bfloat16"])


@triton.jit
def _locate(job, group, rank):
    """Of the first element of each group: address, place in memory, and number in its run."""
    rest = group
    place = tl.full(group.shape, 0, tl.int64)
    first = place
    address = place.to(tl.uint64) + tl.load(job + _BASE).to(tl.uint64, bitcast=True)
    axis = job + _AXES
    for _ in range(rank - 1):
        count = tl.load(axis).to(group.dtype)
        digit = (rest % count).to(tl.int64)
        rest = rest // count
        address += (digit * tl.load(axis + 1)).to(tl.uint64, bitcast=True)
        place += digit * tl.load(axis + 2)
        first += digit * tl.load(axis + 3)
        axis += _AXIS
    digit = rest.to(tl.int64)  # the last axis: whatever is left
    address += (digit * tl.load(axis + 1)).to(tl.uint64, bitcast=True)
    place += digit * tl.load(axis + 2)
    first += digit * tl.load(axis + 3)
    return address, place, first


@triton.jit
def _bfloat16_bits(values):
    bits = values.to(tl.uint32, bitcast=True)
    half_way = ((bits >> 16) & 1) + 0x7FFF
    return (tl.add(bits, half_way, sanitize_overflow=False) >> 16).to(tl.uint16)


@triton.jit
def _put(out, at, values, mask, ALIGNED: tl.constexpr):  # noqa: N803
    pointer = out.to(tl.pointer_type(values.dtype)) + at
    if ALIGNED:
        # In bytes and in elements: what a thread's vector store needs to know.
        pointer = tl.multiple_of(pointer, 4 * values.dtype.primitive_bitwidth // 8)
        tl.store(tl.max_contiguous(pointer, 4), values)
    else:
        tl.store(pointer, values, mask)


@triton.jit
def _store(out, at, values, mask, encoding, ALIGNED: tl.constexpr):  # noqa: N803
    """Encode and write; `encoding` may be known to the compiler."""
    if values.dtype == tl.float64 or encoding == _FLOAT32:
        _put(out, at, values, mask, ALIGNED)
    elif encoding == _BFLOAT16:
        _put(out, at, _bfloat16_bits(values), mask, ALIGNED)
    else:
        _put(out, at, values.to(tl.float16), mask, ALIGNED)


@triton.jit
def _store_whole(out, place, values, encoding):
    """Groups of which all four lanes are elements, that lie side by side and aligned."""
    at = _four(place, place + 1, place + 2, place + 3)
    _store(out, at, values, at, encoding, True)


@triton.jit
def _store_lanes(out, job, address, place, first, inside, values, encoding):
    """Those lanes of groups that are elements: the first lanes, the second ones ... in turn."""
    skipped = (address & 3).to(tl.int64)  # lanes before the run's first element
    length, stride = tl.load(job + _RUN), tl.load(job + _RUN_STRIDE)
    first -= skipped
    place -= skipped * stride
    even, odd = tl.split(tl.reshape(values, [place.shape[0], 2, 2]))  # undoes _four
    v0, v2 = tl.split(even)
    v1, v3 = tl.split(odd)
    _store(out, place, v0, inside & (first >= 0) & (first < length), encoding, False)
    _store(out, place + stride, v1, inside & (first >= -1) & (first + 1 < length), encoding, False)
    place += 2 * stride
    first += 2
    _store(out, place, v2, inside & (first >= 0) & (first < length), encoding, False)
    _store(out, place + stride, v3, inside & (first + 1 < length), encoding, False)


@triton.jit
def _fill(
    job,
    coefficients,
    program,
    kind,
    encoding,
    rank,
    DOUBLE: tl.constexpr,  # noqa: N803
    LANES: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    """Program number `program` of a job."""
    group = program * BLOCK + tl.arange(0, BLOCK).to(program.dtype)
    address, place, first = _locate(job, group, rank)
    seed = tl.load(job + _SEED).to(tl.uint64, bitcast=True)
    word = _words(address, seed, tl.load(job + _STREAM).to(tl.uint64, bitcast=True), LANES)
    if DOUBLE:
        low = _words(address, seed, tl.load(job + _LOW).to(tl.uint64, bitcast=True), LANES)
        values = _double(kind, word, low, job, coefficients)
    else:
        values = _single(kind, word, job, coefficients)
    out = tl.load(job + _OUT)
    inside = group < tl.load(job + _GROUPS).to(group.dtype)
    if LANES == 1:
        _store(out, place, values, inside, encoding, False)
    elif (program + 1) * BLOCK <= tl.load(job + _WHOLE).to(program.dtype):
        _store_whole(out, place, values, encoding)
    else:
        _store_lanes(out, job, address, place, first, inside, values, encoding)


@triton.jit(do_not_specialize=["job"])
def _one(
    job,
    coefficients,
    KIND: tl.constexpr,  # noqa: N803
    ENCODING: tl.constexpr,  # noqa: N803
    RANK: tl.constexpr,  # noqa: N803
    DOUBLE: tl.constexpr,  # noqa: N803
    LANES: tl.constexpr,  # noqa: N803
    WIDE: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    """One job, all about whose shape of code the compiler knows."""
    program = tl.program_id(0).to(tl.uint64 if WIDE else tl.uint32)
    _fill(job, coefficients, program, KIND, ENCODING, RANK, DOUBLE, LANES, BLOCK)


@triton.jit(do_not_specialize=["jobs", "columns", "firsts", "count"])
def _many(
    jobs,
    columns,
    firsts,
    count,
    coefficients,
    DOUBLE: tl.constexpr,  # noqa: N803
    LANES: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    """Many jobs, in rows of so many columns; `firsts` has the number of each's first program."""
    program = tl.program_id(0)
    low, high = tl.full((), 0, tl.int32), count.to(tl.int32)
    while high - low > 1:
        middle = (low + high) // 2
        if tl.load(firsts + middle) <= program:
            low = middle
        else:
            high = middle
    job = jobs + low.to(tl.int64) * columns
    own = (program - tl.load(firsts + low)).to(tl.uint32)
    kind, encoding = tl.load(job + _KIND), tl.load(job + _ENCODING)
    rank = tl.load(job + _RANK).to(tl.int32)
    _fill(job, coefficients, own, kind, encoding, rank, DOUBLE, LANES, BLOCK)
