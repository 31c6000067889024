"""The trace: one program, as JAX writes it down, as a graph."""
