"""Observation: one real run of a program, with the size of every activation and gradient."""
