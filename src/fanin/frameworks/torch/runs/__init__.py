"""Runs: a model is called, and is afterwards as it was."""
