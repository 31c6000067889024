// The Python module fanin._native: two functions over the kernel.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

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

// Checked by streams/_stream.py; what is checked here keeps a mistake there from writing
// outside the array.
void fill(std::string_view level, nb::ndarray<nb::device::cpu> out, std::string_view encoding,
          std::uint64_t base, std::optional<nb::tuple> steps, std::uint64_t seed, nb::tuple streams,
          std::string_view kind, nb::tuple constants, int threads) {
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
    const fanin::Level& chosen = level_of(level);
    nb::gil_scoped_release release;
    fanin::fill(chosen, draw, threads);
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "The compiled kernel of fanin.streams; use fanin.Stream.";
    module.def("fill", &fill, nb::arg("level"), nb::arg("out"), nb::arg("encoding"), nb::arg("base"),
               nb::arg("steps").none(), nb::arg("seed"), nb::arg("streams"), nb::arg("kind"),
               nb::arg("constants"), nb::arg("threads"));
    module.def("levels", [] {
        std::vector<std::string_view> names;
        for (const fanin::Level& level : fanin::levels()) names.push_back(level.name);
        return names;
    });
}
