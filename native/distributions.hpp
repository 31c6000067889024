// From words to values. streams/_reference.py defines every step; names are the same.
#pragma once

#include "fanin.hpp"
#include "fma.hpp"
#include "quantile.hpp"
#include "simd.hpp"

namespace fanin::FANIN_LEVEL {
namespace {

// The constants of streams/_distributions.py, in its order, already rounded to the precision of
// the draw.
struct Uniform {
    double half, middle, low, high;
    explicit Uniform(const double* c) : half(c[0]), middle(c[1]), low(c[2]), high(c[3]) {}
};
struct Normal {
    double std, mean;
    explicit Normal(const double* c) : std(c[0]), mean(c[1]) {}
};
struct TruncatedNormal {
    double std, mean, width, below, above, shift, low, high;
    explicit TruncatedNormal(const double* c)
        : std(c[0]), mean(c[1]), width(c[2]), below(c[3]), above(c[4]), shift(c[5]), low(c[6]),
          high(c[7]) {}

    bool symmetric() const { return below == above && shift == 0; }

    // No tail is beyond the farther bound's, nor beyond the centre; a bit more for rounding.
    double largest_p(double scale) const {
        const double most = ((below < above ? below : above) + width * scale) * (1 + 0x1p-20);
        return most < scale / 2 ? most : (1 - 0x1p-24) * scale / 2;
    }
};

// In all lanes; -0.0 becomes 0.0.
inline F32 all(double value) { return F32{} + static_cast<float>(value); }
inline F64 all64(double value) { return F64{} + value; }

// ---- single precision: one word each -------------------------------------------------------

// Folded before rounding, so that draws are exactly antisymmetric in the words.
struct Folded {
    U32 sign;    // the sign bit, set below the centre
    U32 centre;  // steps from the centre
};
inline Folded fold(U32 word) {
    const U32 offset = word ^ 0x80000000;
    const U32 below = bits<U32>(bits<I32>(offset) >> 31);
    return {below & 0x80000000, offset ^ below};
}
inline F32 centre(Folded folded) {
    return bits<F32>(bits<U32>(to_float(folded.centre) + 0.5f) | folded.sign);
}

inline F32 tail(Folded folded) { return to_float(folded.centre ^ 0x7FFFFFFF) + 0.5f; }

struct SingleUniform {
    Factor half;
    Addend middle;
    F32 low, high;

    explicit SingleUniform(const Uniform& c)
        : half(all(c.half)), middle(all(c.middle)), low(all(c.low)), high(all(c.high)) {}

    template <typename Fma>
    F32 operator()(U32 word, Fma& fma) const {
        // Exact, as every step here is: (2k + 1 - 2**24) * 2**-24.
        const F32 x = to_float(word >> 8) * 0x1p-23f + (0x1p-24f - 1.0f);
        return least(greatest(fma(x, half, middle), low), high);
    }
};

struct SingleNormal {
    Factor std;
    Addend mean;
    Window window{0x1.fffffep30f};

    explicit SingleNormal(const Normal& c) : std(all(c.std)), mean(all(c.mean)) {}

    template <typename Fma>
    F32 operator()(U32 word, Fma& fma) const {
        const Folded folded = fold(word);
        return fma(quantile(window, tail(folded), centre(folded), fma), std, mean);
    }
};

template <bool symmetric>
struct SingleTruncatedNormal {
    Factor std, width;
    Addend mean, below, above, shift;
    F32 low, high;
    Window window;
    // ones - word is ~word, without what GCC makes of that on AVX-512: an instruction that waits for
    // the value before.
    U32 ones = ~U32{};

    explicit SingleTruncatedNormal(const TruncatedNormal& c)
        : std(all(c.std)), width(all(c.width)), mean(all(c.mean)), below(all(c.below)),
          above(all(c.above)), shift(all(c.shift)), low(all(c.low)), high(all(c.high)),
          window(static_cast<float>(c.largest_p(0x1p32))) {}

    template <typename Fma>
    F32 operator()(U32 word, Fma& fma) const {
        const Folded folded = fold(word);
        // Where it is symmetric, the nearer tail of the word is that of the draw: no need for both.
        const F32 p = symmetric ? fma(tail(folded), width, below)
                                : least(fma(to_float_full(word) + 0.5f, width, below),
                                        fma(to_float_full(ones - word) + 0.5f, width, above));
        const F32 z = quantile(window, p, fma(centre(folded), width, shift), fma);
        return least(greatest(fma(z, std, mean), low), high);
    }
};

// ---- double precision: a high and a low word each ------------------------------------------

inline F64 tail(HalfU32 high, HalfU32 low) {
    return to_double(high) * 0x1p32 + (to_double(low) + 0.5);
}
inline F64 centre(HalfU32 high, HalfU32 low) {
    const HalfU32 offset = high ^ 0x80000000;
    const HalfU32 below = bits<HalfU32>(bits<HalfI32>(offset) >> 31);
    const U64 sign = widen(below) << 63;
    return bits<F64>(bits<U64>(tail(offset ^ below, low ^ below)) | sign);
}

struct DoubleUniform {
    Uniform c;
    explicit DoubleUniform(const Uniform& constants) : c(constants) {}

    F64 operator()(HalfU32 high, HalfU32 low) const {
        const F64 k = to_double(high) * 0x1p21 + to_double(low >> 11);
        const F64 x = ((2.0 * k - 0x1p53) + 1.0) * 0x1p-53;
        return least(greatest(x * c.half + all64(c.middle), all64(c.low)), all64(c.high));
    }
};

struct DoubleNormal {
    Normal c;
    DoubleWindow window{0x1p63 - 0x1p10};

    explicit DoubleNormal(const Normal& constants) : c(constants) {}

    F64 operator()(HalfU32 high, HalfU32 low) const {
        const HalfU32 above = bits<HalfU32>(bits<HalfI32>(high) >> 31);
        const F64 p = tail(high ^ above, low ^ above);
        return quantile(window, p, centre(high, low)) * c.std + all64(c.mean);
    }
};

struct DoubleTruncatedNormal {
    TruncatedNormal c;
    DoubleWindow window;

    explicit DoubleTruncatedNormal(const TruncatedNormal& constants)
        : c(constants), window(constants.largest_p(0x1p64)) {}

    F64 operator()(HalfU32 high, HalfU32 low) const {
        const F64 p = least(tail(high, low) * c.width + c.below, tail(~high, ~low) * c.width + c.above);
        const F64 z = quantile(window, p, centre(high, low) * c.width + c.shift);
        return least(greatest(z * c.std + all64(c.mean), all64(c.low)), all64(c.high));
    }
};

}  // namespace
}  // namespace fanin::FANIN_LEVEL
