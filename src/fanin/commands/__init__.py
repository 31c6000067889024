"""Commands of `fanin` that have a file of their own; each adds its parser with `add`."""
