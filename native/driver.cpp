// Draws what files of requests ask for, at every level of this machine, and compares the bits.
// No Python: it runs where only the kernel can be built, such as under an emulator.
// tools/driver_requests.py writes the requests, one a line, and says what a line holds.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fanin.hpp"

namespace {

using Bits = std::vector<std::uint64_t>;

struct Request {
    fanin::Draw draw{};
    Bits expected;
};

template <typename Value, std::size_t N>
Value named(const std::pair<const char*, Value> (&table)[N], const std::string& name) {
    for (const auto& [key, value] : table)
        if (key == name) return value;
    throw std::runtime_error("unknown: " + name);
}

constexpr std::pair<const char*, fanin::Encoding> encodings[] = {
    {"uint32", fanin::Encoding::uint32},     {"float32", fanin::Encoding::float32},
    {"float64", fanin::Encoding::float64},   {"bfloat16", fanin::Encoding::bfloat16},
    {"float16", fanin::Encoding::float16},
};
constexpr std::pair<const char*, fanin::Kind> kinds[] = {
    {"words", fanin::Kind::words},
    {"uniform", fanin::Kind::uniform},
    {"normal", fanin::Kind::normal},
    {"truncated_normal", fanin::Kind::truncated_normal},
};

Request parse(const std::string& line) {
    Request request;
    fanin::Draw& draw = request.draw;
    std::istringstream in(line);
    std::string encoding, kind, token;
    in >> encoding >> draw.seed >> draw.stream >> draw.low >> draw.base >> kind;
    draw.encoding = named(encodings, encoding);
    draw.kind = named(kinds, kind);
    for (std::size_t i = 0; in >> token && token != ":"; ++i) {
        if (i == std::size(draw.constants)) throw std::runtime_error("too many constants");
        draw.constants[i] = std::strtod(token.c_str(), nullptr);  // reads hexadecimal floats
    }
    while (in >> token) request.expected.push_back(std::strtoull(token.c_str(), nullptr, 16));
    if (request.expected.empty()) throw std::runtime_error("nothing expected");
    return request;
}

// A way to lay the values out in memory: value j is written at index(j) of that many places.
enum class Layout { straight, backward_with_gaps, transposed };
constexpr Layout layouts[] = {Layout::straight, Layout::backward_with_gaps, Layout::transposed};

// The values as drawn into memory of that layout; false where a place beside them was written.
bool drawn(const fanin::Level& level, fanin::Draw draw, Layout layout, Bits& values) {
    const auto n = static_cast<std::int64_t>(values.size());
    const auto size = static_cast<std::int64_t>(fanin::size_of(draw.encoding));
    const std::int64_t rows = layout == Layout::transposed && n % 4 == 0 ? 4 : 1, columns = n / rows;
    const std::int64_t gap = layout == Layout::backward_with_gaps ? 3 : 1;
    std::vector<unsigned char> memory(static_cast<std::size_t>(n * gap * size) + 128, 0xA5);
    unsigned char* const start = memory.data() + 64;
    draw.out = reinterpret_cast<char*>(start);
    if (layout == Layout::backward_with_gaps) {
        draw.base += static_cast<std::uint64_t>(n - 1);
        draw.axes.add({n, -1, gap * size});
    } else {
        draw.axes.add({rows, columns, size});
        draw.axes.add({columns, 1, rows * size});
    }
    fanin::fill(level, &draw, 1, 3, false);
    for (std::int64_t j = 0; j < n; ++j) {
        const std::int64_t place = layout == Layout::backward_with_gaps
                                       ? (n - 1 - j) * gap
                                       : j % columns * rows + j / columns;
        std::uint64_t bits = 0;
        for (std::int64_t byte = size; byte-- > 0;) {
            unsigned char& stored = start[place * size + byte];
            bits = bits << 8 | stored;
            stored = 0xA5;
        }
        values[static_cast<std::size_t>(j)] = bits;
    }
    for (const unsigned char byte : memory)
        if (byte != 0xA5) return false;
    return true;
}

bool compare(const fanin::Level& level, const Request& request, const std::string& where) {
    bool same = true;
    for (const Layout layout : layouts) {
        Bits values(request.expected.size());
        std::size_t j = 0;
        const bool inside = drawn(level, request.draw, layout, values);
        while (j < values.size() && values[j] == request.expected[j]) ++j;
        if (j < values.size())
            std::printf("%s: %s, layout %d: value %zu is %llx, expected %llx\n", where.c_str(),
                        level.name, static_cast<int>(layout), j,
                        static_cast<unsigned long long>(values[j]),
                        static_cast<unsigned long long>(request.expected[j]));
        if (!inside)
            std::printf("%s: %s, layout %d: wrote beside the output\n", where.c_str(), level.name,
                        static_cast<int>(layout));
        same = same && inside && j == values.size();
    }
    return same;
}

}  // namespace

int main(int argc, char** argv) try {
    const auto& levels = fanin::levels();
    std::vector<long> failures(levels.size());
    long lines = 0, values = 0;
    for (int file = 1; file < argc; ++file) {
        std::ifstream in(argv[file]);
        if (!in) throw std::runtime_error(std::string("cannot read ") + argv[file]);
        std::string line;
        for (long number = 1; std::getline(in, line); ++number) {
            if (line.empty() || line[0] == '#') continue;
            const std::string where = std::string(argv[file]) + ":" + std::to_string(number);
            const Request request = parse(line);
            ++lines;
            values += static_cast<long>(request.expected.size());
            for (std::size_t i = 0; i < levels.size(); ++i)
                failures[i] += !compare(levels[i], request, where);
        }
    }
    long failed = lines == 0;
    for (std::size_t i = 0; i < levels.size(); ++i) {
        std::printf("%s: %ld lines, %ld values, each in %zu layouts: %ld lines differ\n",
                    levels[i].name, lines, values, std::size(layouts), failures[i]);
        failed += failures[i];
    }
    return failed != 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "driver: %s\n", error.what());
    return 2;
}
