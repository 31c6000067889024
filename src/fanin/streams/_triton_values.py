"""From counters to values, in Triton: streams/_reference.py defines every step.

Every rounding is written out: `tl.fma` where the contract says fma, and no contraction of what is
not (`enable_fp_fusion=False` at the launch). Only Triton's builtins, not its library of jitted
functions: those are interpreted only where Triton was imported with TRITON_INTERPRET set.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# What is traced has no Python types: an annotation would be read as a type of Triton's.

import triton
import triton.language as tl

from fanin.streams import _triton_tables as tables

_CONSTANT = tl.constexpr(tables.KINDS["constant"])
_WORDS = tl.constexpr(tables.KINDS["words"])
_UNIFORM = tl.constexpr(tables.KINDS["uniform"])
_NORMAL = tl.constexpr(tables.KINDS["normal"])
_CONSTANTS = tl.constexpr(tables.CONSTANTS)
_SINGLE_COLUMNS = tl.constexpr(tables.SINGLE_COLUMNS)
_SINGLE_TERMS = tl.constexpr(tables.SINGLE_TERMS)
_SINGLE_OFFSET = tl.constexpr(tables.SINGLE_OFFSET)
_DOUBLE_COLUMNS = tl.constexpr(tables.DOUBLE_COLUMNS)
_DOUBLE_TERMS = tl.constexpr(tables.DOUBLE_TERMS)
_DOUBLE_OFFSET = tl.constexpr(tables.DOUBLE_OFFSET)


@triton.jit
def _philox(block, seed, stream):
    """The four words of each block, as four tensors."""
    c0, c1 = block.to(tl.uint32), (block >> 32).to(tl.uint32)
    c2, c3 = stream.to(tl.uint32), (stream >> 32).to(tl.uint32)
    k0, k1 = seed.to(tl.uint32), (seed >> 32).to(tl.uint32)
    for _ in tl.static_range(10):
        # Products of 64 bits: one instruction gives both halves.
        p0, p1 = c0.to(tl.uint64) * 0xD2511F53, c2.to(tl.uint64) * 0xCD9E8D57
        c0, c1 = (p1 >> 32).to(tl.uint32) ^ c1 ^ k0, p1.to(tl.uint32)
        c2, c3 = (p0 >> 32).to(tl.uint32) ^ c3 ^ k1, p0.to(tl.uint32)
        k0 = tl.add(k0, 0x9E3779B9, sanitize_overflow=False)
        k1 = tl.add(k1, 0xBB67AE85, sanitize_overflow=False)
    return c0, c1, c2, c3


@triton.jit
def _four(a, b, c, d):
    """Four tensors as one of four times their length, whose elements take turns."""
    return tl.reshape(tl.join(tl.join(a, c), tl.join(b, d)), [4 * a.shape[0]])


@triton.jit
def _words(address, seed, stream, LANES: tl.constexpr):  # noqa: N803
    """LANES = 4: the words of each address's block; 1: the word at each address."""
    w0, w1, w2, w3 = _philox(address >> 2, seed, stream)
    if LANES == 4:
        return _four(w0, w1, w2, w3)
    else:
        lane = address & 3
        return tl.where(lane < 2, tl.where(lane == 0, w0, w1), tl.where(lane == 2, w2, w3))


@triton.jit
def _constant32(job, number):
    bits = tl.load(job + (_CONSTANTS + number))
    return bits.to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
def _constant64(job, number):
    return tl.load(job + (_CONSTANTS + number)).to(tl.float64, bitcast=True)


@triton.jit
def _clip(value, low, high):
    # Not tl.clamp, which leaves open which of two zeros it returns.
    value = tl.where(value > low, value, low)
    return tl.where(value < high, value, high)


@triton.jit
def _quantile32(p, x, coefficients):
    p = tl.where(p < 2147483520.0, p, 2147483520.0)  # 2**31 - 128
    bits = p.to(tl.uint32, bitcast=True)
    f = ((bits & 0x7FFFFF) | 0x3F800000).to(tl.float32, bitcast=True) - 1.5
    term = coefficients + (bits >> 23).to(tl.int32)
    value = tl.load(term + (_SINGLE_OFFSET + (_SINGLE_TERMS - 1) * _SINGLE_COLUMNS))
    for above in tl.static_range(1, _SINGLE_TERMS):
        power = _SINGLE_TERMS - 1 - above
        value = tl.fma(value, f, tl.load(term + (_SINGLE_OFFSET + power * _SINGLE_COLUMNS)))
    return x * value


@triton.jit
def _tail32(word):
    return word.to(tl.float32) + 0.5


@triton.jit
def _fold32(word):
    """Steps from the centre, and the sign bit where the word is below it."""
    offset = word ^ 0x80000000
    below = (offset.to(tl.int32, bitcast=True) >> 31).to(tl.uint32, bitcast=True)
    return offset ^ below, below & 0x80000000


@triton.jit
def _centre32(steps, sign):
    # Below 2**31: as int32, whose conversion is the cheaper one.
    x = steps.to(tl.int32, bitcast=True).to(tl.float32) + 0.5
    return (x.to(tl.uint32, bitcast=True) | sign).to(tl.float32, bitcast=True)


