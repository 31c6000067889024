"""The module tree: names, layers and roles of parameters, without a run."""
