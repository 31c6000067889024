// Tiles: their words are made, transformed into values, and written where they belong.
#pragma once

#include "fanin.hpp"
#include "philox.hpp"

namespace fanin::FANIN_LEVEL {
namespace {

// The words of a group of a tile's rows: a batch may run over, and reads by less than a vector.
constexpr std::int64_t room = most_columns + 2 * words_at_once + lanes;

struct Words {
    const std::uint32_t* high;
    const std::uint32_t* low;  // of float64 draws only
};

// Makes the words of tiles and writes them with `transform(words, n, to)`.
template <typename Transform>
class Tiles {
  public:
    Tiles(const Draw& draw, const Tiling& tiling, const Transform& transform, char* scratch)
        : draw_(draw), tiling_(tiling), fastest_(tiling.axes.list[tiling.axes.size - 1]),
          transform_(transform), tile_(scratch), size_(size_of(draw.encoding)) {}

    void fill(std::int64_t number) {
        Tile tile{tiling_.base, tiling_.out, 0, tiling_.columns, 1, {1, 0, 0}};
        // This tile's positions are the digits of its number, the nearest in memory first.
        if (tiling_.transposed) enter_across(tile, number);
        tile.column = number % parts(tiling_.run_length, tiling_.columns) * tiling_.columns;
        number /= parts(tiling_.run_length, tiling_.columns);
        if (tiling_.run_length - tile.column < tile.columns)
            tile.columns = tiling_.run_length - tile.column;
        tile.address += static_cast<std::uint64_t>(tile.column * fastest_.step);
        if (!tiling_.transposed) enter_across(tile, number);
        for (int i = tiling_.run - 1; i >= 0; --i) {
            if (i == tiling_.across) continue;
            const Axis& axis = tiling_.axes.list[i];
            move(tile, axis, number % axis.count);
            number /= axis.count;
        }
        write(tile);
    }

  private:
    struct Tile {
        std::uint64_t address;  // of its first element
        char* to;               // where column 0 of its first row's whole run lies
        std::int64_t column, columns;
        std::int64_t rows;
        Axis across;
    };

    // From here on a vector of blocks, mostly unused, costs less than a block for every word.
    static constexpr std::int64_t long_run = vector_words / 4;

    static void move(Tile& tile, const Axis& axis, std::int64_t position) {
        tile.address += static_cast<std::uint64_t>(position * axis.step);
        tile.to += position * axis.stride;
    }
    void enter_across(Tile& tile, std::int64_t& number) const {
        if (tiling_.across < 0) return;
        tile.across = tiling_.axes.list[tiling_.across];
        const std::int64_t bands = parts(tile.across.count, tiling_.rows);
        const std::int64_t first = number % bands * tiling_.rows;
        number /= bands;
        move(tile, tile.across, first);
        const std::int64_t left = tile.across.count - first;
        tile.rows = left < tiling_.rows ? left : tiling_.rows;
    }

    void write(const Tile& tile) {
        const bool one_axis = tiling_.run == tiling_.axes.size - 1;
        const bool in_place = one_axis && fastest_.stride == static_cast<std::int64_t>(size_);
        const bool long_runs = fastest_.step == 1 && tile.columns >= long_run;
        if (long_runs && in_place) {
            char* first = tile.to + tile.column * fastest_.stride;
            return make_rows(tile, first, tile.across.stride, [&](const char* to, std::int64_t n) {
                fetch(to, n);
            });
        }
        find_offsets(tile);
        if (long_runs) {
            const auto size = static_cast<std::int64_t>(size_);
            ColumnsToFetch ahead{*this, tile};
            make_rows(tile, tile_, tile.columns * size, [&](const char*, std::int64_t) { ahead.fetch(); });
        } else {
            make_scattered(tile);
        }
        switch (size_) {
            case 2: return spread<std::uint16_t>(tile);
            case 4: return spread<std::uint32_t>(tile);
            default: return spread<std::uint64_t>(tile);
        }
    }

    // The values of every row, from `to` + row * stride on. `work(to, n)` is called for every
    // batch of a group of rows that begins at `to`, after n words.
    template <typename Work>
    void make_rows(const Tile& tile, char* to, std::int64_t stride, Work work) {
        const auto step = static_cast<std::uint64_t>(tile.across.step);
        WordRows group{tile.address, step, tile.rows, tile.columns};
        const std::int64_t most = most_columns / group.room();
        for (std::int64_t done = 0; done < tile.rows; done += group.rows) {
            group.address = tile.address + static_cast<std::uint64_t>(done) * step;
            group.rows = tile.rows - done < most ? tile.rows - done : most;
            if (group.rows < 1) group.rows = 1;
            make_words({draw_.seed, draw_.stream}, group, high_,
                       [&](std::int64_t n) { work(to + done * stride, n); });
            if (draw_.encoding == Encoding::float64)
                make_words({draw_.seed, draw_.low}, group, low_, [](std::int64_t) {});
            for (std::int64_t row = 0; row < group.rows; ++row) {
                const std::int64_t at = row * group.room() + group.skip(row);
                transform_(Words{high_ + at, low_ + at}, tile.columns, to + (done + row) * stride);
            }
        }
    }

