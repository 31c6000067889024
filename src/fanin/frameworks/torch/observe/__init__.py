"""Observation: one real run, with the size of every activation and gradient."""
