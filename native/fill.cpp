// Which levels there are, and the threads that share a draw.
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <memory>
#include <system_error>
#include <thread>

#include "fanin.hpp"

namespace fanin {

#if defined(__x86_64__)
namespace x86_64 { void fill_tiles(const Draw&, const Tiling&, std::int64_t, std::int64_t, char*); }
namespace x86_64_v3 { void fill_tiles(const Draw&, const Tiling&, std::int64_t, std::int64_t, char*); }
namespace x86_64_v4 { void fill_tiles(const Draw&, const Tiling&, std::int64_t, std::int64_t, char*); }
#elif defined(__aarch64__)
namespace aarch64 { void fill_tiles(const Draw&, const Tiling&, std::int64_t, std::int64_t, char*); }
#endif

namespace {

bool always() { return true; }

#if defined(__x86_64__)
// The features that CMakeLists.txt turns on for the level, and nothing that it does not, where the
// system keeps the registers that they use. Asked of the CPU itself: __builtin_cpu_supports answers
// no to everything with the run-time library of zig's Clang, which makes the wheels.
struct Features {
    bool v3 = false, v4 = false;

    Features() {
        unsigned eax, ebx, basic, edx, extended, ecx, kept, kept_high;
        if (!__get_cpuid(1, &eax, &ebx, &basic, &edx) || !(basic & bit_OSXSAVE) ||
            !__get_cpuid_count(7, 0, &eax, &extended, &ecx, &edx))
            return;
        asm volatile("xgetbv" : "=a"(kept), "=d"(kept_high) : "c"(0));
        const auto all = [](unsigned word, unsigned wanted) { return (word & wanted) == wanted; };
        v3 = all(basic, bit_AVX | bit_FMA | bit_F16C) && all(extended, bit_AVX2) && all(kept, 0x6);
        v4 = v3 && all(kept, 0xE6) &&
             all(extended, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL);
    }
};
bool has_v3() { return Features().v3; }
bool has_v4() { return Features().v4; }
constexpr Level all_levels[] = {
    {"x86-64-v4", has_v4, x86_64_v4::fill_tiles},
    {"x86-64-v3", has_v3, x86_64_v3::fill_tiles},
    {"x86-64", always, x86_64::fill_tiles},
};
#elif defined(__aarch64__)
constexpr Level all_levels[] = {{"aarch64", always, aarch64::fill_tiles}};
#endif

// Below this a thread costs more than it saves.
constexpr std::int64_t values_per_thread = 1 << 17;

// How many of a draw's tiles lie before a part of its values; at most all of them.
std::int64_t tiles_before(const Tiling& tiling, double values) {
    const double part = values / static_cast<double>(tiling.values);
    return static_cast<std::int64_t>(std::clamp(part, 0.0, 1.0) * static_cast<double>(tiling.count));
}

}  // namespace

const std::vector<Level>& levels() {
    static const std::vector<Level> found = [] {
        std::vector<Level> supported;
        for (const Level& level : all_levels)
            if (level.supported()) supported.push_back(level);
        return supported;
    }();
    return found;
}

void fill(const Level& level, const Draw* draws, std::size_t count, int threads) {
    std::vector<Tiling> tilings;
    tilings.reserve(count);
    std::int64_t values = 0;
    std::size_t scratch_size = 0;
    for (const Draw* draw = draws; draw != draws + count; ++draw) {
        const Tiling& tiling = tilings.emplace_back(tile(*draw));
        values += tiling.values;
        scratch_size = std::max(scratch_size, static_cast<std::size_t>(tiling.rows * tiling.columns) *
                                                  size_of(draw->encoding));
    }
    if (values == 0) return;
    const std::int64_t useful = std::max<std::int64_t>(1, values / values_per_thread);
    const std::int64_t shares = std::min<std::int64_t>(threads, useful);
    // Before the first thread: where there is no memory, nothing has been written.
    const std::unique_ptr<char[]> scratch(
        new char[scratch_size * static_cast<std::size_t>(shares)]);
    // Share i writes the i-th part of all values, in whole tiles.
    const auto share = [&](std::int64_t i) {
        const auto edge = [&](std::int64_t j) {
            return static_cast<double>(values) * static_cast<double>(j) / static_cast<double>(shares);
        };
        double start = edge(i), end = edge(i + 1);
        for (std::size_t number = 0; number < count; ++number) {
            const Tiling& tiling = tilings[number];
            if (tiling.values == 0) continue;
            const std::int64_t first = tiles_before(tiling, start), last = tiles_before(tiling, end);
            if (first < last)
                level.fill_tiles(draws[number], tiling, first, last,
                                 scratch.get() + scratch_size * static_cast<std::size_t>(i));
            start -= static_cast<double>(tiling.values);
            end -= static_cast<double>(tiling.values);
        }
    };
    // Threads are made for the call and end with it, so that a fork never finds half a pool.
    std::vector<std::thread> helpers;
    std::int64_t started = 1;
    try {
        helpers.reserve(static_cast<std::size_t>(shares - 1));
        for (; started < shares; ++started) helpers.emplace_back(share, started);
    } catch (const std::system_error&) {
        // No more threads to be had: this one does what is left.
    }
    share(0);
    for (std::int64_t i = started; i < shares; ++i) share(i);
    for (std::thread& helper : helpers) helper.join();
}

}  // namespace fanin
