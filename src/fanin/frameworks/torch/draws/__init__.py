"""Draws: how a constructor made values, without memory, and the same done again from a stream."""
