// The kernel of one ISA level: tiles of words, made into values, written where they belong.
// CMakeLists.txt compiles this file once per level, with FANIN_LEVEL as the namespace.
#include <type_traits>

#include "distributions.hpp"
#include "fanin.hpp"
#include "philox.hpp"

namespace fanin::FANIN_LEVEL {

namespace {

// Reads may run past the end of a row by less than a vector.
constexpr int room = word_room(static_cast<int>(tile_elements)) + lanes;

struct Words {
    const std::uint32_t* high;
    const std::uint32_t* low;  // of float64 draws only
};

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
void transform(const Single& shared, Encoding encoding, Words words, std::int64_t n, char* to) {
    const Single single = shared;  // a copy that no write can alias stays in registers
    const auto value = [&](std::int64_t i) { return single(load<U32>(words.high + i)); };
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

// Makes the words of tiles and writes them with `transform(words, n, to)`.
template <typename Transform>
class Tiles {
  public:
    Tiles(const Draw& draw, const Tiling& tiling, const Transform& transform)
        : draw_(draw), tiling_(tiling), transform_(transform), size_(size_of(draw.encoding)) {}

    void fill(std::int64_t number) {
        const int others = tiling_.axes.size - 1;
        const Axis& fastest = tiling_.axes.list[others];
        std::uint64_t address = tiling_.base;
        char* to = tiling_.out;
        // Take this tile's position along every axis out of its number, the fastest first.
        const auto enter = [&](const Axis& axis, std::int64_t size) {
            const std::int64_t parts = (axis.count + size - 1) / size;
            const std::int64_t start = number % parts * size;
            number /= parts;
            address += static_cast<std::uint64_t>(start * axis.step);
            to += start * axis.stride;
            return size < axis.count - start ? size : axis.count - start;
        };
        const std::int64_t columns = enter(fastest, tiling_.columns);
        std::int64_t rows = 1;
        Axis across{1, 0, 0};
        for (int axis = others - 1; axis >= 0; --axis) {
            const bool is_across = axis == tiling_.across;
            const std::int64_t taken = enter(tiling_.axes.list[axis], is_across ? tiling_.rows : 1);
            if (is_across) {
                rows = taken;
                across = tiling_.axes.list[axis];
            }
        }
        write(address, to, rows, across, columns, fastest);
    }

  private:
    // From here on a batch of philox, mostly unused, costs less than a block for every word.
    static constexpr std::int64_t long_run = words_at_once / 4;

    void write(std::uint64_t address, char* to, std::int64_t rows, const Axis& across,
               std::int64_t columns, const Axis& fastest) {
        const bool in_place = fastest.stride == static_cast<std::int64_t>(size_);
        const bool runs = fastest.step == 1 && columns >= long_run;
        if (runs) {
            for (std::int64_t r = 0; r < rows; ++r) {
                char* row = in_place ? to + r * across.stride
                                     : tile_ + static_cast<std::size_t>(r * columns) * size_;
                const std::uint64_t first = address + static_cast<std::uint64_t>(r * across.step);
                transform_(run(first, columns, row), columns, row);
            }
            if (in_place) return;
        } else {
            for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < columns; ++c)
                    addresses_[r * columns + c] =
                        address + static_cast<std::uint64_t>(r * across.step + c * fastest.step);
            transform_(scattered(rows * columns), rows * columns, tile_);
        }
        switch (size_) {
            case 2: return spread<std::uint16_t>(to, rows, across.stride, columns, fastest.stride);
            case 4: return spread<std::uint32_t>(to, rows, across.stride, columns, fastest.stride);
            default: return spread<std::uint64_t>(to, rows, across.stride, columns, fastest.stride);
        }
    }

    // The words of n values that will be written to `to`, which is fetched meanwhile: Philox
    // leaves the memory idle, and the burst of writes after it would wait for every line.
    Words run(std::uint64_t address, std::int64_t n, char* to) {
        const auto fetch = [to, size = static_cast<std::int64_t>(size_)](std::int64_t done) {
            for (std::int64_t line = done * size; line < (done + words_at_once) * size; line += 64)
                __builtin_prefetch(to + line, 1);
        };
        const std::uint32_t* high = words_run({draw_.seed, draw_.stream}, address, n, high_, fetch);
        if (draw_.encoding != Encoding::float64) return {high, nullptr};
        const auto nothing = [](std::int64_t) {};
        return {high, words_run({draw_.seed, draw_.low}, address, n, low_, nothing)};
    }

    Words scattered(std::int64_t n) {
        words_at({draw_.seed, draw_.stream}, addresses_, n, high_);
        if (draw_.encoding == Encoding::float64)
            words_at({draw_.seed, draw_.low}, addresses_, n, low_);
        return {high_, low_};
    }

    // Copy the tile to its strided place, along the shorter stride inside.
    template <typename Value>
    void spread(char* to, std::int64_t rows, std::int64_t row_stride, std::int64_t columns,
                std::int64_t column_stride) const {
        const auto copy = [&](std::int64_t r, std::int64_t c) {
            const auto from = static_cast<std::size_t>(r * columns + c) * sizeof(Value);
            std::memcpy(to + r * row_stride + c * column_stride, tile_ + from, sizeof(Value));
        };
        if (row_stride * row_stride < column_stride * column_stride) {
            for (std::int64_t c = 0; c < columns; ++c)
                for (std::int64_t r = 0; r < rows; ++r) copy(r, c);
        } else {
            for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < columns; ++c) copy(r, c);
        }
    }

