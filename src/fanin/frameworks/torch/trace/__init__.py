"""The trace: one run on fake tensors, recorded as a graph."""