    void make_scattered(const Tile& tile) {
        const std::int64_t most = most_columns / tile.columns;
        for (std::int64_t done = 0; done < tile.rows; done += most) {
            const std::int64_t rows = tile.rows - done < most ? tile.rows - done : most;
            const std::int64_t n = rows * tile.columns;
            for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < tile.columns; ++c)
                    addresses_[r * tile.columns + c] =
                        tile.address + static_cast<std::uint64_t>((done + r) * tile.across.step +
                                                                  c * fastest_.step);
            words_at({draw_.seed, draw_.stream}, addresses_, n, high_);
            if (draw_.encoding == Encoding::float64)
                words_at({draw_.seed, draw_.low}, addresses_, n, low_);
            char* to = tile_ + static_cast<std::size_t>(done * tile.columns) * size_;
            transform_(Words{high_, low_}, n, to);
        }
    }

    // The output is fetched while Philox runs, which leaves the memory idle: the burst of writes
    // after it would wait for every line.
    void fetch(const char* to, std::int64_t done) const {
        const auto size = static_cast<std::int64_t>(size_);
        for (std::int64_t byte = done * size; byte < (done + words_at_once) * size; byte += 64)
            __builtin_prefetch(to + byte, 1);
    }

    // The same for a transposed tile: a batch's share of its columns' lines, one after the other.
    struct ColumnsToFetch {
        const Tiles& tiles;
        const Tile& tile;
        std::int64_t column = 0, byte = 0;

        void fetch() {
            const auto size = static_cast<std::int64_t>(tiles.size_);
            if (tile.across.stride != size) return;  // its rows do not lie side by side
            for (int line = 0; line < words_at_once * size / 64 && column < tile.columns; ++line) {
                __builtin_prefetch(tile.to + tiles.offsets_[column] + byte, 1);
                byte += 64;
                if (byte >= tile.rows * size) {
                    byte = 0;
                    ++column;
                }
            }
        }
    };

    // Where the tile's columns lie in memory, counted from column 0 of the run.
    void find_offsets(const Tile& tile) {
        for (std::int64_t c = 0; c < tile.columns; ++c) {
            std::int64_t rest = tile.column + c, offset = 0;
            for (int i = tiling_.axes.size - 1; i > tiling_.run; --i) {
                offset += rest % tiling_.axes.list[i].count * tiling_.axes.list[i].stride;
                rest /= tiling_.axes.list[i].count;
            }
            offsets_[c] = offset + rest * tiling_.axes.list[tiling_.run].stride;
        }
    }

    // Copy the tile to its place: a transposed one in square blocks, whose columns are vectors.
    template <typename Value>
    void spread(const Tile& tile) const {
        constexpr std::int64_t side = register_bytes / static_cast<int>(sizeof(Value));
        std::int64_t rows = 0, columns = 0;  // done in blocks
        if (tile.across.stride == sizeof(Value)) {
            rows = tile.rows / side * side;
            columns = tile.columns / side * side;
        }
        for (std::int64_t c = 0; c < columns; c += side)
            for (std::int64_t r = 0; r < rows; r += side) spread_block<Value, side>(tile, r, c);
        for (std::int64_t r = 0; r < tile.rows; ++r)
            for (std::int64_t c = r < rows ? columns : 0; c < tile.columns; ++c)
                std::memcpy(tile.to + r * tile.across.stride + offsets_[c], made<Value>(tile, r, c),
                            sizeof(Value));
    }

    template <typename Value, int side>
    void spread_block(const Tile& tile, std::int64_t r, std::int64_t c) const {
        vector<Value, side> lines[side];
        for (int i = 0; i < side; ++i)
            lines[i] = load<vector<Value, side>>(made<Value>(tile, r + i, c));
        transpose<side>(lines);
        for (int i = 0; i < side; ++i)
            store(tile.to + offsets_[c + i] + r * static_cast<std::int64_t>(sizeof(Value)), lines[i]);
    }

    template <typename Value>
    const char* made(const Tile& tile, std::int64_t r, std::int64_t c) const {
        return tile_ + static_cast<std::size_t>(r * tile.columns + c) * sizeof(Value);
    }

    const Draw& draw_;
    const Tiling& tiling_;
    const Axis& fastest_;
    const Transform& transform_;
    char* const tile_;  // the values of a tile that cannot be made in place
    const std::size_t size_;
    // Not cleared: words beyond the last make values that nobody keeps.
    alignas(64) std::uint32_t high_[room];
    alignas(64) std::uint32_t low_[room];
    std::uint64_t addresses_[most_columns];
    std::int64_t offsets_[most_columns];
};

}  // namespace
}  // namespace fanin::FANIN_LEVEL
