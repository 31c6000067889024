"""Present: new rows of a table that are as the rows it has, by their mean and covariance."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Initializer, Request, expression
from fanin.initializers._entry import Entry
from fanin.initializers._maps import gaussian
from fanin.streams import Array
from fanin.streams._address import select
from fanin.streams._output import check_out, dtype_name, write

_DIFFERS = 1e-5  # of the largest standard deviation: what a float32 value may differ by elsewhere


@dataclass(frozen=True, slots=True, repr=False)
class PresentRows(Initializer):
    """See `present_rows`."""

    scale: float

    def bind(self, rows: Iterable[Array]) -> "BoundRows":
        """The initializer for a table that has these rows, in arrays of (rows, ...)."""
        count, total, squares = 0, np.zeros(()), np.zeros(())
        for part in rows:
            wide = np.asarray(part, np.float64).reshape(len(part), -1)
            count, total, squares = count + len(wide), total + wide.sum(0), squares + wide.T @ wide
        mean = total / max(count, 1)
        covariance = squares / max(count, 1) - np.outer(mean, mean)
        if not count or not np.isfinite(covariance).all():
            raise FaninError(
                f"{self!r} needs rows of finite values beside those that it draws; the table has "
                f"{'others' if count else 'none'}. Choose another initializer in overrides=."
            )
        values, vectors = np.linalg.eigh(covariance)
        # The symmetric root is the one that does not depend on the signs of vectors.
        root = (vectors * np.sqrt(np.maximum(values * self.scale, 0))) @ vectors.T
        return BoundRows(self, mean, root)

    def _draw(self, request: Request) -> Array:
        raise FaninError(
            f"{self!r} is drawn beside the rows that a table has. Pass rows= to fanin.plan or "
            "fanin.initialize, and the model."
        )

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        return math.nan

    def __repr__(self) -> str:
        return expression("present_rows", self.scale)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class BoundRows(Initializer):
    """`present_rows` for a table whose rows are known."""

    rule: PresentRows
    mean: Array
    root: Array

    def tolerance(self, dtype: str) -> float:
        """How far a value may be from itself on another machine."""
        rounded = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float64": 0.0}.get(dtype, _DIFFERS)
        largest = float(np.abs(self.mean).max(initial=0) + 6 * np.abs(self.root).max(initial=0))
        return max(rounded, _DIFFERS * 1e-5) * largest

    def _draw(self, request: Request) -> Array:
        encoding = dtype_name(request.dtype, request.out)
        rows, *others = select(request.shape, request.index)
        chosen = [item for item in (rows, *others) if isinstance(item, range)]
        result = check_out(request.out, tuple(map(len, chosen)), encoding)
        if not result.size:
            return result
        at = slice(rows.start, rows.stop, rows.step) if isinstance(rows, range) else rows
        drawn = gaussian(request, "float64", (at,)).reshape(-1, len(self.mean))
        made = (self.mean + drawn @ self.root).reshape(-1, *request.shape[1:])
        places = [
            item if isinstance(item, int) else slice(item.start, item.stop, item.step)
            for item in others
        ]
        picked = made[(slice(None), *places)]
        return write(picked if isinstance(rows, range) else picked[0], encoding, result)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        return math.sqrt(float(np.square(self.root).sum()) / max(len(self.mean), 1))

    def __repr__(self) -> str:
        return repr(self.rule)


def present_rows(scale: float = 1.0) -> PresentRows:
    """New rows of a table as the rows that it has: normal, with their mean and covariance.

    Formula: w = mean + sqrt(scale) * z C^(1/2), z ~ N(0, 1) from the table's own stream, C the
    covariance of the rows that stay (divided by their count), C^(1/2) its symmetric root.
    Reads: the first axis is that of rows. Preserves: what the table's users are used to.
    Units: `scale` multiplies the covariance; 1e-9 is what transformers' `resize_token_embeddings`
    takes, all but the mean itself.
    Source: Hewitt 2021, "Initializing new word embeddings for pretrained language models".
    Differs: it needs the table, so that it is drawn by `rows=` of `fanin.plan` alone; values agree
    to 1e-5 of the largest, as a decomposition is made of what the table holds.

    >>> present_rows(1e-9)
    present_rows(1e-09)
    """
    number = as_number(scale)
    if not (math.isfinite(number) and number >= 0):
        raise FaninError(
            f"scale of present_rows is {quote(scale)}; it must be a finite number >= 0."
        )
    return PresentRows(number)


ENTRY: Entry = Entry(
    "present_rows",
    present_rows,
    "the first",
    "the mean and covariance of rows",
    "Hewitt 2021",
    "present_rows(1.0)",
    formula="w = mean + sqrt(scale) * z C^(1/2)",
)
