// Which levels there are, and the threads that share a draw.
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
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

// Tiles whose pages are mapped at once: of float32, 1 MiB, which stays in the second-level cache.
constexpr std::int64_t tiles_at_once = 128;

// Ask for the pages of some tiles at once, where a fault for each costs more; their contents stay.
// Where the system cannot, they are mapped as they are written, as ever.
#if defined(__linux__)
void map_pages(const Draw& draw, const Tiling& tiling, std::int64_t first, std::int64_t last) {
#if !defined(MADV_POPULATE_WRITE)
    constexpr int MADV_POPULATE_WRITE = 23;  // Linux 5.14
#endif
    static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const std::int64_t tile = tiling.columns * static_cast<std::int64_t>(size_of(draw.encoding));
    const std::int64_t end = std::min(last * tiling.columns, tiling.values) *
                             static_cast<std::int64_t>(size_of(draw.encoding));
    const auto low = reinterpret_cast<std::uintptr_t>(tiling.out + first * tile) / page * page;
    const auto high = reinterpret_cast<std::uintptr_t>(tiling.out + end);
    madvise(reinterpret_cast<void*>(low), high - low, MADV_POPULATE_WRITE);
}
#else
void map_pages(const Draw&, const Tiling&, std::int64_t, std::int64_t) {}
#endif

// Whether tiles lie one behind the other in memory.
bool lies_in_a_row(const Draw& draw, const Tiling& tiling) {
    return tiling.axes.size == 1 &&
           tiling.axes.list[0].stride == static_cast<std::int64_t>(size_of(draw.encoding));
}

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

void fill(const Level& level, const Draw* draws, std::size_t count, int threads, bool fresh) {
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
            if (j == shares) return std::numeric_limits<double>::infinity();  // whatever was rounded
            return static_cast<double>(values) * static_cast<double>(j) / static_cast<double>(shares);
        };
        double start = edge(i), end = edge(i + 1);
        for (std::size_t number = 0; number < count; ++number) {
            const Tiling& tiling = tilings[number];
            if (tiling.values == 0) continue;
            const std::int64_t last = tiles_before(tiling, end);
            const bool maps =
                fresh && tiling.count >= tiles_at_once && lies_in_a_row(draws[number], tiling);
            const std::int64_t step = maps ? tiles_at_once : tiling.count;
            for (std::int64_t first = tiles_before(tiling, start); first < last; first += step) {
                const std::int64_t next = std::min(first + step, last);
                if (maps) map_pages(draws[number], tiling, first, next);
                level.fill_tiles(draws[number], tiling, first, next,
                                 scratch.get() + scratch_size * static_cast<std::size_t>(i));
            }
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
