// The normal quantile from the octave tables. streams/_quantile.py defines it.
#pragma once

#include "fanin.hpp"
#include "fma.hpp"
#include "simd.hpp"

namespace fanin::FANIN_LEVEL {
namespace {

constexpr int lowest_biased = 127 + lowest_exponent;  // as the bits of a float have it

#if defined(__AVX2__)  // and AVX-512: a permutation of registers is a table look-up

// The last octaves up to that of the largest p of a draw, in registers. Nearly every value
// falls into them; the others read the whole table.
class Window {
  public:
    explicit Window(float largest_p) {
        first_ = static_cast<std::int32_t>(bits<std::uint32_t>(largest_p) >> 23) - (rows - 1);
        if (first_ < lowest_biased) first_ = lowest_biased;
        for (int part = 0; part < parts; ++part)
            for (int term = 0; term < single_terms; ++term)
                for (int lane = 0; lane < lanes; ++lane)
                    coefficients_[part][term][lane] =
                        single_table[first_ - lowest_biased + part * lanes + lane][term];
    }

    // The polynomial of each lane's octave, by the bits of its exponent, at f.
    F32 horner(I32 exponent, F32 f, Exact fma) const {
        const I32 own = exponent - first_;
        F32 value = coefficient(single_terms - 1, own);
#pragma GCC unroll 8
        for (int term = single_terms - 2; term >= 0; --term)
            value = fma(value, f, coefficient(term, own));
        const unsigned others = below_zero(own);
        if (__builtin_expect(others != 0, false)) return with_others(value, others, exponent, f);
        return value;
    }

  private:
    // The lanes that the window has no row for, out of the way of what most vectors need.
    [[gnu::noinline]] static F32 with_others(F32 value, unsigned others, I32 exponent, F32 f) {
        for (; others != 0; others &= others - 1) {
            const int lane = __builtin_ctz(others);
            const float* const row = single_table[exponent[lane] - lowest_biased];
            float own = row[single_terms - 1];
            for (int term = single_terms - 2; term >= 0; --term)
                own = __builtin_fmaf(own, f[lane], row[term]);
            value[lane] = own;
        }
        return value;
    }

#if defined(__AVX512F__)
    static constexpr int parts = 2;

    F32 coefficient(int term, I32 own) const {
        return bits<F32>(_mm512_permutex2var_ps(bits<__m512>(coefficients_[0][term]),
                                                bits<__m512i>(own),
                                                bits<__m512>(coefficients_[1][term])));
    }
    static unsigned below_zero(I32 own) { return _mm512_movepi32_mask(bits<__m512i>(own)); }
#else
    static constexpr int parts = 1;

    F32 coefficient(int term, I32 own) const {
        return bits<F32>(
            _mm256_permutevar8x32_ps(bits<__m256>(coefficients_[0][term]), bits<__m256i>(own)));
    }
    static unsigned below_zero(I32 own) {
        return static_cast<unsigned>(_mm256_movemask_ps(bits<__m256>(own)));
    }
#endif
    static constexpr int rows = parts * lanes;
    F32 coefficients_[parts][single_terms];
    std::int32_t first_;  // the exponent of the first row held
};

#elif defined(__x86_64__)

struct Window {
    explicit Window(float) {}

    template <typename Fma>
    static F32 horner(I32 exponent, F32 f, Fma& fma) {
        constexpr std::uint32_t row_bytes = sizeof single_table_in_double[0];
        const U32 at = bits<U32>(exponent - lowest_biased) * row_bytes;
        const double* row[lanes];
        for (int lane = 0; lane < lanes; ++lane)
            row[lane] = reinterpret_cast<const double*>(
                reinterpret_cast<const char*>(single_table_in_double) + at[lane]);
        const auto coefficient = [&](int term, int i) {
            return F64{row[2 * i][term], row[2 * i + 1][term]};
        };
        const Doubles x = to_doubles(f);
        Doubles value;
        for (int i = 0; i < Doubles::parts; ++i) value.part[i] = coefficient(single_terms - 1, i);
#pragma GCC unroll 8
        for (int term = single_terms - 2; term >= 0; --term)
            for (int i = 0; i < Doubles::parts; ++i)
                value.part[i] = fma(value.part[i], x.part[i], coefficient(term, i), i);
        return to_floats(value);
    }
};

#else

struct Window {
    explicit Window(float) {}

