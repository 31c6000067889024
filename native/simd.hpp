// Vectors of one ISA level: GCC/Clang vector extensions, and the few operations that these
// cannot say. Everything lives in the level's own namespace, so that the linker never takes
// one level's inline function for another's.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace fanin::FANIN_LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif
constexpr int wide_lanes = lanes / 2;  // of the 64-bit vectors
constexpr int vector_bytes = 4 * lanes;

template <typename T, int N>
using vector [[gnu::vector_size(N * sizeof(T))]] = T;

using F32 = vector<float, lanes>;
using U32 = vector<std::uint32_t, lanes>;
using I32 = vector<std::int32_t, lanes>;
using F64 = vector<double, wide_lanes>;
using U64 = vector<std::uint64_t, wide_lanes>;
using I64 = vector<std::int64_t, wide_lanes>;
using HalfU32 = vector<std::uint32_t, wide_lanes>;  // as many 32-bit values as a 64-bit vector
using HalfI32 = vector<std::int32_t, wide_lanes>;
using U16 = vector<std::uint16_t, lanes>;

// The float environment of the contract, whatever another library (torch.set_flush_denormal, code
// built with -ffast-math) left in this thread: round to nearest even, keep subnormals.
class DefaultFloats {
  public:
#if defined(__x86_64__)
    DefaultFloats() : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
    ~DefaultFloats() { _mm_setcsr(saved_); }

  private:
    unsigned saved_;
#elif defined(__aarch64__)
    DefaultFloats() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}));
    }
    ~DefaultFloats() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

  private:
    std::uint64_t saved_;
#endif
};

