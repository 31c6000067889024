"""Slot: one parameter of a model, what is written into it, and proof of what it holds."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from fanin._arguments import check_seed
from fanin.axes import Axes
from fanin.errors import FaninError, one_line
from fanin.frameworks._arrays import bind, clear_row, holds_computed, outside
from fanin.frameworks._tiles import Box, inside, meet, tiles
from fanin.frameworks.torch.draws._records import Mark
from fanin.frameworks.torch.draws._replay import MemoryView, replay
from fanin.frameworks.torch.write._bytes import agree, bytes_of, row_major
from fanin.frameworks.torch.write._copy import as_numpy, copy_from_host, is_plain
from fanin.frameworks.torch.write._shards import Shard, local_tensor
from fanin.frameworks.torch.write._unwritten import find_patterns, find_zero_rows
from fanin.frameworks.torch.write._vacancy import Places, Vacancy, room_for
from fanin.initializers import Initializer
from fanin.initializers._base import Elementwise
from fanin.initializers._computed import Computed
from fanin.initializers._prepared import prepare
from fanin.param import Param
from fanin.streams import Array
from fanin.streams._address import stream_number
from fanin.streams._output import check_out

_MOST_READ = 1 << 20  # values of a parameter that a recipe may look at


@dataclass(slots=True)
class Slot:
    """A Param and the tensor that holds it, or its part on this process, or that will.

    An initializer of None stands for the value that the constructor gave; axes of None, for
    those of `param`.
    """

    param: Param
    tensor: Tensor
    padding_row: int | None = None  # of a table: stays zero, as torch keeps it
    shard: Shard | None = None  # None: the tensor is whole
    vacancy: Vacancy | None = None  # where an empty one is to be made; None: it has memory
    homes: Places = ()  # the modules and attributes that name it
    origin: Mark | None = None  # of one that is kept: what the constructor gave it, if known
    was_drawn: bool = False  # by fanin: it is the constructor's no more
    prefix: str = ""  # what stands before the name in that of the stream
    part: Box | None = None  # what alone is drawn of it, where the rest stays
    _numbers: tuple[int, int] | None = field(default=None, init=False, repr=False)

    @property
    def stream(self) -> str:
        """The name that the values come from."""
        return f"{self.prefix}.{self.param.name}" if self.prefix else self.param.name

    @property
    def has_value(self) -> bool:
        """Whether there is a value to keep: in memory, or noted while the model was built."""
        return self.vacancy is None or self.vacancy.record.value is not None

    @property
    def drawn(self) -> MemoryView | None:
        """How the constructor drew what is kept, where it did and that can be done again."""
        return self.origin.drawn if self.vacancy is None and self.origin else self._find_draw()

    @property
    def is_empty(self) -> bool:
        """Whether it has no memory yet."""
        return self.vacancy is not None

    @property
    def is_whole(self) -> bool:
        """Whether all of it is here, and is drawn where it is drawn at all."""
        return self.shard is None and self.part is None

    @property
    def is_sharded(self) -> bool:
        """Whether this process holds a part alone."""
        return self.shard is not None

    @property
    def is_redrawn(self) -> bool:
        """Whether what is kept was drawn by the constructor, and can be drawn again."""
        return self.drawn is not None

    @property
    def is_computed(self) -> bool:
        """Whether what it holds is known to follow from the program, not from chance."""
        return self.origin is not None and self.origin.computed

    @property
    def first_digest(self) -> str | None:
        """The digest of what it held when it was first kept; None where that is not known."""
        return self.origin.digest if self.origin is not None else None

    def _find_draw(self) -> MemoryView | None:
        return None if self.vacancy is None or self.has_value else self.vacancy.record.drawn

    def rehearse(
        self, initializer: Initializer | None, seed: int, axes: Axes | None = None
    ) -> None:
        """Raise whatever `write` would raise, without drawing or writing."""
        if self.vacancy is not None:
            self.vacancy.check(self.param.name)
        if initializer is None:
            self._find_kept(seed)
            return
        param = self.param
        if self.part is not None and self.vacancy is not None:
            raise FaninError(
                f"{param.name} of shape {param.shape} was built empty, so that it has no rows "
                "beside those that are drawn. Load its values first."
            )
        if holds_computed(self, initializer):
            return
        if not self._is_prepared(initializer, seed, axes):
            nothing = (slice(0, 0),) * len(param.shape)
            self.draw(initializer, seed, axes, nothing)
        tensor = local_tensor(self.tensor)
        if tensor.layout is not torch.strided:
            raise FaninError(f"{param.name} has layout {tensor.layout}; make it dense first.")
        if tensor.is_cpu and not is_plain(tensor):
            try:
                for _, view in self.pieces():
                    check_out(as_numpy(view), tuple(view.shape), param.dtype)
            except (FaninError, RuntimeError) as error:
                raise FaninError(f"{param.name} cannot be written: {error}") from None

    def _is_prepared(self, initializer: Initializer, seed: int, axes: Axes | None) -> bool:
        """Whether the kernel draws all of it; FaninError where that cannot be."""
        if not isinstance(initializer, Elementwise):
            return False
        param = self.param
        try:
            check_seed(seed)
            self.find_numbers()
            own = param.axes if axes is None else axes
            return prepare(initializer, param.shape, own, param.dtype) is not None
        except FaninError as error:
            raise FaninError(f"{param.name} ({initializer}): {error}") from None

    def find_numbers(self) -> tuple[int, int]:
        """The numbers of its stream, and of the child that float64 draws need, too."""
        if self._numbers is None:
            low = stream_number(self.stream, "low") if self.param.dtype == "float64" else 0
            self._numbers = stream_number(self.stream), low
        return self._numbers

    def write(self, initializer: Initializer | None, seed: int, axes: Axes | None = None) -> None:
        """Draw the values into the tensor; an empty one gets its memory first."""
        memory = self.memory()
        self.fill(memory, initializer, seed, axes)
        self.occupy(memory)

    def memory(self) -> Tensor:
        """The tensor that the values go into: of an empty one a new one, of no values yet."""
        if self.vacancy is None:
            return self.tensor
        with room_for(self.param.name, self.tensor, self.vacancy.record.device):
            return self.vacancy.make(self.tensor)

    def fill(
        self, memory: Tensor, initializer: Initializer | None, seed: int, axes: Axes | None = None
    ) -> None:
        """Draw the values into a tensor that `memory` gave."""
        value = None if initializer else self._find_kept(seed)
        if initializer is None and value is None:
            return
        if holds_computed(self, initializer):
            return
        with torch.no_grad():
            if initializer is None and self.drawn is not None:
                self.origin = Mark(drawn=self.drawn)  # a memory does not show it
            if initializer is not None and not self._in_place(initializer, memory):
                value = self._whole(initializer, seed, axes)
            for box, view in self.pieces(memory):
                if value is not None:
                    view.copy_(value[box])
                elif initializer is not None:
                    self._fill_piece(initializer, seed, axes, box, view)
                    torch.autograd.graph.increment_version(memory)  # NumPy wrote behind its back

    def occupy(self, memory: Tensor) -> None:
        """Put a parameter with memory where the empty one stood."""
        if self.vacancy is not None:
            assert isinstance(memory, nn.Parameter)
            self.vacancy.put(memory)
            self.tensor, self.vacancy = memory, None

    def _fill_piece(
        self, initializer: Initializer, seed: int, axes: Axes | None, box: Box, view: Tensor
    ) -> None:
        if view.device.type == "cpu":
            self.draw(initializer, seed, axes, None if self.is_whole else box, as_numpy(view))
            return
        for tile in tiles(tuple(view.shape)):
            draw = partial(self.draw, initializer, seed, axes, inside(box, tile))
            copy_from_host(view[tile], draw)

    def _in_place(self, initializer: Initializer, memory: Tensor) -> bool:
        """Whether a draw goes into the tensor itself; another is made whole, and parts copied."""
        whole = self.shard is None and local_tensor(memory).device.type == "cpu"
        return whole or isinstance(initializer, Elementwise)

    def _whole(self, initializer: Initializer, seed: int, axes: Axes | None) -> Tensor:
        values = torch.empty(self.param.shape, dtype=self.tensor.dtype, device="cpu")
        self.draw(initializer, seed, axes, None, as_numpy(values))
        return values

    def holds(self, initializer: Initializer, seed: int, axes: Axes | None = None) -> bool:
        """Whether the tensor has the values that `write` gives it, bit by bit.

        Where the initializer promises a tolerance instead, within that.
        """
        if self.vacancy is not None:
            self.vacancy.refuse_reading(self.param.name)
            return False
        if isinstance(initializer, Computed):
            return self.digest(held=True) == initializer.digest
        initializer = self._bind(initializer)
        tolerance = initializer.tolerance(self.param.dtype)
        each = isinstance(initializer, Elementwise) or self.part is not None
        whole = None if each else self._whole(initializer, seed, axes)
        for box, view in self.pieces():
            for tile in tiles(tuple(view.shape)):
                place = inside(box, tile)
                if whole is None:
                    drawn = torch.empty(view[tile].shape, dtype=view.dtype, device="cpu")
                    self.draw(initializer, seed, axes, place, as_numpy(drawn))
                else:
                    drawn = whole[place]
                if not agree(drawn, view[tile], tolerance):
                    return False
        return True

    def equals(self, other: "Slot") -> bool:
        """Whether it holds the bits of another slot, so far as both are here."""
        if self.vacancy is not None or other.vacancy is not None:
            return False
        mine, theirs = (local_tensor(slot.tensor) for slot in (self, other))
        cuts = tiles(tuple(mine.shape))
        return mine.shape == theirs.shape and all(
            bytes_of(mine[at]) == bytes_of(theirs[at]) for at in cuts
        )

    def find_unwritten(self, varies: bool) -> str:
        """What shows that its memory was never written; "" for nothing."""
        if self.vacancy is not None:
            return "it has no memory"
        views = [view for _, view in self.pieces()]
        odd = find_patterns(views)
        if odd or not varies or self.shard is not None or not views:
            return odd
        start = 0 if self.part is None else self.part[0].start
        padding = None if self.padding_row is None else self.padding_row - start
        within = padding is not None and 0 <= padding < len(views[0])
        return find_zero_rows(views[0], padding if within else None)

    def digest(self, *, held: bool = False) -> str:
        """SHA-256 of the values in row-major order, little-endian: the hash of a kept one."""
        if self.shard is not None:
            raise FaninError(
                f"{self.param.name} of shape {self.param.shape} is sharded, and a hash needs all "
                "of it. Plan from the unsharded model."
            )
        result = hashlib.sha256()
        in_memory = held and self.vacancy is None
        values = local_tensor(self.tensor).detach() if in_memory else self._values()
        for box in outside(self.param.shape, self.part):
            for piece in row_major(values[box]):
                result.update(piece)
        return result.hexdigest()

    def read(self) -> Array | None:
        """The values as float64; None where there are none, where they are many, or complex.

        Of one that is drawn as its constructor draws it, some draw: the same for every seed.
        """
        many = math.prod(self.param.shape) > _MOST_READ or self.tensor.is_complex()
        if many or self.shard is not None or not (self.has_value or self.drawn):
            return None
        drawn = None if self.drawn is None else self._find_kept(0)
        held = self._values() if drawn is None else drawn
        values: Array = held.to("cpu", torch.float64, copy=True).numpy()
        return values

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the values here, of their real parts if complex."""
        whole = self.is_whole or self.vacancy is not None  # which has no pieces in memory
        views = [self._values()] if whole else [view for _, view in self.pieces()]
        count = sum(view.numel() for view in views)
        if not count:
            return math.nan, math.nan

        def wide() -> Iterator[Tensor]:
            for view in views:
                for tile in tiles(tuple(view.shape)):
                    piece = view[tile].detach()
                    yield (piece.real if piece.is_complex() else piece).to(torch.float64)

        mean = math.fsum(float(piece.sum()) for piece in wide()) / count
        square = math.fsum(float(((piece - mean) ** 2).sum()) for piece in wide()) / count
        return mean, math.sqrt(square)

    def draw(
        self,
        initializer: Initializer,
        seed: int,
        axes: Axes | None = None,
        index: Box | None = None,
        out: Array | None = None,
    ) -> Array:
        """The values of a box of the (global) parameter, as `write` writes them."""
        param = self.param
        try:
            values = self._bind(initializer)(
                param.shape,
                seed=seed,
                name=self.stream,
                dtype=param.dtype,
                axes=param.axes if axes is None else axes,
                index=index,
                out=out,
            )
        except FaninError as error:
            raise FaninError(f"{param.name} ({initializer}): {error}") from None
        self.clear_padding(values, index)
        return values

    def _bind(self, initializer: Initializer) -> Initializer:
        def held(box: Box) -> Array:
            if self.shard is not None:
                raise FaninError("it is sharded, and what is drawn needs all rows that it has.")
            array: Array = self._values()[box].to("cpu", torch.float64).numpy()
            return array

        return bind(initializer, self.param.shape, self.part, held)

    def clear_padding(self, values: Array | Tensor, index: Box | None) -> None:
        """Zero the row of a table that stands for no word, where a box of values holds it."""
        clear_row(values, self.padding_row, index, (*self.param.shape, 0)[0])

    def _find_kept(self, seed: int) -> Tensor | None:
        """What is kept: the constructor's value, or its draw with this seed; None if in memory."""
        place = self.drawn
        if place is None:
            return self._check_value()
        try:
            return replay(place, seed, self.stream).to(self.tensor.dtype)
        except (RuntimeError, TypeError, KeyError) as error:
            raise FaninError(
                f"{self.param.name} of shape {self.param.shape} is drawn by its constructor in a "
                f"way that cannot be done again ({one_line(error)}). Give it an initializer."
            ) from None

    def _check_value(self) -> Tensor | None:
        """The value of an empty parameter that is kept; None where it is in memory."""
        if self.vacancy is None:
            return None if self.origin is None else self.origin.value
        if self.vacancy.record.value is None:
            self.vacancy.refuse_reading(self.param.name)
            raise FaninError(
                f"{self.param.name} has shape {self.param.shape} and no value to keep: it was "
                "built empty. Give it an initializer."
            )
        return self.vacancy.record.value

    def _values(self) -> Tensor:
        value = self._check_value()
        if value is not None:
            return value.to(self.tensor.dtype)
        held = local_tensor(self.tensor).detach()
        return held if held.layout is torch.strided else held.to_dense()

    def pieces(self, tensor: Tensor | None = None) -> Iterator[tuple[Box, Tensor]]:
        """Boxes of the global tensor with the views of memory that hold them.

        `tensor` is the one that will take this slot's place, if any.
        """
        local = local_tensor(self.tensor if tensor is None else tensor).detach()
        held: Iterable[tuple[Box, Tensor]] = ()
        if self.shard is not None:
            held = self.shard.pieces(local)
        elif local.numel():
            held = ((tuple(slice(0, size) for size in local.shape), local),)
        for box, view in held:
            met = (box, (...,)) if self.part is None else meet(box, self.part)
            if met is not None:
                yield met[0], view[met[1]]
