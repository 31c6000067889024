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
constexpr int register_bytes = 64;
#elif defined(__AVX2__)
constexpr int register_bytes = 32;
#else
constexpr int register_bytes = 16;
#endif
// How many registers make a vector of floats. Without an instruction for fma a value is a long
// chain of operations: several together leave less time to wait.
#if defined(__x86_64__) && !defined(__AVX2__)
constexpr int registers = 4;
#else
constexpr int registers = 1;
#endif
constexpr int lanes = registers * register_bytes / 4;
constexpr int wide_lanes = register_bytes / 8;  // of the 64-bit vectors

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

// Lines of a square block become its columns.
template <int side, typename V>
inline void transpose(V* lines) {
    static_assert(sizeof(V) / sizeof(V{}[0]) == side);
    V zipped[side];
    // Zipping line i with line i + side / 2, log2(side) times over, transposes.
#pragma GCC unroll 8
    for (int step = 1; step < side; step *= 2) {
#pragma GCC unroll 32
        for (int i = 0; i < side / 2; ++i) {
            zipped[2 * i] = zip_low(lines[i], lines[i + side / 2]);
            zipped[2 * i + 1] = zip_high(lines[i], lines[i + side / 2]);
        }
#pragma GCC unroll 32
        for (int i = 0; i < side; ++i) lines[i] = zipped[i];
    }
}

// NaN never occurs.
template <typename V>
inline V least(V a, V b) {
    return a < b ? a : b;
}
template <typename V>
inline V greatest(V a, V b) {
    return a > b ? a : b;
}
// GCC finds the instructions of x86 for bytes, not for floats.
#if defined(__AVX512F__)
inline F32 least(F32 a, F32 b) { return bits<F32>(_mm512_min_ps(bits<__m512>(a), bits<__m512>(b))); }
inline F32 greatest(F32 a, F32 b) { return bits<F32>(_mm512_max_ps(bits<__m512>(a), bits<__m512>(b))); }
inline F64 least(F64 a, F64 b) { return bits<F64>(_mm512_min_pd(bits<__m512d>(a), bits<__m512d>(b))); }
inline F64 greatest(F64 a, F64 b) { return bits<F64>(_mm512_max_pd(bits<__m512d>(a), bits<__m512d>(b))); }
#elif defined(__AVX2__)
inline F32 least(F32 a, F32 b) { return bits<F32>(_mm256_min_ps(bits<__m256>(a), bits<__m256>(b))); }
inline F32 greatest(F32 a, F32 b) { return bits<F32>(_mm256_max_ps(bits<__m256>(a), bits<__m256>(b))); }
inline F64 least(F64 a, F64 b) { return bits<F64>(_mm256_min_pd(bits<__m256d>(a), bits<__m256d>(b))); }
inline F64 greatest(F64 a, F64 b) { return bits<F64>(_mm256_max_pd(bits<__m256d>(a), bits<__m256d>(b))); }
#elif defined(__x86_64__)
struct Registers {  // of F32
    __m128 part[registers];
};
inline F32 least(F32 a, F32 b) {
    auto x = bits<Registers>(a);
    for (int i = 0; i < registers; ++i) x.part[i] = _mm_min_ps(x.part[i], bits<Registers>(b).part[i]);
    return bits<F32>(x);
}
inline F32 greatest(F32 a, F32 b) {
    auto x = bits<Registers>(a);
    for (int i = 0; i < registers; ++i) x.part[i] = _mm_max_ps(x.part[i], bits<Registers>(b).part[i]);
    return bits<F32>(x);
}
inline F64 least(F64 a, F64 b) { return bits<F64>(_mm_min_pd(bits<__m128d>(a), bits<__m128d>(b))); }
inline F64 greatest(F64 a, F64 b) { return bits<F64>(_mm_max_pd(bits<__m128d>(a), bits<__m128d>(b))); }
#endif

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
    const U32 is_small = bits<U32>(bits<I32>(magnitude - (113u << 23)) >> 31);
    const U32 is_finite = bits<U32>(bits<I32>(magnitude - (143u << 23)) >> 31);
    const U32 finite = (subnormal & is_small) | (normal & ~is_small);
    const U32 half = (finite & is_finite) | (~is_finite & 0x7C00);
    return __builtin_convertvector(half | ((word >> 16) & 0x8000), U16);
#endif
}

}  // namespace
}  // namespace fanin::FANIN_LEVEL
