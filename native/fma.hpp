// a * b + c, rounded once: by the processor, or in double where it has no instruction for that.
#pragma once

#include "simd.hpp"

namespace fanin::FANIN_LEVEL {
namespace {

#if !defined(__x86_64__) || defined(__AVX2__)

struct Exact {
    F32 operator()(F32 a, F32 b, F32 c) const {
#if defined(__AVX512F__)
        return bits<F32>(_mm512_fmadd_ps(bits<__m512>(a), bits<__m512>(b), bits<__m512>(c)));
#elif defined(__AVX2__)
        return bits<F32>(_mm256_fmadd_ps(bits<__m256>(a), bits<__m256>(b), bits<__m256>(c)));
#elif defined(__aarch64__)
        return bits<F32>(vfmaq_f32(bits<float32x4_t>(c), bits<float32x4_t>(a), bits<float32x4_t>(b)));
#endif
    }
    static constexpr bool perhaps_wrong() { return false; }
};
using Quick = Exact;

// Constants of many fmas.
using Factor = F32;
using Addend = F32;

#else

// Double has room for the exact product of two floats. As in streams/_arithmetic.py the sum is
// rounded twice, to double and then to float. That differs from rounding once only where the first
// rounding lands half way between two floats, or where the float is subnormal.

struct Doubles {  // F32's lanes
    static constexpr int parts = 2 * registers;
    F64 part[parts];
};
inline Doubles to_doubles(F32 value) {
    Doubles wide;
    for (int i = 0; i < registers; ++i) {
        const __m128 floats = bits<Registers>(value).part[i];
        wide.part[2 * i] = bits<F64>(_mm_cvtps_pd(floats));
        wide.part[2 * i + 1] = bits<F64>(_mm_cvtps_pd(_mm_movehl_ps(floats, floats)));
    }
    return wide;
}
inline F32 to_floats(Doubles wide) {
    const auto half = [&](int i) { return _mm_cvtpd_ps(bits<__m128d>(wide.part[i])); };
    Registers floats;
    for (int i = 0; i < registers; ++i) floats.part[i] = _mm_movelh_ps(half(2 * i), half(2 * i + 1));
    return bits<F32>(floats);
}

// a * b + c rounded to odd in double, so that rounding it again, to float, cannot go wrong
// (Boldo & Melquiond 2008).
inline F64 fma_to_odd(F64 a, F64 b, F64 addend) {
    const F64 product = a * b, total = product + addend;
    const F64 part = total - product;
    const F64 error = (product - (total - part)) + (addend - part);
    const F64 outward = error * total;  // its sign: whether the error lies away from zero
    const I64 even = (bits<I64>(total) & 1) - 1;  // all ones where the last bit is 0
    return bits<F64>(bits<I64>(total) + (((outward < 0.0) - (outward > 0.0)) & even));
}

// Constants of many fmas: the same float in every lane.
struct Factor {
    float single;
    F64 wide;
    bool power_of_two, few_bits;  // of the last case sums often lie half way, or seem to

    explicit Factor(F32 all) : single(all[0]), wide(F64{} + all[0]) {
        const auto mantissa = bits<std::uint32_t>(single) & 0x7FFFFF;
        power_of_two = mantissa == 0 && single != 0;
        few_bits = (mantissa & 0x1F) == 0;
    }
};
struct Addend {
    float single;
    F64 wide;
    bool small;  // A sum that is not zero is at least 2**-50 of the addend: is it then subnormal?

    explicit Addend(F32 all)
        : single(all[0]), wide(F64{} + all[0]), small(-0x1p-70f < single && single < 0x1p-70f) {}
};

[[gnu::noinline]] F32 slow_fma(F32 value, const Factor& factor, const Addend& addend) {
    Doubles wide = to_doubles(value);
    for (F64& part : wide.part) part = fma_to_odd(part, factor.wide, addend.wide);
    return to_floats(wide);
}

// By `fma`, which takes floats in doubles, where it is needed.
template <typename Fma>
inline F32 fma_of_floats(Fma& fma, F32 value, const Factor& factor, const Addend& addend) {
    // (Of a product that is zero the addend decides the sign.)
    if (addend.single == 0 && factor.single != 0) return value * factor.single;
    if (factor.power_of_two && !addend.small) return value * factor.single + addend.single;
    if (factor.few_bits || addend.small) return slow_fma(value, factor, addend);
    Doubles wide = to_doubles(value);
    for (int i = 0; i < Doubles::parts; ++i) wide.part[i] = fma(wide.part[i], factor.wide, addend.wide, i);
    return to_floats(wide);
}

class Exact {
  public:
    F32 operator()(F32 value, const Factor& factor, const Addend& addend) const {
        return fma_of_floats(*this, value, factor, addend);
    }
    F64 operator()(F64 a, F64 b, F64 c, int) const {
        F64 sum = a * b + c;
        const F64 magnitude = bits<F64>(bits<U64>(sum) & (~std::uint64_t{} >> 1));
        const U64 beyond = bits<U64>(sum) & 0x1FFFFFFF;  // the 29 bits that a float has not
        const auto halfway = bits<I64>(bits<Words>(beyond) == 0x10000000);
        if (any_lower(halfway | (magnitude < 0x1p-126))) sum = fma_to_odd(a, b, c);
        return bits<F64>(_mm_cvtps_pd(_mm_cvtpd_ps(bits<__m128d>(sum))));
    }

  protected:
    using Words = vector<std::uint32_t, 4>;
    // Whether the lower half of a lane is all ones; otherwise all zeros.
    static bool any_lower(I64 mask) { return _mm_movemask_ps(bits<__m128>(mask)) & 0b0101; }
};

// The same, but rounded twice, and half way upwards, taking note whether that may be wrong.
class Quick : Exact {
  public:
    Quick() {
        for (U8& least : least_) least = ~U8{};
    }
    F32 operator()(F32 value, const Factor& factor, const Addend& addend) {
        return fma_of_floats(*this, value, factor, addend);
    }
    F64 operator()(F64 a, F64 b, F64 c, int part) {
        const U64 up = bits<U64>(a * b + c) + (1u << 28);
        least_[part] = least(least_[part], bits<U8>(up));
        return bits<F64>(up & ~std::uint64_t{(1u << 29) - 1});
    }

    // Half way, 29 bits of `up` are zero. Seldom do its lowest three bytes have a zero otherwise,
    // each of them, in some of a few roundings.
    bool perhaps_wrong() const {
        I64 wrong{};
        for (const U8 bytes : least_) wrong |= bits<I64>(bits<Words>(bits<U64>(bytes) & 0xFFFFFF) == 0);
        return any_lower(wrong);
    }

  private:
    using U8 = vector<std::uint8_t, register_bytes>;
    U8 least_[Doubles::parts];
};

#endif

template <typename Single>
[[gnu::noinline]] F32 exact_value(Single single, U32 word) {
    Exact fma;
    return single(word, fma);
}

// The value that `single` makes of a word with an fma, which is quick where that is exact. (Passed on
// as a copy, so that `single` itself stays in registers.)
template <typename Single>
inline F32 value_of(const Single& single, U32 word) {
    Quick fma;
    const F32 value = single(word, fma);
    if (__builtin_expect(fma.perhaps_wrong(), false)) return exact_value(single, word);
    return value;
}

}  // namespace
}  // namespace fanin::FANIN_LEVEL
