"""Plan: which initializer each parameter gets, and why: shown, saved, applied, proved."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from fanin._arguments import check_seed
from fanin._columns import list_names
from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks import Draw, Target, adapter_for, functional, open_model, refuse_functional
from fanin.plans import _file
from fanin.plans._audit import Audit, audit_slots
from fanin.plans._differences import differences, differences_from
from fanin.plans._matching import hash_kept, hash_rows, match_rows, refuse_unlike, rehearse
from fanin.plans._notes import find_unseeded, refuse_unseeded, warn_of_twins, warn_of_unseeded
from fanin.plans._resized import RowSelection, take_part
from fanin.plans._row import Row
from fanin.plans._selection import Selection
from fanin.plans._table import html_table, table


class UnknownName(FaninError, KeyError):  # noqa: N818
    """A FaninError that is a KeyError too, as a mapping's is."""

    __str__ = FaninError.__str__


@dataclass(frozen=True)
class Plan(Mapping[str, Row]):
    """One row for every parameter of a model, in its order; prints as a table.

    `recipe` made it. `seed` is the one that it was applied with, None before; `apply` and
    `verify` draw with it unless told otherwise. So it is with `prefix`, which stands before every
    name when values are drawn, and tells models apart whose names are equal. `notes` say what a
    reader must know, such as that the model was not run. `library` is the package whose layers
    store weights as the rows say ("torch", "flax", ...); for those of another one, shapes and axes
    are turned round, and the values are the same.

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
    library: str = ""

    def __str__(self) -> str:
        return table(self.recipe, self.rows, self.notes, self.seed, self.prefix)

    def _repr_html_(self) -> str:
        return html_table(self.recipe, self.rows, self.notes, self.seed, self.prefix)

    def __getitem__(self, name: str) -> Row:
        row = self._row(name)
        if row is not None:
            return row
        hint = suggestion(str(name), [*self]) if self.rows else "; it has none."
        raise UnknownName(f"the plan has no parameter {quote(name)}{hint}")

    def __contains__(self, name: object) -> bool:
        return self._row(name) is not None

    def _row(self, name: object) -> Row | None:
        if not isinstance(name, str):
            return None
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
        only: Selection | None = None,
        keep: Selection | None = None,
        rows: RowSelection | None = None,
        strict: bool = False,
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
            only: the parameters to draw, as of `fanin.plan`; all others stay as they are.
            keep: the parameters that stay as they are, in place of `only`.
            rows: rows of tables to draw alone, as of `fanin.plan`.
            strict: raise where a value would be the constructor's, whatever the seed, in place of a
                warning; drawn buffers count, too.

        Returns the plan with its seed, and the hashes of what is drawn as the constructor draws
        it. Raises FaninError, with the model untouched, where names or shapes differ, or anything
        cannot be written. Warns, with a FaninWarning, where another parameter of this process
        that lives, and was not written since, was drawn from the same seed, name and shape.

        >>> import fanin, torch
        >>> plan = fanin.plan(torch.nn.Linear(4, 2), torch.zeros(1, 4))
        >>> plan.apply(torch.nn.Linear(4, 2), seed=7).seed
        7
        """
        refuse_functional(model, "plan.apply_params")
        seed = self._seed(seed)
        before = self.prefix if prefix is None else prefix
        target = adapter_for(model).target(
            model, rename=rename, shards=shards, device=device, prefix=before
        )
        return replace(self, rows=take_part(self.rows, target, only, keep, rows))._write(
            target, seed, buffers, strict=strict
        )[1]

    def apply_params(
        self,
        model: Any,
        params: Any = None,
        seed: int | None = None,
        *,
        inputs: Any = None,
        rename: Mapping[str, str] | None = None,
        prefix: str | None = None,
        only: Selection | None = None,
        keep: Selection | None = None,
        rows: RowSelection | None = None,
        strict: bool = False,
    ) -> "tuple[Any, Plan]":
        """The weights of a JAX model that nothing is written into, as a new tree.

        Args:
            model: a module of Equinox or Flax Linen, or a function of parameters and inputs.
            params: the variables of a Linen module, or the function's parameters, abstract or
                not; None of an Equinox module, which holds its own.
            seed: by default the plan's own, which its file holds too; 0 where it has none.
            inputs: what it is called with, where only a run tells how arrays are used: of a plan
                made for another library, for a function or a Linen module.
            rename: canonical names by the model's own.
            prefix: as of `fanin.plan`; by default the plan's own.
            only: the parameters to draw, as of `fanin.plan`; all others stay as they are.
            keep: the parameters that stay as they are, in place of `only`.
            rows: rows of tables to draw alone, as of `fanin.plan`.
            strict: raise where a value would be the constructor's, whatever the seed, in place of a
                warning; drawn buffers count, too.

        Returns the new tree, of the type of `params` (a module of Equinox), and the plan with its
        seed. Raises FaninError where names or shapes differ, or anything cannot be drawn.

        >>> import equinox, fanin, jax
        >>> abstract = equinox.filter_eval_shape(equinox.nn.Linear, 4, 2, key=jax.random.key(0))
        >>> plan = fanin.plan(abstract)
        >>> linear, plan = plan.apply_params(abstract, seed=7)
        >>> linear.weight.shape, plan.seed
        ((2, 4), 7)
        """
        opened_model = functional(model, params, inputs)
        seed = self._seed(seed)
        before = self.prefix if prefix is None else prefix
        target = adapter_for(opened_model).target(opened_model, rename=rename, prefix=before)
        return replace(self, rows=take_part(self.rows, target, only, keep, rows))._write(
            target, seed, strict=strict
        )

    def _write(
        self,
        target: Target,
        seed: int,
        buffers: Mapping[str, Any] | None = None,
        *,
        strict: bool = False,
    ) -> "tuple[Any, Plan]":
        """`apply` to a target that is opened already; what is made where nothing is in place."""
        pairs = rehearse(self.rows, self.library, target, seed)
        unseeded = find_unseeded(pairs)
        if strict:
            refuse_unseeded(target, unseeded, {slot.param.name: row for slot, row in pairs})
        draws = {
            row.name: Draw(row.initializer, row.axes, row.keeps == "asked", row.like)
            for _, row in pairs
        }
        written = target.write(draws, seed, buffers)
        notes = self.notes
        if written.restarted:
            names = list_names(written.restarted)
            notes += (f"running statistics start anew, like the weights, in {names}.",)
        rows = hash_rows(self.rows, pairs)
        warn_of_unseeded(unseeded)
        if written.twins:
            warn_of_twins(written.twins, seed)
        return written.made, replace(self, rows=rows, notes=notes, seed=seed, prefix=target.prefix)

    def seal(self, model: Any, *, rename: Mapping[str, str] | None = None) -> "Plan":
        """The plan with the hashes of all that it keeps: `apply` and `verify` then prove it.

        What `only` and `keep` leave as it is is not hashed before, as a backbone may be large.

        Args:
            model: whose values are hashed; it is read alone.
            rename: canonical names by the model's own.

        Returns the plan, with the SHA-256 of every parameter that it keeps. Raises FaninError
        where names or shapes differ from the plan's, or a kept parameter has no values.

        >>> import fanin, torch
        >>> model = torch.nn.Linear(4, 2)
        >>> plan = fanin.plan(model, torch.zeros(1, 4), keep="bias").seal(model)
        >>> len(plan["bias"].kept_sha256)
        64
        >>> _ = model.bias.data.add_(1)
        >>> plan.apply(model)
        Traceback (most recent call last):
        ...
        fanin.errors.FaninError: bias of shape (2,) is kept by the plan, and its values are not ...
        """
        target = adapter_for(model).target(model, rename=rename)
        return replace(self, rows=hash_kept(self.rows, self.library, target))

    def audit(
        self,
        model: Any,
        *,
        params: Any = None,
        inputs: Any = None,
        rename: Mapping[str, str] | None = None,
        shards: Mapping[str, Any] | None = None,
        build: Callable[[], Any] | None = None,
    ) -> Audit:
        """Every parameter and buffer of a model accounted for, measured against this plan.

        Args:
            model: one that this plan was applied to; it is read alone.
            params: the variables or parameters, where the model is a module of Flax Linen or a
                function, which do not hold them.
            inputs: what it is called with, as of `apply_params`.
            rename: canonical names by the model's own.
            shards: (global shape, index) by name, of local tensors that are no DTensors.
            build: makes the model once more, without memory for its weights: its buffers are what
                this one's should be. Without it, modules are built alone where they can be.

        Returns an Audit: it prints as a table, `ok` says whether everything measured is as
        planned, within six standard errors, and `findings` what is not. `as_drawn` of `drawn`
        parameters hold what the plan's seed draws, bit by bit. Raises FaninError where names or
        shapes differ from the plan's.

        >>> import fanin, torch
        >>> model = torch.nn.Linear(64, 64)
        >>> plan = fanin.initialize(model, inputs=torch.zeros(1, 64))
        >>> plan.audit(model).ok
        True
        >>> _ = model.weight.data.mul_(2)
        >>> [account.name for account in plan.audit(model).findings]
        ['weight']
        """
        model = open_model(model, params, inputs)
        target = adapter_for(model).target(model, rename=rename, shards=shards, prefix=self.prefix)
        pairs = match_rows(self.rows, self.library, target)
        return audit_slots(target, pairs, self.seed, build)

    def verify(
        self,
        model: Any,
        seed: int | None = None,
        *,
        params: Any = None,
        inputs: Any = None,
        rename: Mapping[str, str] | None = None,
        shards: Mapping[str, Any] | None = None,
        prefix: str | None = None,
        build: Callable[[], Any] | None = None,
    ) -> None:
        """Draw every weight again and compare bit by bit; compute every buffer again.

        Args:
            model: one that this plan was applied to; it is read alone.
            seed: by default the plan's own; 0 where it has none.
            params: the variables or parameters, where the model is a module of Flax Linen or a
                function, which do not hold them.
            inputs: what it is called with, as of `apply_params`.
            rename: canonical names by the model's own.
            shards: (global shape, index) by name, of local tensors that are no DTensors.
            prefix: as of `fanin.plan`; by default the plan's own.
            build: makes the model once more, as of `audit`.

        Returns None where all values are those that the plan draws, and those of buffers what the
        constructor computes, as far as it is known. Raises FaninError that names what differs.

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
        model = open_model(model, params, inputs)
        target = adapter_for(model).target(model, rename=rename, shards=shards, prefix=before)
        hint = " This plan was never applied: say which seed." if unsaid else ""
        refuse_unlike(self.rows, self.library, target, seed, build, hint)

    def diff(self, other: "Plan | Any", params: Any = None) -> tuple[str, ...]:
        """What differs from another plan, or in names and shapes from a model.

        Args:
            other: a plan, whose rows are compared, or a model, whose parameters are.
            params: the variables or parameters of a model that does not hold them.

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
            return differences(self.rows, other.rows)
        model = open_model(other, params)
        return tuple(differences_from(self.rows, self.library, adapter_for(model).target(model)))

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
        return _file.write(self._to_dict(), path)

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

    def _to_dict(self) -> dict[str, Any]:
        """What the plan's file says, as JSON would hold it."""
        return _file.to_dict(
            self.recipe, self.rows, self.notes, self.seed, self.prefix, self.library
        )

    def _seed(self, given: int | None) -> int:
        """The seed to draw with: the one given, else the plan's own, else 0."""
        return check_seed(given) if given is not None else self.seed or 0
