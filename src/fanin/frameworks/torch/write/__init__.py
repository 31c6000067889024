"""Writing: one parameter's slot, its shards and memory, and all of a model at once."""
