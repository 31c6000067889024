"""What is outside of the rule in bench/zoo.py, and why: by model, so that a new one shows."""

# (outputs outside in train and eval mode together, reason)
OUTSIDE: dict[str, tuple[int, str]] = {}
# Gradients that differ by more than 20 along a stream or chain.
SPANS: dict[str, str] = {}
