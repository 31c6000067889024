"""Digits: as many of a size as a plan tells, the same on every machine."""


def round_size(size: float) -> float:
    """Nine digits, which the last bits of an `exp` do not reach: they are others elsewhere."""
    return float(f"{size:.9g}")
