"""Blocks: another initializer for each of the matrices packed in one parameter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fanin.axes import Axes
from fanin.errors import FaninError, quote
from fanin.initializers import _parts
from fanin.initializers._base import Elementwise, expression
from fanin.initializers._constant import constant, zeros
from fanin.initializers._entry import Entry
from fanin.initializers._parts import WeightPart
from fanin.streams import Distribution


@dataclass(frozen=True, slots=True, repr=False)
class Blocks(Elementwise):
    """An initializer for each block of the first `out` axis; see `blocks`."""

    initializers: tuple[Elementwise, ...]
    sizes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if not self.initializers:
            raise FaninError("blocks has no initializers; give one for each block.")
        for initializer in self.initializers:
            if not isinstance(initializer, Elementwise) or isinstance(initializer, Blocks):
                raise FaninError(
                    f"blocks has {quote(initializer)}; it takes initializers that draw each value "
                    "by itself, such as he_normal() and zeros()."
                )
        if self.sizes is not None:
            sizes = self.sizes if isinstance(self.sizes, Sequence) else ()
            whole = all(type(size) is int and size >= 1 for size in sizes)
            if not whole or len(sizes) != len(self.initializers):
                raise FaninError(
                    f"sizes of blocks is {quote(self.sizes)}; give {len(self.initializers)} "
                    "integers >= 1, one for each initializer."
                )
            object.__setattr__(self, "sizes", tuple(sizes))

    @property
    def seeded(self) -> bool:
        """Whether the seed decides one of the blocks."""
        return any(initializer.seeded for initializer in self.initializers)

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        raise FaninError(f"{self!r} has a distribution for each block; ask its initializers.")

    def _choose_draws(
        self, shape: tuple[int, ...], axes: Axes, in_complex: bool = False
    ) -> list[tuple[WeightPart | None, Distribution]]:
        if axes.groups > 1:
            raise FaninError(
                f"{self!r} is for packed matrices; the weight of shape {shape} has "
                f"{axes.groups} groups. Use one initializer for it."
            )
        axis = axes.axis("out") if "out" in axes.roles else 0
        sizes = self._fit(shape, axis)
        roles = tuple("out" if k == axis else role for k, role in enumerate(axes.roles))
        packed = _parts.blocks(shape, replace(axes, roles=roles, blocks=sizes))
        own = replace(axes, blocks=())
        drawn: list[tuple[WeightPart | None, Distribution]] = []
        for initializer, part in zip(self.initializers, packed, strict=True):
            draw = initializer._complex if in_complex else initializer._distribution
            drawn.append((part, draw(part.shape, own)))
        return drawn

    def _fit(self, shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
        length, count = shape[axis] if shape else 0, len(self.initializers)
        if self.sizes is None and shape and length % count == 0:
            return (length // count,) * count
        if self.sizes is not None and sum(self.sizes) == length:
            return tuple(self.sizes)
        what = f"{count} equal blocks" if self.sizes is None else f"blocks of sizes {self.sizes}"
        raise FaninError(
            f"{self!r} has {what}; they do not fill axis {axis} of shape {shape}, {length}. Give "
            "sizes= that sum to it."
        )

    def __repr__(self) -> str:
        keywords = {} if self.sizes is None else {"sizes": self.sizes}
        return expression("blocks", *self.initializers, **keywords)


def blocks(*initializers: Elementwise, sizes: Sequence[int] | None = None) -> Blocks:
    """An initializer for each block of the first `out` axis (of axis 0 where none is `out`).

    Formula: rows of block k have the values of initializer k; equal blocks unless `sizes`.
    Reads: out, and in each block what its initializer reads; fans are those of one block.
    Preserves: what its initializers preserve, block by block.
    Units: the std of all values counts the spread of the blocks' means too. Blocks share the
    tensor's own index, so a block that keeps its initializer keeps its values.
    Source: packed projections (query, key, value) and gates of LSTM and GRU.
    Differs: torch, JAX and Keras fill a packed weight as one matrix.

    >>> blocks(zeros(), constant(1.0), sizes=(1, 2))((3,), seed=0, name="bias")
    array([0., 1., 1.], dtype=float32)
    """
    return Blocks(initializers, sizes)


def forget_gate(value: float = 1.0) -> Blocks:
    """The bias of an LSTM: `value` for the forget gate, so that it remembers at first.

    Formula: b = (0, value, 0, 0) by gates: the second block is the forget gate's in torch's
    order i, f, g, o and in Keras's i, f, c, o.
    Reads: out, or axis 0. Preserves: the cell state, times sigmoid(value) a step.
    Units: torch adds two biases, bias_ih and bias_hh: give it to one of them, or half to each.
    Source: Jozefowicz et al. 2015; Gers et al. 2000.
    Differs: Keras's unit_forget_bias=True is this; torch draws U(+-1 / sqrt(hidden)) and JAX's
    flax zeros.

    >>> forget_gate()((8,), seed=0, name="lstm.bias")
    array([0., 0., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    remember = constant(value)
    return Blocks((zeros(), remember, zeros(), zeros()))  # type: ignore[arg-type]  # it checks


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "blocks",
        blocks,
        "out, and what its initializers read",
        "what its initializers preserve",
        "packed projections and the gates of LSTM and GRU",
        "blocks(he_normal(), uniform(-0.1, 0.1), lecun_normal(), sizes=(30, 20, 10))",
        formula="block k has the values of initializer k",
    ),
    Entry(
        "forget_gate",
        forget_gate,
        "out, or axis 0",
        "the cell state of an LSTM",
        "Jozefowicz et al. 2015; Gers et al. 2000",
        "forget_gate(2.0)",
        (240,),
        "(0, value, 0, 0) by gates",
    ),
)
