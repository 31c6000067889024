"""Philox4x32-10 is that of three independent peers: `make test-peers`.

10**6 pairs of a counter and a key, each pair drawn at random by itself, are compared in all four
words with randomgen's Philox, TensorFlow's StatelessRandomUniformFullIntV2 and Triton's
philox_impl in Triton's interpreter: the definition over all 128 bits of the counter and 64 of
the key; every compiled level over what a fill can be asked for, which is all but the counter's
second word, below 2**30 there (addresses have 64 bits, and a block has four of them). A peer that
cannot be imported is an error, not a skip.
"""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from fanin.streams import backends, use_backend
from fanin.streams._backends import current_fill
from fanin.streams._philox import philox4x32

pytestmark = pytest.mark.peers

PAIRS = 10**6
PEERS = ("randomgen", "tensorflow", "triton")
RUN = """
import importlib, sys
import numpy as np
sys.path.insert(0, "")
module, folder = sys.argv[1:]
pairs = np.load(f"{folder}/pairs.npz")
words = importlib.import_module(module).words(pairs["arr_0"], pairs["arr_1"])
np.save(f"{folder}/words.npy", words)
"""
LEVELS = [name for name in backends() if name != "reference"]


@functools.cache
def pairs(in_reach: bool) -> tuple[np.ndarray, np.ndarray]:
    """Counters (n, 4) and keys (n, 2) in uint32."""
    generator = np.random.Generator(np.random.PCG64(20230411 + in_reach))
    counters = generator.integers(0, 2**32, (PAIRS, 4), np.uint32)
    if in_reach:
        counters[:, 1] >>= 2
    return counters, generator.integers(0, 2**32, (PAIRS, 2), np.uint32)


@functools.cache
def words_of_peer(peer: str, in_reach: bool) -> np.ndarray:
    """The (n, 4) words of peer_<peer>.py, a process of its own: two peers crash in one."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/pairs.npz", *pairs(in_reach))
        done = subprocess.run(
            [sys.executable, "-c", RUN, f"peer_{peer}", folder],
            cwd=Path(__file__).parent,
            env=os.environ | {"TRITON_INTERPRET": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        words: np.ndarray = np.load(f"{folder}/words.npy")
    return words


@functools.cache
def words_of_level(level: str) -> np.ndarray:
    counters, keys = pairs(in_reach=True)
    table = np.empty_like(counters)
    firsts = (4 * counters[:, :2].copy().view("<u8")[:, 0]).tolist()
    streams = counters[:, 2:].copy().view("<u8")[:, 0].tolist()
    seeds = keys.view("<u8")[:, 0].tolist()
    with use_backend(level):
        fill = current_fill()
        for row, first, stream, seed in zip(table, firsts, streams, seeds, strict=True):
            fill(row, "uint32", first, None, seed, (stream, stream), "words", (), 1)
    return table


def assert_same(words: np.ndarray, expected: np.ndarray) -> None:
    assert words.shape == expected.shape == (PAIRS, 4)
    different = np.flatnonzero((words != expected).any(axis=1))
    assert not len(different), f"{len(different)} pairs differ, the first is number {different[0]}"


@pytest.mark.parametrize("peer", PEERS)
def test_the_definition_gives_the_peers_words(peer: str) -> None:
    counters, keys = (array.T.astype(np.uint64) for array in pairs(in_reach=False))
    words = philox4x32(tuple(counters), (keys[0], keys[1]))  # arrays of keys work as well
    assert_same(np.stack(words, axis=1), words_of_peer(peer, in_reach=False))


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("level", LEVELS)
def test_every_level_gives_the_peers_words(level: str, peer: str) -> None:
    assert_same(words_of_level(level), words_of_peer(peer, in_reach=True))


def test_there_are_compiled_levels() -> None:
    assert LEVELS
