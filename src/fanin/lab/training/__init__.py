"""Training: trials, alone, stacked or on a cluster, kept on disk."""
