"""Tree: names and roles of the arrays of a model, without a run."""
