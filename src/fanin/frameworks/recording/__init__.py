"""What tracers of all frameworks share: nodes, what tensors of a run are, where axes are."""
