// How a draw of any shape, slice and memory layout is cut into tiles.
#include <algorithm>
#include <cstdlib>

#include "fanin.hpp"

namespace fanin {
namespace {

// Axes in the order of their addresses, each with a positive step, neighbours merged where
// both addresses and memory run on.
Axes canonical(const Draw& draw, std::uint64_t& base, char*& out) {
    Axes sorted;
    for (int i = 0; i < draw.axes.size; ++i) {
        Axis axis = draw.axes.list[i];
        if (axis.count == 1) continue;
        if (axis.step < 0) {
            base += static_cast<std::uint64_t>(axis.step) * static_cast<std::uint64_t>(axis.count - 1);
            out += axis.stride * (axis.count - 1);
            axis.step = -axis.step;
            axis.stride = -axis.stride;
        }
        sorted.add(axis);
    }
    std::sort(sorted.list, sorted.list + sorted.size,
              [](const Axis& a, const Axis& b) { return a.step > b.step; });
    Axes merged;
    for (int i = 0; i < sorted.size; ++i) {
        const Axis& axis = sorted.list[i];
        Axis* outer = merged.size ? &merged.list[merged.size - 1] : nullptr;
        if (outer && outer->step == axis.step * axis.count &&
            outer->stride == axis.stride * axis.count) {
            *outer = {outer->count * axis.count, axis.step, axis.stride};
        } else {
            merged.add(axis);
        }
    }
    return merged;
}

// Shorter runs are joined with the next axis: the kernel makes words in batches.
constexpr std::int64_t short_run = 128;
// Straight tiles stay in the first-level cache. Transposed ones are written down their columns:
// far, for the memory's sake, and few columns at a time (docs/streams.md has what was tried).
constexpr std::int64_t straight_elements = 2048;
constexpr std::int64_t transposed_columns = 128, transposed_rows = 256;

// The axis along which memory runs: the one with the shortest stride, the fastest if in doubt.
int axis_of_memory(const Axes& axes) {
    int shortest = axes.size - 1;
    for (int axis = axes.size - 1; axis >= 0; --axis)
        if (std::abs(axes.list[axis].stride) < std::abs(axes.list[shortest].stride)) shortest = axis;
    return shortest;
}

}  // namespace

Tiling tile(const Draw& draw) {
    Tiling tiling{};
    tiling.base = draw.base;
    tiling.out = draw.out;
    for (int i = 0; i < draw.axes.size; ++i)
        if (draw.axes.list[i].count == 0) return tiling;
    tiling.axes = canonical(draw, tiling.base, tiling.out);
    tiling.values = 1;
    for (int i = 0; i < tiling.axes.size; ++i) tiling.values *= tiling.axes.list[i].count;
    if (tiling.axes.size == 0) tiling.axes.add({1, 1, 0});
    const Axis* axes = tiling.axes.list;

    const int last = tiling.axes.size - 1, memory = axis_of_memory(tiling.axes);
    tiling.transposed = memory != last;
    tiling.run = last;
    tiling.run_length = axes[last].count;
    while (tiling.run_length < short_run && tiling.run > 0 && tiling.run - 1 != memory &&
           axes[tiling.run - 1].step == axes[last].step * tiling.run_length)
        tiling.run_length *= axes[--tiling.run].count;
    // (memory < run: nothing before it was passed.)
    tiling.across = tiling.transposed ? memory : tiling.run - 1;

    tiling.columns = std::min(tiling.run_length, tiling.transposed ? transposed_columns : most_columns);
    tiling.count = parts(tiling.run_length, tiling.columns);
    tiling.rows = 1;
    for (int axis = 0; axis < tiling.run; ++axis) {
        const std::int64_t size = axes[axis].count;
        if (axis == tiling.across) {
            const std::int64_t elements =
                tiling.transposed ? transposed_columns * transposed_rows : straight_elements;
            tiling.rows = std::min(size, elements / tiling.columns);
            tiling.count *= parts(size, tiling.rows);
        } else {
            tiling.count *= size;
        }
    }
    return tiling;
}

}  // namespace fanin
