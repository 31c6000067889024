"""`make proof-bits`: what it compares, how it counts, and that it finds a fault."""

import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from bench.values.bits import __main__ as bits
from bench.values.bits import counts, pieces, report, ways
from fanin.streams import _backends

pytestmark = pytest.mark.skipif(not ways.LEVELS, reason="there is the reference only")

SMALL = 2**11


@pytest.fixture(scope="module")
def comparisons() -> Iterator[dict[str, ways.Comparison]]:
    with ExitStack() as closing:
        made = ways.make_comparisons(closing)
        yield {name: replace(comparison, most=SMALL) for name, comparison in made.items()}


def compare(comparison: ways.Comparison, draw: str, number: int) -> counts.Count:
    count = counts.Count("a comparison", draw, "code")
    buffers = (np.empty(8 * SMALL, np.uint8), np.empty(8 * SMALL, np.uint8))
    for _ in range(number):
        bits.compare(count, comparison, buffers)
    return count


def test_every_way_draws_the_same_bits(comparisons: dict[str, ways.Comparison]) -> None:
    assert len(comparisons) == len(ways.LEVELS) + 6
    for comparison in comparisons.values():
        for draw in bits.DRAWS:
            count = compare(comparison, draw, 3)
            assert count.pieces == 3
            assert count.elements > 0
            assert (count.differences, count.first) == (0, None)


def make(number: int, totals: tuple[int, int] = ways.FAR, least_axes: int = 1) -> pieces.Piece:
    return pieces.make_piece(Random(number), "normal", "float32", totals, SMALL, least_axes)


