"""Answers: what a run on fake tensors says where the model asks for a value."""

import math
import sys
from collections import Counter
from typing import Any

Question = tuple[Any, ...]

# Questions at one place after which a loop is taken to wait for another answer; a loop over counts
# asks as often as there are experts, say.
_PATIENCE = {bool: 64, float: 64, int: 1024}
_TURN = 60  # further questions after which an answer that shrank grows
_LIMIT = 100_000  # questions of one run
_REVISIONS = 12  # of answers, in all runs of one model
_FRAMES = 4  # of the callers that tell a place from another
_LIBRARIES = ("torch", "fanin")


class Endless(RuntimeError):  # noqa: N818 - leaves the model's forward, for the tracer alone
    """The model goes on asking."""


class Answers:
    """Answers by the place in the code that asks: the guess, or another where that one raised.

    `modules` are the paths of those that asked, in order. `affirmative` answers begin with yes
    whatever the guess: a branch that the guess leaves out may be the only use of a layer.
    """

    def __init__(self, *, affirmative: bool = False) -> None:
        self._affirmative = affirmative
        self.modules: dict[str, None] = {}
        self._others: Counter[Question] = Counter()  # how many answers of a place have failed
        # In this run, in the order of the last question: how often, and how many answers there are.
        self._asked: dict[Question, tuple[int, int]] = {}
        self._count = 0
        self._revised = 0

    def start(self) -> None:
        """A run begins."""
        self.modules, self._asked, self._count = {}, {}, 0

    def ask(self, module: str | None) -> None:
        """A module read values; None where it did not see them."""
        if module is not None:
            self.modules[module] = None
        self._count += 1
        if self._count > _LIMIT:
            raise Endless(f"it read {_LIMIT} values")

    def give(self, guess: Any, module: str | None = None) -> Any:
        """The answer where a value is read whose guess this is."""
        self.ask(module)
        yes = self._affirmative and isinstance(guess, bool)
        place, options = _place(), _options(yes or guess)
        times = self._asked.pop(place, (0, 0))[0] + 1
        self._asked[place] = times, len(options)
        answer = options[self._others[place] % len(options)]
        over = times - _PATIENCE.get(type(answer), times)
        return answer if over <= 0 else _move(answer, over)

    def revise(self) -> bool:
        """Take another answer where the last question was asked; False if enough were tried."""
        self._revised += 1
        if self._revised > _REVISIONS:
            return False
        for place, (_, options) in reversed(self._asked.items()):
            if self._others[place] < options - 1:
                self._others[place] += 1
                return True
            self._others[place] = 0
        return False


def _options(guess: Any) -> tuple[Any, ...]:
    if isinstance(guess, bool):
        return guess, not guess
    if isinstance(guess, int):
        return guess, 1, 0
    if isinstance(guess, float):
        return (guess if math.isfinite(guess) else 1.0), 1.0, 0.0
    return (guess,)


def _move(answer: Any, steps: int) -> Any:
    """Another answer, for a loop to end: the opposite, or one that shrinks and then grows."""
    if isinstance(answer, bool):
        return not answer
    if steps <= _TURN:
        return type(answer)(answer * 0.5**steps)
    return type(answer)((abs(answer) + 1) * 2.0 ** min(steps - _TURN, _TURN))


def _place() -> Question:
    """Where the model's own code is: the innermost calls that belong to no library of ours."""
    found: list[Any] = []
    frame = sys._getframe(1)
    while frame is not None and len(found) < 2 * _FRAMES:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _LIBRARIES:
            found += [frame.f_code, frame.f_lasti]
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)
