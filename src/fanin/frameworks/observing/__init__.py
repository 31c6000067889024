"""Observing: what is told of a run's numbers, the same of every framework's."""
