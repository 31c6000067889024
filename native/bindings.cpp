// The Python module fanin._native: a few functions over the kernel.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>

#include "fanin.hpp"

namespace nb = nanobind;

namespace {

template <typename Value, std::size_t N>
Value named(const std::pair<std::string_view, Value> (&table)[N], std::string_view name) {
    for (const auto& [key, value] : table)
        if (key == name) return value;
    throw std::invalid_argument("fanin._native: unknown " + std::string(name));
}

constexpr std::pair<std::string_view, fanin::Kind> kinds[] = {
    {"words", fanin::Kind::words},
    {"uniform", fanin::Kind::uniform},
    {"normal", fanin::Kind::normal},
    {"truncated_normal", fanin::Kind::truncated_normal},
};
constexpr std::pair<std::string_view, fanin::Encoding> encodings[] = {
    {"uint32", fanin::Encoding::uint32},     {"float32", fanin::Encoding::float32},
    {"float64", fanin::Encoding::float64},   {"bfloat16", fanin::Encoding::bfloat16},
    {"float16", fanin::Encoding::float16},
};

const fanin::Level& level_of(std::string_view name) {
    for (const fanin::Level& level : fanin::levels())
        if (level.name == name) return level;
    throw std::invalid_argument("fanin._native: this CPU has no level " + std::string(name));
}

using Array = nb::ndarray<nb::device::cpu>;

// Checked by streams/_stream.py; what is checked here keeps a mistake there from writing
// outside the array.
fanin::Draw read_draw(const Array& out, std::string_view encoding, std::uint64_t base,
                      const std::optional<nb::tuple>& steps, std::uint64_t seed,
                      const nb::tuple& streams, std::string_view kind, const nb::tuple& constants) {
    fanin::Draw draw{};
    draw.encoding = named(encodings, encoding);
    draw.kind = named(kinds, kind);
    if (out.itemsize() != fanin::size_of(draw.encoding) || (steps && out.ndim() != steps->size()) || streams.size() != 2 ||
        out.ndim() > fanin::Axes::most ||
        constants.size() > std::size(draw.constants))
        throw std::invalid_argument("fanin._native.fill: the array does not fit the draw");
    draw.out = static_cast<char*>(out.data());
    draw.base = base;
    draw.seed = seed;
    draw.stream = nb::cast<std::uint64_t>(streams[0]);
    draw.low = nb::cast<std::uint64_t>(streams[1]);
    for (std::size_t i = 0; i < constants.size(); ++i)
        draw.constants[i] = nb::cast<double>(constants[i]);
    const auto itemsize = static_cast<std::int64_t>(out.itemsize());
    std::int64_t row_major = 1;
    for (std::size_t i = out.ndim(); i-- > 0;) {
        const auto count = static_cast<std::int64_t>(out.shape(i));
        draw.axes.add({count, steps ? nb::cast<std::int64_t>((*steps)[i]) : row_major,
                       out.stride(i) * itemsize});
        row_major *= count;
    }
    return draw;
}

void fill(std::string_view level, Array out, std::string_view encoding, std::uint64_t base,
          std::optional<nb::tuple> steps, std::uint64_t seed, nb::tuple streams,
          std::string_view kind, nb::tuple constants, int threads) {
    const fanin::Draw draw = read_draw(out, encoding, base, steps, seed, streams, kind, constants);
    const fanin::Level& chosen = level_of(level);
    nb::gil_scoped_release release;
    fanin::fill(chosen, &draw, 1, threads, false);
}

// The arguments of one draw among many: those of `fill` that differ.
using Job = std::tuple<Array, std::string_view, std::uint64_t, std::optional<nb::tuple>, nb::tuple,
                       std::string_view, nb::tuple>;

void fill_many(std::string_view level, const std::vector<Job>& jobs, std::uint64_t seed,
               int threads, bool fresh) {
    std::vector<fanin::Draw> draws;
    draws.reserve(jobs.size());
    for (const auto& [out, encoding, base, steps, streams, kind, constants] : jobs)
        draws.push_back(read_draw(out, encoding, base, steps, seed, streams, kind, constants));
    const fanin::Level& chosen = level_of(level);
    nb::gil_scoped_release release;
    fanin::fill(chosen, draws.data(), draws.size(), threads, fresh);
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "The compiled kernel of fanin.streams; use fanin.Stream.";
    module.def("fill", &fill, nb::arg("level"), nb::arg("out"), nb::arg("encoding"), nb::arg("base"),
               nb::arg("steps").none(), nb::arg("seed"), nb::arg("streams"), nb::arg("kind"),
               nb::arg("constants"), nb::arg("threads"));
    module.def("fill_many", &fill_many, nb::arg("level"), nb::arg("jobs"), nb::arg("seed"),
               nb::arg("threads"), nb::arg("fresh"));
    module.def("levels", [] {
        std::vector<std::string_view> names;
        for (const fanin::Level& level : fanin::levels()) names.push_back(level.name);
        return names;
    });
}
