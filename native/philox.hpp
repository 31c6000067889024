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

constexpr int vector_words = 4 * wide_lanes;  // of the blocks in one vector

// Rows of n words each; row r begins at address + r * step.
struct WordRows {
    std::uint64_t address, step;
    std::int64_t rows, n;

    std::int64_t skip(std::int64_t row) const {  // words of the row's first block before the row
        return static_cast<std::int64_t>((address + static_cast<std::uint64_t>(row) * step) & 3);
    }
    std::int64_t vectors() const {  // of a row; rows of even blocks all skip the same
        const std::int64_t most_skipped = (step & 3) && rows > 1 ? 3 : skip(0);
        return (most_skipped + n + vector_words - 1) / vector_words;
    }
    std::int64_t room() const { return vectors() * vector_words; }
};

// Make the rows' words: those of row r from `to` + r * rows.room() + rows.skip(r) on. Vectors of
// several rows share a batch, so that short rows waste little. `work(done)` is called for
// every batch, after `done` words.
template <typename Work>
inline void make_words(Key key, const WordRows& rows, std::uint32_t* to, Work work) {
    U64 lane_numbers;
    for (int lane = 0; lane < wide_lanes; ++lane) lane_numbers[lane] = static_cast<unsigned>(lane);
    const U64 low_half = U64{} + 0xFFFFFFFF;
    const std::int64_t vectors = rows.vectors(), total = rows.rows * vectors;
    std::int64_t row = 0, vector = 0;
    U64 block = lane_numbers + (rows.address >> 2);
    for (std::int64_t done = 0; done < total; done += lockstep) {
        Blocks blocks;
        for (int v = 0; v < lockstep; ++v) {
            blocks.set_block(v, block);
            block += wide_lanes;
            if (++vector == vectors) {
                vector = 0;
                ++row;
                const auto next = rows.address + static_cast<std::uint64_t>(row) * rows.step;
                block = lane_numbers + (next >> 2);
            }
        }
        blocks.encrypt(key);
        work(done * vector_words);
        // A row's vectors follow each other, and so do the rows: the last batch may run over.
        for (int v = 0; v < lockstep; ++v) {
            const U64 w01 = (blocks.c0[v] & low_half) | (blocks.c1[v] << 32);
            const U64 w23 = (blocks.c2[v] & low_half) | (blocks.c3[v] << 32);
            std::uint32_t* const at = to + (done + v) * vector_words;
            store(at, zip_low(w01, w23));
            store(at + vector_words / 2, zip_high(w01, w23));
        }
    }
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
