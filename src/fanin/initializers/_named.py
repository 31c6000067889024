"""Named: initializers under names that users give; they print as the expression of that name."""

from dataclasses import dataclass

from fanin.axes import Axes
from fanin.initializers._base import Elementwise, Initializer, Request
from fanin.initializers._parts import WeightPart
from fanin.streams import Array, Distribution


@dataclass(frozen=True, slots=True, repr=False)
class NamedInitializer(Initializer):
    """What a registered name made: the values of another initializer, under `expression`."""

    expression: str
    made: Initializer

    @property
    def seeded(self) -> bool:
        """As the initializer that was made."""
        return self.made.seeded

    def tolerance(self, dtype: str) -> float:
        """As of the initializer that was made."""
        return self.made.tolerance(dtype)

    def under(self, prefix: str) -> "NamedInitializer":
        """As of the initializer that was made."""
        return NamedInitializer(self.expression, self.made.under(prefix))

    def _draw(self, request: Request) -> Array:
        return self.made._draw(request)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        return self.made._std(shape, axes)

    def __repr__(self) -> str:
        return self.expression


@dataclass(frozen=True, slots=True, repr=False)
class NamedElementwise(Elementwise):
    """The same of one that draws every value by itself."""

    expression: str
    made: Elementwise

    @property
    def seeded(self) -> bool:
        """As the initializer that was made."""
        return self.made.seeded

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        return self.made._distribution(shape, axes)

    def _choose_draws(
        self, shape: tuple[int, ...], axes: Axes, in_complex: bool = False
    ) -> list[tuple[WeightPart | None, Distribution]]:
        return self.made._choose_draws(shape, axes, in_complex)

    def __repr__(self) -> str:
        return self.expression


def name_initializer(made: Initializer, expression: str) -> Initializer:
    """The initializer, printing as this expression."""
    if isinstance(made, Elementwise):
        return NamedElementwise(expression, made)
    return NamedInitializer(expression, made)
