"""Follow: a run that keeps of every equation what became of it, so that it can be run again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from jax.extend.core import Jaxpr, JaxprEqn

from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.jax.trace._run import ProgramRun
from fanin.frameworks.recording._record import TensorEntry


@dataclass(slots=True)
class FollowedEquation:
    """An equation that was followed: what its results are, and the programs that it ran."""

    made: list[TensorEntry]
    ran: list["FollowedProgram"] = field(default_factory=list)


@dataclass(slots=True)
class FollowedProgram:
    """One pass over the equations of a program."""

    jaxpr: Jaxpr
    steps: list[FollowedEquation] = field(default_factory=list)


class Following(ProgramRun):
    """A run that keeps its steps; of trials, on other records, it keeps none."""

    def __init__(self, recorder: Recorder, modules: Collection[str]) -> None:
        super().__init__(recorder, modules)
        self.passes: list[FollowedProgram] = []  # within the equation that is followed now
        self._now: list[FollowedEquation] = []

    def run(
        self, jaxpr: Jaxpr, constants: Sequence[TensorEntry], given: Sequence[TensorEntry]
    ) -> list[TensorEntry]:
        """What a program returns for these arguments."""
        made = FollowedProgram(jaxpr)
        self.passes.append(made)
        before, self._now = self._now, made.steps
        try:
            return super().run(jaxpr, constants, given)
        finally:
            self._now = before

    def follow(self, equation: JaxprEqn, entries: list[TensorEntry]) -> list[TensorEntry]:
        """What an equation makes of its arguments."""
        before, self.passes = self.passes, []
        made = super().follow(equation, entries)
        self._now.append(FollowedEquation(made, self.passes))
        self.passes = before
        return made