    static F32 horner(I32 exponent, F32 f, Exact fma) {
        const I32 row = exponent - lowest_biased;
        F32 coefficient[single_terms];
        for (int first = 0; first < single_terms; first += lanes) {
            for (int lane = 0; lane < lanes; ++lane)
                coefficient[first + lane] = load<F32>(single_table[row[lane]] + first);
            transpose<lanes>(coefficient + first);
        }
        F32 value = coefficient[single_terms - 1];
#pragma GCC unroll 8
        for (int term = single_terms - 2; term >= 0; --term) value = fma(value, f, coefficient[term]);
        return value;
    }
};

#endif

// z of the tail coordinate p in (0, 2**31] and the signed centre coordinate x.
template <typename Fma>
inline F32 quantile(const Window& window, F32 p, F32 x, Fma& fma) {
    p = least(p, F32{} + 0x1.fffffep30f);
    const U32 word = bits<U32>(p);
    const F32 f = bits<F32>((word & 0x7FFFFF) | 0x3F800000) - 1.5f;
    return x * window.horner(bits<I32>(word >> 23), f, fma);
}

// The polynomial with these coefficients at f, without fma; even and odd powers apart, which
// halves the chain of operations that wait for each other; the leading term last.
template <typename Coefficient>
inline F64 horner_even_odd(F64 f, Coefficient coefficient) {
    const F64 square = f * f;
    F64 odd = coefficient(double_terms - 1), even = coefficient(double_terms - 2);
#pragma GCC unroll 8
    for (int term = double_terms - 3; term > 1; term -= 2) {
        odd = odd * square + coefficient(term);
        even = even * square + coefficient(term - 1);
    }
    odd = odd * square + coefficient(1);
    return (even * f + odd) * f + coefficient(0);
}

// The polynomial of each lane's row of the table at f.
inline F64 horner_of_double_table(I64 row, F64 f) {
    const auto gather = [at = row * double_terms](int term) {
        const double* table = &double_table[0][term];
#if defined(__AVX512F__)
        return bits<F64>(_mm512_i64gather_pd(bits<__m512i>(at), table, 8));
#elif defined(__AVX2__)
        return bits<F64>(_mm256_i64gather_pd(table, bits<__m256i>(at), 8));
#else
        F64 value;
        for (int lane = 0; lane < wide_lanes; ++lane) value[lane] = table[at[lane]];
        return value;
#endif
    };
    return horner_even_odd(f, gather);
}

#if defined(__AVX512F__)  // only there does a permutation reach enough rows of doubles

// As Window: the last sixteen half octaves. One vector in thirty has a value outside.
class DoubleWindow {
  public:
    explicit DoubleWindow(double largest_p) {
        const auto half_octave = static_cast<std::int64_t>(bits<std::uint64_t>(largest_p) >> 51);
        first_ = half_octave - (1023 + lowest_exponent) * 2 - (rows - 1);
        if (first_ < 0) first_ = 0;
        for (int term = 0; term < double_terms; ++term)
            for (int lane = 0; lane < wide_lanes; ++lane) {
                low_[term][lane] = double_table[first_ + lane][term];
                high_[term][lane] = double_table[first_ + wide_lanes + lane][term];
            }
    }

    F64 horner(I64 row, F64 f) const {
        const I64 own = row - first_;
        if (__builtin_expect(_mm512_movepi64_mask(bits<__m512i>(own)) != 0, false))
            return horner_of_double_table(row, f);
        return horner_even_odd(f, [&](int term) { return coefficient(term, own); });
    }

  private:
    F64 coefficient(int term, I64 own) const {
        return bits<F64>(_mm512_permutex2var_pd(bits<__m512d>(low_[term]), bits<__m512i>(own),
                                                bits<__m512d>(high_[term])));
    }

    static constexpr int rows = 2 * wide_lanes;
    F64 low_[double_terms], high_[double_terms];
    std::int64_t first_;
};

#else

struct DoubleWindow {
    explicit DoubleWindow(double) {}
    static F64 horner(I64 row, F64 f) { return horner_of_double_table(row, f); }
};

#endif

// The same in double, p in (0, 2**63].
inline F64 quantile(const DoubleWindow& window, F64 p, F64 x) {
    p = least(p, F64{} + (0x1p63 - 0x1p10));
    const U64 word = bits<U64>(p);
    constexpr std::uint64_t one = 0x3FFull << 52;
    const F64 mantissa = bits<F64>((word & 0xFFFFFFFFFFFFFull) | one);
    const F64 middle = bits<F64>((word & (1ull << 51)) | (1ull << 50) | one);
    return x * window.horner(bits<I64>(word >> 51) - (1023 + lowest_exponent) * 2, mantissa - middle);
}

}  // namespace
}  // namespace fanin::FANIN_LEVEL
