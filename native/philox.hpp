// Philox4x32-10 (Salmon et al. 2011): the words of a stream. streams/_philox.py defines them.
#pragma once

#include "fanin.hpp"
#include "simd.hpp"

namespace fanin::FANIN_LEVEL {
namespace {

struct Key {
    std::uint64_t seed, stream;
};

// Words are held in the low halves of 64-bit lanes, one block a lane, with garbage above: a
// half-round is then one widening multiply, one shift and one three-way xor. Several vectors
// go in lockstep, because each half-round waits for the multiplication before it.
constexpr int lockstep = 4;
constexpr int blocks_at_once = lockstep * wide_lanes;
constexpr int words_at_once = 4 * blocks_at_once;

struct Blocks {
    U64 c0[lockstep], c1[lockstep], c2[lockstep], c3[lockstep];

    void encrypt(Key key) {
        std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
        std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32);
        const U64 m0 = U64{} + 0xD2511F53u, m1 = U64{} + 0xCD9E8D57u;
        for (int v = 0; v < lockstep; ++v) {
            c2[v] = U64{} + (key.stream & 0xFFFFFFFF);
            c3[v] = U64{} + (key.stream >> 32);
        }
#pragma GCC unroll 10
        for (int round = 0; round < 10; ++round) {
            const U64 key0 = U64{} + k0, key1 = U64{} + k1;
#pragma GCC unroll 8
            for (int v = 0; v < lockstep; ++v) {
                const U64 p0 = multiply_low_halves(c0[v], m0);
                const U64 p1 = multiply_low_halves(c2[v], m1);
                c0[v] = (p1 >> 32) ^ c1[v] ^ key0;
                c2[v] = (p0 >> 32) ^ c3[v] ^ key1;
                c1[v] = p1;
                c3[v] = p0;
            }
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
    }

    // Counters are blocks; only their halves below bit 32 of c0 and c1 count.
    void set_block(int v, U64 block) {
        c0[v] = block;
        c1[v] = block >> 32;
    }
};

// Room for n words from any address: whole batches, and what lies before it in its block.
constexpr int word_room(int n) { return n + words_at_once + 4; }

// The n words from `address` on. They begin inside `room`, at the pointer returned. `work(done)`
// is called for every batch, after `done` words.
template <typename Work>
inline const std::uint32_t* words_run(Key key, std::uint64_t address, std::int64_t n,
                                      std::uint32_t* room, Work work) {
    const std::int64_t skip = static_cast<std::int64_t>(address & 3);
    U64 block = U64{} + (address >> 2);
    for (int lane = 0; lane < wide_lanes; ++lane) block[lane] += static_cast<std::uint64_t>(lane);
    for (std::int64_t done = 0; done < skip + n; done += words_at_once) {
        Blocks blocks;
        for (int v = 0; v < lockstep; ++v) {
            blocks.set_block(v, block);
            block += wide_lanes;
        }
        blocks.encrypt(key);
        work(done);
        for (int v = 0; v < lockstep; ++v) {
            const U64 low = U64{} + 0xFFFFFFFF;
            const U64 w01 = (blocks.c0[v] & low) | (blocks.c1[v] << 32);
            const U64 w23 = (blocks.c2[v] & low) | (blocks.c3[v] << 32);
            std::uint32_t* to = room + done + 4 * wide_lanes * v;
            store(to, zip_low(w01, w23));
            store(to + 2 * wide_lanes, zip_high(w01, w23));
        }
    }
    return room + skip;
}

// The words at n addresses of any kind, a block each.
inline void words_at(Key key, const std::uint64_t* addresses, std::int64_t n, std::uint32_t* words) {
    for (std::int64_t done = 0; done < n; done += blocks_at_once) {
        std::uint64_t address[blocks_at_once] = {};
        const std::int64_t some = n - done < blocks_at_once ? n - done : blocks_at_once;
        std::memcpy(address, addresses + done, static_cast<std::size_t>(some) * sizeof *address);
        Blocks blocks;
        for (int v = 0; v < lockstep; ++v)
            blocks.set_block(v, load<U64>(address + wide_lanes * v) >> 2);
        blocks.encrypt(key);
        const U64* const word[4] = {blocks.c0, blocks.c1, blocks.c2, blocks.c3};
        for (int i = 0; i < some; ++i) {
            const U64 chosen = word[address[i] & 3][i / wide_lanes];
            words[done + i] = static_cast<std::uint32_t>(chosen[i % wide_lanes]);
        }
    }
}

}  // namespace
}  // namespace fanin::FANIN_LEVEL
