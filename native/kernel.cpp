// The kernel of one ISA level: which transform makes the values of a draw from its words.
// CMakeLists.txt compiles this file once per level, with FANIN_LEVEL as the namespace.
#include <type_traits>

#include "distributions.hpp"
#include "fanin.hpp"
#include "tiles.hpp"

namespace fanin::FANIN_LEVEL {

namespace {

// Apply `values(i, n)` to all of [0, n) in vectors, the last one through a buffer: `to` gets
// exactly n values.
template <typename Vector, int width, typename Values>
void write_vectors(std::int64_t n, char* to, Values values) {
    constexpr std::size_t size = sizeof(Vector);
    std::int64_t i = 0;
    if constexpr (std::is_same_v<Vector, F64>) {
        // Doubles make long chains of operations; two at a time took 0.6 of the time for
        // truncated normals. For floats it made no difference, or a small loss.
        for (; i + 2 * width <= n; i += 2 * width, to += 2 * size) {
            const Vector first = values(i), second = values(i + width);
            store(to, first);
            store(to + size, second);
        }
    }
    for (; i + width <= n; i += width, to += size) store(to, values(i));
    if (i < n) {
        char last[size];
        store(last, values(i));
        std::memcpy(to, last, static_cast<std::size_t>(n - i) * (size / width));
    }
}

template <typename Single>
[[gnu::flatten]] void transform(const Single& shared, Encoding encoding, Words words, std::int64_t n, char* to) {
    const Single single = shared;  // a copy that no write can alias stays in registers
    const auto value = [&](std::int64_t i) { return value_of(single, load<U32>(words.high + i)); };
    if (encoding == Encoding::bfloat16)
        write_vectors<U16, lanes>(n, to, [&](std::int64_t i) { return to_bfloat16(value(i)); });
    else if (encoding == Encoding::float16)
        write_vectors<U16, lanes>(n, to, [&](std::int64_t i) { return to_float16(value(i)); });
    else
        write_vectors<F32, lanes>(n, to, value);
}

template <typename Double>
void transform_double(const Double& shared, Words words, std::int64_t n, char* to) {
    const Double twice = shared;
    write_vectors<F64, wide_lanes>(n, to, [&](std::int64_t i) {
        return twice(load<HalfU32>(words.high + i), load<HalfU32>(words.low + i));
    });
}

template <typename Transform>
void fill_with(const Draw& draw, const Tiling& tiling, std::int64_t first, std::int64_t last,
               char* scratch, const Transform& transform) {
    Tiles<Transform> tiles(draw, tiling, transform, scratch);
    for (std::int64_t number = first; number < last; ++number) tiles.fill(number);
}

template <typename Single, typename Double, typename Constants>
void fill_distribution(const Draw& draw, const Tiling& tiling, std::int64_t first,
                       std::int64_t last, char* scratch, const Constants& constants) {
    if (draw.encoding == Encoding::float64) {
        const Double twice(constants);
        fill_with(draw, tiling, first, last, scratch, [&](Words words, std::int64_t n, char* to) {
            transform_double(twice, words, n, to);
        });
    } else {
        const Single single(constants);
        fill_with(draw, tiling, first, last, scratch, [&](Words words, std::int64_t n, char* to) {
            transform(single, draw.encoding, words, n, to);
        });
    }
}

}  // namespace

void fill_tiles(const Draw& draw, const Tiling& tiling, std::int64_t first, std::int64_t last,
                char* scratch) {
    const DefaultFloats environment;
    switch (draw.kind) {
        case Kind::words:
            return fill_with(draw, tiling, first, last, scratch,
                             [](Words words, std::int64_t n, char* to) {
                                 std::memcpy(to, words.high,
                                             static_cast<std::size_t>(n) * sizeof *words.high);
                             });
        case Kind::uniform:
            return fill_distribution<SingleUniform, DoubleUniform>(draw, tiling, first, last, scratch,
                                                                   Uniform(draw.constants));
        case Kind::normal:
            return fill_distribution<SingleNormal, DoubleNormal>(draw, tiling, first, last, scratch,
                                                                 Normal(draw.constants));
        case Kind::truncated_normal: {
            const TruncatedNormal constants(draw.constants);
            if (constants.symmetric())
                return fill_distribution<SingleTruncatedNormal<true>, DoubleTruncatedNormal>(
                    draw, tiling, first, last, scratch, constants);
            return fill_distribution<SingleTruncatedNormal<false>, DoubleTruncatedNormal>(
                draw, tiling, first, last, scratch, constants);
        }
    }
}

}  // namespace fanin::FANIN_LEVEL
