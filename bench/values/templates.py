"""NIST SP 800-22's test of non-overlapping templates (section 2.7), for all templates at once."""

import numpy as np
from scipy import stats

TEMPLATE = 9  # bits
BLOCKS = 8


def aperiodic_templates() -> list[int]:
    """The 148 patterns of nine bits that no shift lays upon themselves."""
    return [
        pattern
        for pattern in range(2**TEMPLATE)
        if all(
            pattern >> shift != pattern & (2 ** (TEMPLATE - shift) - 1)
            for shift in range(1, TEMPLATE)
        )
    ]


def non_overlapping_templates(bits: np.ndarray) -> np.ndarray:
    """A p-value for each template (section 2.7): of how often it is in each of eight blocks."""
    size = len(bits) // BLOCKS
    places = size - TEMPLATE + 1
    windows = np.zeros((BLOCKS, places), np.int64)
    for block, window in zip(bits.reshape(BLOCKS, size), windows, strict=True):
        for place in range(TEMPLATE):
            window += block[place : place + places].astype(np.int64) << (TEMPLATE - 1 - place)
    counts = np.array([np.bincount(window, minlength=2**TEMPLATE) for window in windows])
    mean = places / 2**TEMPLATE
    variance = size * (2.0**-TEMPLATE - (2 * TEMPLATE - 1) * 4.0**-TEMPLATE)
    squares = np.square(counts[:, aperiodic_templates()] - mean).sum(axis=0) / variance
    return stats.chi2.sf(squares, BLOCKS)
