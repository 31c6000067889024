// The kernel's interface: what to draw, and where to write it. No Python here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fanin {

enum class Kind { words, uniform, normal, truncated_normal };
enum class Encoding { uint32, float32, float64, bfloat16, float16 };

// static, like all that kernels call: each level keeps its own copy.
static constexpr std::size_t size_of(Encoding encoding) {
    switch (encoding) {
        case Encoding::float64: return 8;
        case Encoding::bfloat16:
        case Encoding::float16: return 2;
        default: return 4;
    }
}

// How many parts of this size hold `count`, the last one perhaps not full.
static constexpr std::int64_t parts(std::int64_t count, std::int64_t size) {
    return (count + size - 1) / size;
}

// One axis of the output: element j has the address step * j and lies stride * j bytes on.
struct Axis {
    std::int64_t count;
    std::int64_t step;
    std::int64_t stride;
};

// As many as NumPy has. Not a std::vector: the kernels of all levels use this, and an inline
// function that one of them shares with the rest of the program could be linked from the wrong
// level.
struct Axes {
    static constexpr int most = 64;
    Axis list[most];
    int size = 0;

    void add(Axis axis) { list[size++] = axis; }
};

struct Draw {
    char* out;
    Encoding encoding;
    std::uint64_t base;
    Axes axes;
    std::uint64_t seed;
    std::uint64_t stream;  // the number of the name
    std::uint64_t low;     // the number of its child `low`: lower words of float64 draws
    Kind kind;
    double constants[8];  // as streams/_distributions.py gives them
};

// The tables of the normal quantile: rows of octaves (half octaves in float64), see
// tools/normal_tables.py.
constexpr int lowest_exponent = -120;
constexpr int single_terms = 8, double_terms = 16;
extern const float single_table[][single_terms];
extern const double single_table_in_double[][single_terms];
extern const double double_table[][double_terms];

// A tile is what one thread makes at a time: some rows, along the axis `across`, of some columns
// of a run. A run is the last axes together, over which addresses step evenly; their memory need
// not. Where memory runs along another axis (a transposed layout), rows are taken along that one.
struct Tiling {
    Axes axes;  // by falling step; the last one is the fastest; at least one
    std::uint64_t base;
    char* out;
    int run;     // the run's first axis
    int across;  // -1 where there is none
    bool transposed;
    std::int64_t run_length;
    std::int64_t columns, rows;  // of a whole tile
    std::int64_t count;          // of tiles
    std::int64_t values;
};
Tiling tile(const Draw& draw);
constexpr std::int64_t most_columns = 2048;

// The kernel, compiled once for every ISA level: write tiles [first, last). `scratch` has room for
// the values of a tile.
using FillTiles = void (*)(const Draw&, const Tiling&, std::int64_t first, std::int64_t last,
                           char* scratch);

struct Level {
    const char* name;
    bool (*supported)();
    FillTiles fill_tiles;
};
// The levels that this CPU runs, the fastest first.
const std::vector<Level>& levels();

// Fill the outputs of some draws with up to `threads` threads, which share all their values. Of
// `fresh` memory most pages were never touched.
void fill(const Level& level, const Draw* draws, std::size_t count, int threads, bool fresh);

}  // namespace fanin
