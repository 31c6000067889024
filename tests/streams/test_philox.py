"""The words are Philox4x32-10's, at the address that the contract gives."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin import Stream
from fanin.streams import backends, use_backend
from fanin.streams._backends import current_fill
from fanin.streams._philox import philox4x32

GOLDEN = Path(__file__).parents[1] / "golden" / "philox4x32_10.txt"
KNOWN = [
    [int(word, 16) for word in line.split()[2:]]
    for line in GOLDEN.read_text().splitlines()
    if line.startswith("philox4x32 10 ")
]
WORD = st.integers(0, 2**32 - 1)


def block(counter: list[int], key: list[int]) -> list[int]:
    """The four words of the reference's philox4x32."""
    words = philox4x32(tuple(np.array([word], np.uint64) for word in counter), (key[0], key[1]))
    return [int(word[0]) for word in words]


def filled(counter: list[int], key: list[int]) -> list[int]:
    """The same four words, asked of the current back end by their addresses."""
    first, stream = counter[0] | counter[1] << 32, counter[2] | counter[3] << 32
    out = np.empty(4, np.uint32)
    seed = key[0] | key[1] << 32
    current_fill()(out, "uint32", 4 * first, (1,), seed, (stream, stream), "words", (), 1)
    return out.tolist()


def test_the_file_holds_the_three_published_answers() -> None:
    assert len(KNOWN) == 3


@pytest.mark.parametrize("known", KNOWN)
def test_the_definition_gives_random123s_answers(known: list[int]) -> None:
    assert block(known[:4], known[4:6]) == known[6:]


# Addresses have 64 bits and a block has four of them, so blocks from 2**62 on, such as those
# of two of the known answers, are out of a fill's reach. What is in reach is compared with
# the definition, which the test above holds against the answers.
def test_a_fill_gives_the_known_answer_in_its_reach(backend: str) -> None:
    reachable = [known for known in KNOWN if known[1] < 2**30]
    assert len(reachable) == 1
    for known in reachable:
        assert filled(known[:4], known[4:6]) == known[6:]


@pytest.mark.parametrize("known", KNOWN)
def test_a_fill_agrees_near_the_other_known_answers(backend: str, known: list[int]) -> None:
    counter = [known[0], known[1] % 2**30, *known[2:4]]
    assert filled(counter, known[4:6]) == block(counter, known[4:6])


@given(
    st.tuples(WORD, st.integers(0, 2**30 - 1), WORD, WORD).map(list),
    st.tuples(WORD, WORD).map(list),
)
def test_a_fill_of_any_block_agrees_with_the_definition(counter: list[int], key: list[int]) -> None:
    expected = block(counter, key)
    for name in backends():
        with use_backend(name):
            assert filled(counter, key) == expected, name


@given(st.integers(0, 2**64 - 1), st.text(min_size=1), st.integers(0, 2**64 - 1))
def test_a_word_is_where_the_contract_says(seed: int, name: str, address: int) -> None:
    name = name.replace("\0", "0")
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return
    digest = hashlib.blake2b(encoded, digest_size=8, person=b"fanin-v1").digest()
    h, b = int.from_bytes(digest, "little"), address // 4
    counter = [b % 2**32, b >> 32, h % 2**32, h >> 32]
    expected = block(counter, [seed % 2**32, seed >> 32])[address % 4]
    assert Stream(seed, name).words(1, address)[0] == expected


def test_the_last_words_of_all_can_be_drawn(backend: str) -> None:
    stream = Stream(3, "a")
    assert stream.words(5, 2**64 - 5)[4] == stream.words(1, 2**64 - 1)[0]
    assert stream.words(0, 2**64).shape == (0,)


def test_words_do_not_depend_on_where_a_draw_starts(backend: str) -> None:
    stream = Stream(2**64 - 1, "a")
    whole = stream.words(5000, 2**34 - 1000)
    for start in (0, 1, 2, 3, 4, 127, 128, 129, 2047, 2049, 4999):
        for count in (0, 1, 5, 130, 2048):
            part = stream.words(min(count, 5000 - start), 2**34 - 1000 + start)
            assert np.array_equal(part, whole[start : start + count])


def test_numpy_integers_are_integers(backend: str) -> None:
    plain = Stream(5, "a").words(3, 7)
    numpy = Stream(np.uint64(5), "a").words(np.int64(3), np.int64(7))
    assert np.array_equal(plain, numpy)
