"""Doors: what a library stores its arrays in, a model of it as a Program, and the way back."""