def test_pieces_are_of_any_shape_and_as_far_out_as_asked() -> None:
    made = [make(number) for number in range(300)]
    assert {len(piece.shape) for piece in made} == {1, 2, 3, 4}
    assert all(ways.FAR[0] / 2 < math.prod(piece.shape) < 2 * ways.FAR[1] for piece in made)
    assert all(1 <= math.prod(piece.counts) <= SMALL for piece in made)
    steps = {part.step for piece in made for part in piece.ranges if len(part) > 1}
    assert {-1, 1, 2, 3} <= steps
    carries = [piece for piece in made if len(piece.shape) == 1 for part in piece.ranges
               if part[0] // pieces.CARRY < part[-1] // pieces.CARRY]  # fmt: skip
    assert len(carries) > 10
    assert {len(make(number, least_axes=2).shape) for number in range(50)} == {2, 3, 4}


def test_an_address_is_the_row_major_index() -> None:
    for number in range(50):
        piece = make(number, totals=(2**12, 2**20))
        whole = np.arange(math.prod(piece.shape)).reshape(piece.shape)
        part = whole[pieces.to_index(piece.ranges)]
        assert part.shape == piece.counts
        assert [piece.address(place) for place in range(0, part.size, 97)] == [
            int(address) for address in part.ravel()[::97]
        ]


def test_slices_are_a_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        piece, drawn = make(number), []
        monkeypatch.setattr(
            pieces.Piece, "draw", lambda self, ranges, out, drawn=drawn: drawn.append(ranges)
        )
        ways.in_slices(piece, np.empty(piece.counts, np.float32), Random(number))
        assert len(drawn) > 1
        sizes = [math.prod(map(len, ranges)) for ranges in drawn]
        assert sum(sizes) == math.prod(piece.counts)
        assert min(sizes) > 0


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second level flips the lowest bit of the last value of every draw."""
    level = ways.LEVELS[-1]
    if level == ways.LEVELS[0]:
        pytest.skip("this machine has one level")
    right = _backends._BACKENDS[level]

    def fill(out: np.ndarray, *arguments: Any) -> None:
        right(out, *arguments)
        last = (-1,) * out.ndim
        out.view(f"uint{8 * out.itemsize}")[last] ^= 1

    monkeypatch.setitem(_backends._BACKENDS, level, fill)


@pytest.mark.usefixtures("faulty")
def test_a_flipped_bit_is_counted_and_placed(comparisons: dict[str, ways.Comparison]) -> None:
    comparison = comparisons[f"{ways.LEVELS[0]} and {ways.LEVELS[-1]}"]
    count = compare(comparison, "uniform float16", 5)
    assert count.differences == 5
    piece = pieces.make_piece(
        Random("a comparison, uniform float16, 0"),
        *("uniform", "float16", comparison.totals, SMALL, 1),
    )
    first = count.first
    assert first is not None
    assert first["piece"] == 0
    assert (first["seed"], first["name"]) == (piece.stream.seed, piece.stream.name)
    assert first["address"] == piece.address(math.prod(piece.counts) - 1)
    straight, other = (int(word, 16) for word in first["bits"])
    assert straight ^ other == 1


@pytest.mark.usefixtures("faulty")
def test_slices_by_a_faulty_level_are_found(comparisons: dict[str, ways.Comparison]) -> None:
    assert compare(comparisons["slices"], "normal float64", 10).differences > 0


def test_it_goes_on_where_it_was_stopped(
    comparisons: dict[str, ways.Comparison], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bits, "TURN", 0.001)
    monkeypatch.setattr(bits, "digest_of_code", lambda: "newer")
    some = {name: comparisons[name] for name in ("slices", "orders of axes")}
    path = tmp_path / "counts.jsonl"
    older = counts.Count("slices", bits.DRAWS[0], "older", 7, 700, 1, {"address": 3}, 1.0)
    seen = [[older]]
    counts.write(path, seen[0])
    for _ in range(2):
        bits.run(counts.read(path), some, path, time.monotonic() + 0.2)
        seen.append(counts.read(path))
    assert {count.key for count in seen[2] if count.code != "older"} == {
        (name, draw, "newer") for name in some for draw in bits.DRAWS
    }
    assert seen[2][0] == older
    for before, after in pairwise(seen):
        pieces_before = {count.key: count.pieces for count in before}
        assert all(count.pieces >= pieces_before.get(count.key, 0) for count in after)
        assert sum(count.pieces for count in after) > sum(pieces_before.values())
    for count in seen[2][1:]:
        sizes = [
            math.prod(
                pieces.make_piece(
                    Random(f"{count.comparison}, {count.draw}, {number}"),
                    *count.draw.split(),
                    *(some[count.comparison].totals, SMALL, some[count.comparison].least_axes),
                ).counts
            )
            for number in range(count.pieces)
        ]
        assert count.elements == sum(sizes)


def test_a_kernel_of_other_sources_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("native", "src/fanin/streams"):
        shutil.copytree(counts.ROOT / folder, tmp_path / folder)
        for path in (tmp_path / folder).iterdir():
            os.utime(path, (0, 0))
    monkeypatch.setattr(counts, "ROOT", tmp_path)
    whole = counts.digest_of_code()
    assert len(whole) == 12
    (tmp_path / "native" / "philox.hpp").write_text("// newer")
    with pytest.raises(SystemExit, match="older than its sources"):
        counts.digest_of_code()
    os.utime(tmp_path / "native" / "philox.hpp", (0, 0))
    assert counts.digest_of_code() != whole


def test_the_page_is_that_of_the_counts_and_they_have_no_difference(tmp_path: Path) -> None:
    kept = counts.read(counts.FILE)
    assert sum(count.elements for count in kept) > 10**9
    assert [count for count in kept if count.differences] == []
    report.write_page(kept, tmp_path)
    assert (tmp_path / "bits.md").read_text("utf-8") == (report.DOCS / "bits.md").read_text("utf-8")


def test_the_page_tells_of_a_difference(tmp_path: Path) -> None:
    found = [
        counts.Count("threads", "normal float32", "c0de", 3, 2000, 1, {"address": 77}, 36.0),
        counts.Count("threads", "uniform float32", "c0de", 1, 1000, 0, None, 36.0),
    ]
    report.write_page(found, tmp_path)
    page = (tmp_path / "bits.md").read_text("utf-8")
    assert "In all: 3e+03 values compared, 1 differ." in page
    assert "| threads | 3e+03 | 0 | 0 | 0 | 4 | 1 | 0.02 | c0de |" in page
    assert "threads, normal float32, c0de: {'address': 77}" in page
