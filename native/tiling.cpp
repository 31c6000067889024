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

std::int64_t parts(std::int64_t count, std::int64_t size) { return (count + size - 1) / size; }

}  // namespace

Tiling tile(const Draw& draw) {
    Tiling tiling{{}, draw.base, draw.out, -1, 1, 1, 1};
    for (int i = 0; i < draw.axes.size; ++i) {
        if (draw.axes.list[i].count == 0) {
            tiling.count = 0;
            return tiling;
        }
    }
    tiling.axes = canonical(draw, tiling.base, tiling.out);
    if (tiling.axes.size == 0) tiling.axes.add({1, 1, 0});
    const Axis* axes = tiling.axes.list;
    const int others = tiling.axes.size - 1;
    const Axis& fastest = axes[others];

    // Rows go along the next axis, or, where memory runs along another one (a transposed
    // layout), along that: then a tile is narrow, so that its writes fill cache lines.
    std::int64_t widest = tile_elements;
    if (others > 0) {
        tiling.across = others - 1;
        for (int axis = 0; axis < others; ++axis) {
            if (std::abs(axes[axis].stride) < std::abs(axes[tiling.across].stride))
                tiling.across = axis;
        }
        if (std::abs(axes[tiling.across].stride) < std::abs(fastest.stride))
            widest = 64;
        else
            tiling.across = others - 1;
    }
    tiling.columns = std::min(fastest.count, widest);
    tiling.count = parts(fastest.count, tiling.columns);
    for (int axis = 0; axis < others; ++axis) {
        const std::int64_t size = axes[axis].count;
        if (axis == tiling.across) {
            tiling.rows = std::min(size, tile_elements / tiling.columns);
            tiling.count *= parts(size, tiling.rows);
        } else {
            tiling.count *= size;
        }
    }
    return tiling;
}

}  // namespace fanin