@triton.jit
def _uniform32(word, job):
    # Exact: (2k + 1 - 2**24) * 2**-24.
    k = (word >> 8).to(tl.int32, bitcast=True).to(tl.float32)
    x = tl.fma(k, 2.0**-23, 2.0**-24 - 1.0)
    value = tl.fma(x, _constant32(job, 0), _constant32(job, 1))
    return _clip(value, _constant32(job, 2), _constant32(job, 3))


@triton.jit
def _normal32(word, job, coefficients):
    steps, sign = _fold32(word)
    p = (steps ^ 0x7FFFFFFF).to(tl.int32, bitcast=True).to(tl.float32) + 0.5
    z = _quantile32(p, _centre32(steps, sign), coefficients)
    return tl.fma(z, _constant32(job, 0), _constant32(job, 1))


@triton.jit
def _truncated_normal32(word, job, coefficients):
    width = _constant32(job, 2)
    below = tl.fma(_tail32(word), width, _constant32(job, 3))
    above = tl.fma(_tail32(word ^ 0xFFFFFFFF), width, _constant32(job, 4))
    p = tl.where(below < above, below, above)
    steps, sign = _fold32(word)
    x = tl.fma(_centre32(steps, sign), width, _constant32(job, 5))
    z = _quantile32(p, x, coefficients)
    value = tl.fma(z, _constant32(job, 0), _constant32(job, 1))
    return _clip(value, _constant32(job, 6), _constant32(job, 7))


@triton.jit
def _single(kind, word, job, coefficients):
    """float32 values (of words: their bits) of one kind; `kind` may be known to the compiler."""
    if kind == _CONSTANT:
        value = tl.full(word.shape, _constant32(job, 0), tl.float32)
    elif kind == _WORDS:
        value = word.to(tl.float32, bitcast=True)
    elif kind == _UNIFORM:
        value = _uniform32(word, job)
    elif kind == _NORMAL:
        value = _normal32(word, job, coefficients)
    else:
        value = _truncated_normal32(word, job, coefficients)
    return value


@triton.jit
def _quantile64(p, x, coefficients):
    p = tl.where(p < 9223372036854774784.0, p, 9223372036854774784.0)  # 2**63 - 2**10
    bits = p.to(tl.uint64, bitcast=True)
    mantissa = ((bits & 0xFFFFFFFFFFFFF) | (0x3FF << 52)).to(tl.float64, bitcast=True)
    middle = ((bits & (1 << 51)) | (0xFFD << 50)).to(tl.float64, bitcast=True)
    f = mantissa - middle
    square = f * f
    term = coefficients + ((bits >> 51).to(tl.int32) + _DOUBLE_OFFSET)
    odd = tl.load(term + (_DOUBLE_TERMS - 1) * _DOUBLE_COLUMNS)
    even = tl.load(term + (_DOUBLE_TERMS - 2) * _DOUBLE_COLUMNS)
    for step in tl.static_range(1, _DOUBLE_TERMS // 2 - 1):
        power = _DOUBLE_TERMS - 1 - 2 * step
        odd = odd * square + tl.load(term + power * _DOUBLE_COLUMNS)
        even = even * square + tl.load(term + (power - 1) * _DOUBLE_COLUMNS)
    odd = odd * square + tl.load(term + _DOUBLE_COLUMNS)
    return x * ((even * f + odd) * f + tl.load(term))


@triton.jit
def _tail64(high, low):
    return high.to(tl.float64) * 4294967296.0 + (low.to(tl.float64) + 0.5)


@triton.jit
def _centre64(high, low):
    offset = high ^ 0x80000000
    below = (offset.to(tl.int32, bitcast=True) >> 31).to(tl.uint32, bitcast=True)
    x = _tail64(offset ^ below, low ^ below)
    return tl.where(below != 0, -x, x)


@triton.jit
def _uniform64(high, low, job):
    k = high.to(tl.float64) * 2097152.0 + (low >> 11).to(tl.float64)
    x = ((2.0 * k - 2.0**53) + 1.0) * 2.0**-53  # exact
    value = x * _constant64(job, 0) + _constant64(job, 1)
    return _clip(value, _constant64(job, 2), _constant64(job, 3))


@triton.jit
def _normal64(high, low, job, coefficients):
    above = (high.to(tl.int32, bitcast=True) >> 31).to(tl.uint32, bitcast=True)
    p = _tail64(high ^ above, low ^ above)
    z = _quantile64(p, _centre64(high, low), coefficients)
    return z * _constant64(job, 0) + _constant64(job, 1)


@triton.jit
def _truncated_normal64(high, low, job, coefficients):
    width = _constant64(job, 2)
    below = _tail64(high, low) * width + _constant64(job, 3)
    above = _tail64(high ^ 0xFFFFFFFF, low ^ 0xFFFFFFFF) * width + _constant64(job, 4)
    p = tl.where(below < above, below, above)
    x = _centre64(high, low) * width + _constant64(job, 5)
    value = _quantile64(p, x, coefficients) * _constant64(job, 0) + _constant64(job, 1)
    return _clip(value, _constant64(job, 6), _constant64(job, 7))


@triton.jit
def _double(kind, high, low, job, coefficients):
    """float64 values of one kind."""
    if kind == _CONSTANT:
        value = tl.full(high.shape, _constant64(job, 0), tl.float64)
    elif kind == _UNIFORM:
        value = _uniform64(high, low, job)
    elif kind == _NORMAL:
        value = _normal64(high, low, job, coefficients)
    else:
        value = _truncated_normal64(high, low, job, coefficients)
    return value
