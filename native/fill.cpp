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
constexpr std::int64_t tiles_per_thread = 64;

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

void fill(const Level& level, const Draw& draw, int threads) {
    const Tiling tiling = tile(draw);
    if (tiling.count == 0) return;
    const std::int64_t useful = std::max<std::int64_t>(1, tiling.count / tiles_per_thread);
    const std::int64_t shares = std::min<std::int64_t>(threads, useful);
    // Before the first thread: where there is no memory, nothing has been written.
    const std::size_t scratch_size =
        static_cast<std::size_t>(tiling.rows * tiling.columns) * size_of(draw.encoding);
    const std::unique_ptr<char[]> scratch(
        new char[scratch_size * static_cast<std::size_t>(shares)]);
    const auto share = [&](std::int64_t i) {
        level.fill_tiles(draw, tiling, tiling.count * i / shares, tiling.count * (i + 1) / shares,
                         scratch.get() + scratch_size * static_cast<std::size_t>(i));
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