    const Draw& draw_;
    const Tiling& tiling_;
    const Transform& transform_;
    const std::size_t size_;
    // Not cleared: words beyond the last make values that nobody keeps.
    alignas(64) std::uint32_t high_[room];
    alignas(64) std::uint32_t low_[room];
    alignas(64) char tile_[tile_elements * sizeof(double)];
    std::uint64_t addresses_[tile_elements];
};

template <typename Transform>
void fill_with(const Draw& draw, const Tiling& tiling, std::int64_t first, std::int64_t last,
               const Transform& transform) {
    Tiles<Transform> tiles(draw, tiling, transform);
    for (std::int64_t number = first; number < last; ++number) tiles.fill(number);
}

template <typename Single, typename Double, typename Constants>
void fill_distribution(const Draw& draw, const Tiling& tiling, std::int64_t first,
                       std::int64_t last, const Constants& constants) {
    if (draw.encoding == Encoding::float64) {
        const Double twice(constants);
        fill_with(draw, tiling, first, last, [&](Words words, std::int64_t n, char* to) {
            transform_double(twice, words, n, to);
        });
    } else {
        const Single single(constants);
        fill_with(draw, tiling, first, last, [&](Words words, std::int64_t n, char* to) {
            transform(single, draw.encoding, words, n, to);
        });
    }
}

}  // namespace

void fill_tiles(const Draw& draw, const Tiling& tiling, std::int64_t first, std::int64_t last) {
    const DefaultFloats environment;
    switch (draw.kind) {
        case Kind::words:
            return fill_with(draw, tiling, first, last, [](Words words, std::int64_t n, char* to) {
                std::memcpy(to, words.high, static_cast<std::size_t>(n) * sizeof *words.high);
            });
        case Kind::uniform:
            return fill_distribution<SingleUniform, DoubleUniform>(draw, tiling, first, last,
                                                                   Uniform(draw.constants));
        case Kind::normal:
            return fill_distribution<SingleNormal, DoubleNormal>(draw, tiling, first, last,
                                                                 Normal(draw.constants));
        case Kind::truncated_normal: {
            const TruncatedNormal constants(draw.constants);
            if (constants.symmetric())
                return fill_distribution<SingleTruncatedNormal<true>, DoubleTruncatedNormal>(
                    draw, tiling, first, last, constants);
            return fill_distribution<SingleTruncatedNormal<false>, DoubleTruncatedNormal>(
                draw, tiling, first, last, constants);
        }
    }
}

}  // namespace fanin::FANIN_LEVEL
