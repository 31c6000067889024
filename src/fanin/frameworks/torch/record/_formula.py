"""Formula: a tensor that follows from parameters alone, as operations of torch on their values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from fanin.frameworks.recording import _formula
from fanin.frameworks.recording._formula import as_matrix
from fanin.graph import Values


@dataclass(frozen=True, slots=True, eq=False)
class ParameterFormula(_formula.ParameterFormula):
    """One operation of torch."""

    known: ClassVar[type] = Tensor

    @classmethod
    def wide(cls, tensor: Tensor) -> Tensor:
        """A known tensor in double precision."""
        return tensor.double() if tensor.is_floating_point() else tensor

    def compute(
        self, given: Mapping[str, Values], inputs: list[int] | None, flat: bool = False
    ) -> Values:
        """The value for these arrays; a matrix (outputs, inputs) where `inputs` says so."""
        with _disable_current_modes(), torch.no_grad():
            values = {name: torch.from_numpy(item) for name, item in given.items()}
            made = self.value(values, flat=flat)
            if made.is_complex():  # real numbers of the same size
                made = 2**0.5 * (torch.view_as_real(made) if inputs is None else made.real)
            return as_matrix(made.to(torch.float64).numpy(), inputs)
