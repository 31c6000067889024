"""ProgramRun: the equations of a program in their order, each handed to the recorder."""

from collections.abc import Collection, Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from fanin.frameworks.jax.operations._lax import translate
from fanin.frameworks.jax.record._call import AbstractArray, Call
from fanin.frameworks.jax.record._exact import restore
from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.jax.trace._abstract import (
    abstract_of,
    constant_of,
    name_of,
    path_of,
    program_of,
)
from fanin.frameworks.jax.trace._control import CONTROL
from fanin.frameworks.jax.trace._functions import call_function, draw
from fanin.frameworks.jax.trace._mesh import MESH
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry

_CONTROL = CONTROL | MESH


class ProgramRun:
    """One pass over a program, whose variables are entries of the record."""

    def __init__(self, recorder: Recorder, modules: Collection[str]) -> None:
        self.recorder = recorder
        self.sizes: dict[str, int] = {}  # of the axes of meshes
        self._modules = modules
        self._paths: dict[int, tuple[Any, str | None]] = {}

    def on(self, recorder: Recorder) -> "ProgramRun":
        """The same on another record."""
        made = ProgramRun(recorder, self._modules)
        made.sizes = self.sizes
        return made

    def run_program(self, program: ClosedJaxpr, given: Sequence[TensorEntry]) -> list[TensorEntry]:
        """What a program returns for these arguments."""
        constants = [constant_of(value) for value in program.consts]
        return self.run(program.jaxpr, constants, given)

    def run(
        self, jaxpr: Jaxpr, constants: Sequence[TensorEntry], given: Sequence[TensorEntry]
    ) -> list[TensorEntry]:
        """The same, with the constants as entries."""
        known: dict[Any, TensorEntry] = dict(zip(jaxpr.constvars, constants, strict=True))
        known.update(zip(jaxpr.invars, given, strict=True))

        def read(variable: Any) -> TensorEntry:
            if isinstance(variable, Literal):
                return ConstantTensor(restore(variable.val))
            return known[variable]

        for equation in jaxpr.eqns:
            entries = [read(variable) for variable in equation.invars]
            self.recorder.path[-1] = self._place(equation, entries)
            made = self.follow(equation, entries)
            known.update(zip(equation.outvars, made, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def follow(self, equation: JaxprEqn, entries: list[TensorEntry]) -> list[TensorEntry]:
        """What an equation makes of its arguments."""
        control = _CONTROL.get(equation.primitive.name)
        if control is not None:
            return control(self, equation, entries)
        ins = [abstract_of(variable) for variable in equation.invars]
        outs = [abstract_of(variable) for variable in equation.outvars]
        program = program_of(equation)
        if program is not None and len(program.jaxpr.invars) == len(entries):
            name = name_of(equation, program)
            noise = draw(self.recorder, name, entries)
            if noise is not None:
                return [noise]
            made = call_function(self.recorder, program, name, entries, ins, outs)
            return [made] if made is not None else self.run_program(program, entries)
        return self.translate(equation, entries, ins, outs)

    def translate(
        self,
        equation: JaxprEqn,
        entries: list[TensorEntry],
        ins: list[AbstractArray],
        outs: list[AbstractArray],
    ) -> list[TensorEntry]:
        """The nodes of a primitive."""
        name = equation.primitive.name
        return translate(Call(name, equation.params, entries, ins, outs, self.recorder))

    def _place(self, equation: JaxprEqn, entries: Sequence[TensorEntry]) -> str:
        """The module of an equation: by its scope, else that of what it reads."""
        stack = equation.source_info.name_stack
        if id(stack) not in self._paths:
            self._paths[id(stack)] = stack, path_of(equation, self._modules)
        path = self._paths[id(stack)][1]
        if path is not None:
            return path
        nodes = [entry.node for entry in entries if isinstance(entry, ActivationTensor)]
        return self.recorder.nodes[nodes[0]].module if nodes else self.recorder.path[-1]
