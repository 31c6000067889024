"""Plan: which initializer each parameter gets, and why: shown, saved, applied, proved."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from fanin._arguments import check_seed
from fanin._columns import listed
from fanin.errors import FaninError, shown, suggestion, warn
from fanin.frameworks import Draw, Slot, Target, adapter_for
from fanin.plans import _file
from fanin.plans._audit import Audit, audited
from fanin.plans._row import Row
from fanin.plans._table import table


class UnknownName(FaninError, KeyError):  # noqa: N818
    """A FaninError that is a KeyError too, as a mapping's is."""

    __str__ = FaninError.__str__


@dataclass(frozen=True)
class Plan(Mapping[str, Row]):
    """One row for every parameter of a model, in its order; prints as a table.

    `recipe` made it. `seed` is the one that it was applied with, None before; `apply` and
    `verify` draw with it unless told otherwise. So it is with `prefix`, which stands before every
    name when values are drawn, and tells models apart whose names are equal. `notes` say what a
    reader must know, such as that the model was not run.

    A plan reads as a dict of rows by name: `plan["0.weight"]`, `"0.weight" in plan`, `len(plan)`,
    `for name in plan`, `plan.items()`; `rows` has the rows alone. The other names of a tied
    parameter find its row, too.

    >>> import fanin, torch
    >>> plan = fanin.plan(torch.nn.Linear(4, 2), torch.zeros(1, 4))
    >>> [*plan], plan["weight"].fans
    (['weight', 'bias'], Fans(fan_in=4, fan_out=2))
    """

    recipe: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    seed: int | None = None
    prefix: str = ""

    def __str__(self) -> str:
        return table(self.recipe, self.rows, self.notes, self.seed, self.prefix)

    def __getitem__(self, name: str) -> Row:
        row = self._row(name)
        if row is not None:
            return row
        hint = suggestion(str(name), [*self]) if self.rows else "; it has none."
        raise UnknownName(f"the plan has no parameter {shown(name)}{hint}")

    def __contains__(self, name: object) -> bool:
        return self._row(name) is not None

    def _row(self, name: object) -> Row | None:
        return next((row for row in self.rows if name in (row.name, *row.aliases)), None)

    def __iter__(self) -> Iterator[str]:
        return (row.name for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def apply(
        self,
        model: Any,
        seed: int | None = None,
        *,
        rename: Mapping[str, str] | None = None,
        shards: Mapping[str, Any] | None = None,
        device: Any = None,
        buffers: Mapping[str, Any] | None = None,
        prefix: str | None = None,
    ) -> "Plan":
        """Write every weight of a model that this plan was made for.

        The model may be wrapped, sharded, empty, in another dtype, or hold a part of the
        parameters (a stage of a pipeline).

        Args:
            model: what the weights are written into, in place.
            seed: by default the plan's own, which its file holds too; 0 where it has none.
            rename: canonical names by the model's own.
            shards: (global shape, index) by name, of local tensors that are no DTensors.
            device: where weights that have no memory yet are made.
            buffers: values by name, of buffers that were built on the meta device.
            prefix: as of `fanin.plan`; by default the plan's own.

        Returns the plan with its seed, and the hashes of what is drawn as the constructor draws
        it. Raises FaninError, with the model untouched, where names or shapes differ, or anything
        cannot be written. Warns, with a FaninWarning, where another parameter of this process
        that lives, and was not written since, was drawn from the same seed, name and shape.

        >>> import fanin, torch
        >>> plan = fanin.plan(torch.nn.Linear(4, 2), torch.zeros(1, 4))
        >>> plan.apply(torch.nn.Linear(4, 2), seed=7).seed
        7
        """
        seed = self._seed(seed)
        before = self.prefix if prefix is None else prefix
        target = adapter_for(model).target(
            model, rename=rename, shards=shards, device=device, prefix=before
        )
        return self._write(target, seed, buffers)

    def _write(self, target: Target, seed: int, buffers: Mapping[str, Any] | None = None) -> "Plan":
        """`apply` to a target that is opened already."""
        pairs = matched(self, target, seed)
        draws = {
            row.name: Draw(row.initializer, row.axes, row.keeps == "asked") for _, row in pairs
        }
        written = target.write(draws, seed, buffers)
        notes = self.notes
        if written.restarted:
            names = listed(written.restarted)
            notes += (f"running statistics start anew, like the weights, in {names}.",)
        rows = _hashed(self.rows, pairs)
        unseeded = [
            row.name
            for slot, row in pairs
            if row.keeps == "unseeded" or (row.keeps == "redrawn" and not slot.is_redrawn)
        ]
        if unseeded:
            warn(
                f"{listed(unseeded)}: the values are the constructor's, whatever the seed. If it "
                "drew them by chance, pass overrides= or build the model under "
                "fanin.empty_weights(), which sees how it draws."
            )
        if written.twins:
            _warn_of_twins(written.twins, seed)
        return replace(self, rows=rows, notes=notes, seed=seed, prefix=target.prefix)

    def audit(
        self,
        model: Any,
        *,
        rename: Mapping[str, str] | None = None,
        shards: Mapping[str, Any] | None = None,
    ) -> Audit:
        """Every parameter and buffer of a model accounted for, measured against this plan.

        Args:
            model: one that this plan was applied to; it is read alone.
            rename: canonical names by the model's own.
            shards: (global shape, index) by name, of local tensors that are no DTensors.

        Returns an Audit: it prints as a table, `ok` says whether everything measured is as
        planned, within six standard errors, and `findings` what is not. Raises FaninError where
        names or shapes differ from the plan's.

        >>> import fanin, torch
        >>> model = torch.nn.Linear(64, 64)
        >>> plan = fanin.initialize(model, inputs=torch.zeros(1, 64))
        >>> plan.audit(model).ok
        True
        >>> _ = model.weight.data.mul_(2)
        >>> [account.name for account in plan.audit(model).findings]
        ['weight']
        """
        target = adapter_for(model).target(model, rename=rename, shards=shards)
        return audited(self._pairs(target), target.buffer_names())

    def verify(
        self,
        model: Any,
        seed: int | None = None,
        *,
        rename: Mapping[str, str] | None = None,
        shards: Mapping[str, Any] | None = None,
        prefix: str | None = None,
    ) -> None:
        """Draw every weight again and compare bit by bit.

        Args:
            model: one that this plan was applied to; it is read alone.
            seed: by default the plan's own; 0 where it has none.
            rename: canonical names by the model's own.
            shards: (global shape, index) by name, of local tensors that are no DTensors.
            prefix: as of `fanin.plan`; by default the plan's own.

        Returns None where all values are those that the plan draws. Raises FaninError that names
        the parameters which differ, or where names or shapes are not the plan's.

        >>> import fanin, torch
        >>> model = torch.nn.Linear(4, 2)
        >>> plan = fanin.initialize(model, inputs=torch.zeros(1, 4))
        >>> plan.verify(model)
        >>> _ = model.bias.data.add_(1)
        >>> plan.verify(model)
        Traceback (most recent call last):
        ...
        fanin.errors.FaninError: bias holds other values than seed 0 of this plan draws: ...
        """
        unsaid = seed is None and self.seed is None
        seed = self._seed(seed)
        before = self.prefix if prefix is None else prefix
        target = adapter_for(model).target(model, rename=rename, shards=shards, prefix=before)
        changed = [
            row.name
            for slot, row in self._pairs(target)
            if not (
                slot.holds(row.initializer, seed, row.axes)
                if row.initializer is not None
                else _as_kept(slot, row)
            )
        ]
        if changed:
            hint = " This plan was never applied: say which seed." if unsaid else ""
            raise FaninError(
                f"{listed(changed)} {'holds' if len(changed) == 1 else 'hold'} other values than "
                f"seed {seed} of this plan draws: trained, loaded or drawn otherwise.{hint}"
            )

    def diff(self, other: "Plan | Any") -> tuple[str, ...]:
        """What differs from another plan, or in names and shapes from a model.

        Args:
            other: a plan, whose rows are compared, or a model, whose parameters are.

        Returns a line for each difference, none where there is nothing: "-" what this plan has,
        "+" what the other has, "!" a parameter of another shape. Raises FaninError for what is
        neither.

        >>> import fanin, torch
        >>> model, inputs = torch.nn.Linear(4, 2), torch.zeros(1, 4)
        >>> mine, theirs = (fanin.plan(model, inputs, name) for name in ("auto", "keras"))
        >>> print(*mine.diff(theirs), sep="\\n")
        - weight (2, 4) float32: lecun_normal()
        + weight (2, 4) float32: glorot_uniform()
        >>> mine.diff(model)
        ()
        """
        if isinstance(other, Plan):
            return _differences(self.rows, other.rows)
        slots = {name: slot.param for name, slot in adapter_for(other).target(other).slots.items()}
        mine = {row.name: row for row in self.rows}
        lines = [f"- {name}: not in the model" for name in mine if name not in slots]
        lines += [f"+ {name}: not in the plan" for name in slots if name not in mine]
        lines += [
            f"! {name}: shape {mine[name].shape} in the plan, {param.shape} in the model"
            for name, param in slots.items()
            if name in mine and mine[name].shape != param.shape
        ]
        return tuple(lines)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the plan as TOML, by a temporary name that is renamed at the end.

        Args:
            path: the file; one that is there is replaced as a whole.

        Returns the path. Raises FaninError where it cannot be written, and the file is then as
        it was.

        >>> import fanin, tempfile, torch
        >>> from pathlib import Path
        >>> plan = fanin.plan(torch.nn.Linear(4, 2), torch.zeros(1, 4))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fanin.Plan.load(plan.save(Path(folder, "plan.toml"))) == plan
        True
        """
        return _file.write(self.recipe, self.rows, self.notes, self.seed, self.prefix, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Plan":
        """Read a plan that `save` wrote.

        Args:
            path: the file.

        Returns a plan that equals the saved one. Raises FaninError that says what is wrong with
        the file.

        >>> import fanin
        >>> fanin.Plan.load("pyproject.txt")
        Traceback (most recent call last):
        ...
        fanin.errors.FaninError: cannot read the plan 'pyproject.txt': No such file or directory.
        """
        return cls(*_file.read(path))

    def _seed(self, given: int | None) -> int:
        """The seed to draw with: the one given, else the plan's own, else 0."""
        return check_seed(given) if given is not None else self.seed or 0

    def _pairs(self, target: Target) -> list[tuple[Slot, Row]]:
        """Every slot with its row; FaninError where the model is not the one planned."""
        slots = target.slots
        rows = {row.name: row for row in self.rows}
        unknown = [name for name in slots if name not in rows]
        if unknown:
            raise FaninError(
                f"the plan has no {listed(unknown)}. Make a plan of this model, or map the names "
                "with rename=."
            )
        for name, slot in slots.items():
            row = rows[name]
            if row.shape != slot.param.shape:
                raise FaninError(
                    f"{row.name} has shape {slot.param.shape}; the plan was made for {row.shape}. "
                    "Plan this model again, from its global shapes."
                )
        return [(slot, rows[name]) for name, slot in slots.items()]


def matched(plan: Plan, target: Target, seed: int) -> list[tuple[Slot, Row]]:
    """Every slot with its row, after all that can fail when the plan is drawn into them."""
    pairs = plan._pairs(target)
    for slot, row in pairs:
        if row.keeps == "redrawn" and not slot.is_redrawn:
            target.find_origin(row.name)
    for slot, row in pairs:
        slot.rehearse(row.initializer, seed, row.axes)
        if row.initializer is None and not _as_kept(slot, row):
            raise FaninError(
                f"{row.name} of shape {row.shape} is kept by the plan, and its values are not "
                "those that the plan was made with. Plan this model again."
            )
    return pairs


def _warn_of_twins(names: Sequence[str], seed: int) -> None:
    warn(
        f"{listed(names)} {'gets' if len(names) == 1 else 'get'} the same numbers as another "
        f"parameter of this process: the same seed {seed}, name and shape. Networks that are to "
        "differ, such as twin critics, an ensemble or layers that are initialized one by one, need "
        "a prefix='critic1' each, or a seed each; or initialize the module that holds them all. To "
        "make two equal, copy one: b.load_state_dict(a.state_dict())."
    )


def _as_kept(slot: Slot, row: Row) -> bool:
    """Whether a kept parameter has the planned values; of a shard this process cannot tell."""
    unknown = row.kept is None or slot.is_sharded or slot.is_redrawn
    return unknown or slot.digest() == row.kept


def _hashed(rows: Iterable[Row], pairs: Iterable[tuple[Slot, Row]]) -> tuple[Row, ...]:
    """The rows, with the hashes of what was drawn as the constructor draws it."""
    found = {
        row.name: replace(row, kept=slot.digest())
        for slot, row in pairs
        if row.initializer is None and slot.is_redrawn and not slot.is_sharded
    }
    return tuple(found.get(row.name, row) for row in rows)


def _differences(mine: Iterable[Row], theirs: Iterable[Row]) -> tuple[str, ...]:
    ours, others = ({row.name: row for row in rows} for rows in (mine, theirs))
    lines = [f"- {row}" for name, row in ours.items() if name not in others]
    lines += [f"+ {row}" for name, row in others.items() if name not in ours]
    for name, row in ours.items():
        if name in others and not row.draws_as(others[name]):
            lines += [f"- {_told(row, others[name])}", f"+ {_told(others[name], row)}"]
    return tuple(lines)


def _told(row: Row, other: Row) -> str:
    """A row, with what tells it from another one of the same text."""
    if str(row) != str(other):
        return str(row)
    if row.kept != other.kept:
        return f"{row}, {'unknown values' if row.kept is None else f'sha256 {row.kept[:12]}'}"
    return f"{row}, axes {row.axes}"
