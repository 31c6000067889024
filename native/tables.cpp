// The coefficient tables, from the files that the NumPy reference reads too.
#include "fanin.hpp"

namespace fanin {

// Kernels read a row at a time: a row never crosses a cache line in single precision.
alignas(64) const float single_table[][single_terms] = {
#include "normal_float32.inc"
};

// For the level that computes in double what it rounds to float.
alignas(64) const double single_table_in_double[][single_terms] = {
#include "normal_float32.inc"
};

alignas(64) const double double_table[][double_terms] = {
#include "normal_float64.inc"
};

}  // namespace fanin