template <typename To, typename From>
inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    std::memcpy(&result, &value, sizeof result);
    return result;
}
template <typename V>
inline V load(const void* from) {
    V value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
template <typename V>
inline void store(void* to, V value) {
    std::memcpy(to, &value, sizeof value);
}

// a0 b0 a1 b1 ..., from the first and from the second halves of two vectors of N lanes.
template <typename V, std::size_t... I>
inline V zip(V a, V b, std::index_sequence<I...>, std::integral_constant<std::size_t, 0>) {
    return __builtin_shufflevector(a, b, (I / 2 + I % 2 * sizeof...(I))...);
}
template <typename V, std::size_t... I>
inline V zip(V a, V b, std::index_sequence<I...>, std::integral_constant<std::size_t, 1>) {
    return __builtin_shufflevector(a, b, ((I + sizeof...(I)) / 2 + I % 2 * sizeof...(I))...);
}
template <typename V>
using Lanes = std::make_index_sequence<sizeof(V) / sizeof(V{}[0])>;
template <typename V>
inline V zip_low(V a, V b) {
    return zip(a, b, Lanes<V>{}, std::integral_constant<std::size_t, 0>{});
}
template <typename V>
inline V zip_high(V a, V b) {
    return zip(a, b, Lanes<V>{}, std::integral_constant<std::size_t, 1>{});
}

// NaN never occurs; with a < b ? a : b compilers find the instruction.
template <typename V>
inline V least(V a, V b) {
    return a < b ? a : b;
}
template <typename V>
inline V greatest(V a, V b) {
    return a > b ? a : b;
}

// a * b of the low halves of 64-bit lanes, whatever the high halves hold.
inline U64 multiply_low_halves(U64 a, U64 b) {
#if defined(__AVX512F__)
    return bits<U64>(_mm512_mul_epu32(bits<__m512i>(a), bits<__m512i>(b)));
#elif defined(__AVX2__)
    return bits<U64>(_mm256_mul_epu32(bits<__m256i>(a), bits<__m256i>(b)));
#elif defined(__x86_64__)
    return bits<U64>(_mm_mul_epu32(bits<__m128i>(a), bits<__m128i>(b)));
#elif defined(__aarch64__)
    return bits<U64>(vmull_u32(vmovn_u64(bits<uint64x2_t>(a)), vmovn_u64(bits<uint64x2_t>(b))));
#endif
}

#if defined(__x86_64__) && !defined(__AVX2__)
// a * b + c of two lanes in double, ready to be rounded to float: the product is exact, the sum
// is rounded to odd, so that rounding it again cannot go wrong (Boldo & Melquiond 2008). As in
// streams/_arithmetic.py.
inline __m128d fma_to_odd(__m128d a, __m128d b, __m128d addend) {
    using Doubles = vector<double, 2>;
    using Longs = vector<std::int64_t, 2>;
    const Doubles product = a * b, total = product + addend;
    const Doubles part = total - product;
    const Doubles error = (product - (total - part)) + (addend - part);
    const Longs word = bits<Longs>(total);
    const Longs even = (word & 1) - 1;  // all ones where the last bit is 0
    const Longs shrinks = (error > 0.0) ^ (total > 0.0);
    return bits<__m128d>(word + ((error != 0.0) & even & (shrinks | 1)));
}
#endif

// a * b + c, rounded once.
inline F32 fma(F32 a, F32 b, F32 c) {
#if defined(__AVX512F__)
    return bits<F32>(_mm512_fmadd_ps(bits<__m512>(a), bits<__m512>(b), bits<__m512>(c)));
#elif defined(__AVX2__)
    return bits<F32>(_mm256_fmadd_ps(bits<__m256>(a), bits<__m256>(b), bits<__m256>(c)));
#elif defined(__aarch64__)
    return bits<F32>(vfmaq_f32(bits<float32x4_t>(c), bits<float32x4_t>(a), bits<float32x4_t>(b)));
#else
    const auto low = [](F32 v) { return _mm_cvtps_pd(bits<__m128>(v)); };
    const auto high = [](F32 v) { return _mm_cvtps_pd(_mm_movehl_ps(bits<__m128>(v), bits<__m128>(v))); };
    return bits<F32>(_mm_movelh_ps(_mm_cvtpd_ps(fma_to_odd(low(a), low(b), low(c))),
                                   _mm_cvtpd_ps(fma_to_odd(high(a), high(b), high(c)))));
#endif
}

inline F32 to_float(U32 below_2_31) { return __builtin_convertvector(bits<I32>(below_2_31), F32); }

// Any 32-bit word, rounded once: the upper half is exact in steps of 2**16, the sum rounds.
inline F32 to_float_full(U32 word) {
#if defined(__AVX512F__)
    return __builtin_convertvector(word, F32);
#else
    return to_float(word >> 16) * 65536.0f + to_float(word & 0xFFFF);
#endif
}

// Twice as wide, without a sign. (GCC 12 converts to 512 bits in halves by itself.)
inline U64 widen(HalfU32 word) {
#if defined(__AVX512F__)
    return bits<U64>(_mm512_cvtepu32_epi64(bits<__m256i>(word)));
#else
    return __builtin_convertvector(word, U64);
#endif
}
inline F64 to_double(HalfU32 word) {
#if defined(__AVX512F__)
    return bits<F64>(_mm512_cvtepu32_pd(bits<__m256i>(word)));
#else
    // 2**52 + word has the word in its last bits.
    return bits<F64>(widen(word) | (U64{} + 0x4330000000000000u)) - 0x1p52;
#endif
}

// The nearest bfloat16 and float16, ties to even; values are finite.
inline U16 to_bfloat16(F32 value) {
    const U32 word = bits<U32>(value);
    return __builtin_convertvector((word + 0x7FFF + ((word >> 16) & 1)) >> 16, U16);
}
inline U16 to_float16(F32 value) {
#if defined(__AVX512F__)
    return bits<U16>(_mm512_cvtps_ph(bits<__m512>(value), _MM_FROUND_TO_NEAREST_INT));
#elif defined(__AVX2__)
    return bits<U16>(_mm256_cvtps_ph(bits<__m256>(value), _MM_FROUND_TO_NEAREST_INT));
#else
    const U32 word = bits<U32>(value);
    const U32 magnitude = word & 0x7FFFFFFF;
    // Normal: rebias the exponent, round the mantissa to ten bits. Carries run into the
    // exponent as they should, up to infinity.
    const U32 normal = (magnitude - (112u << 23) + 0xFFF + ((magnitude >> 13) & 1)) >> 13;
    // Subnormal: adding 0.5 lets the float adder round at float16's last place, 2**-24.
    const U32 subnormal = bits<U32>(bits<F32>(magnitude) + 0.5f) - 0x3F000000;
    const U32 finite = magnitude < (113u << 23) ? subnormal : normal;
    const U32 half = magnitude >= (143u << 23) ? U32{} + 0x7C00 : finite;
    return __builtin_convertvector(half | ((word >> 16) & 0x8000), U16);
#endif
}

}  // namespace
}  // namespace fanin::FANIN_LEVEL
