"""The recipes of low-rank adapters that start from the weight, its inputs or its gradient."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fanin.errors import FaninError, quote, suggestion
from fanin.graph import Graph, Use
from fanin.initializers import Initializer
from fanin.recipes._adapters import LowRankUpdate, find_adapters
from fanin.recipes._choice import Choice
from fanin.recipes._default import DEFAULT
from fanin.recipes._factors import STARTS, Evidence, UpdateStart
from fanin.recipes._recipe import GivenInitializers, Needs, Params, Probe, Recipe
from fanin.streams import Array


def lora(start: str, loss: Callable[[Any], Any] | None = None) -> Recipe:
    """Low-rank updates W + s B A of frozen weights, made of W, of its inputs or of a gradient.

    Args:
        start: "pissa" (the largest singular values of W), "milora" (the smallest), "olora" (a QR
            decomposition), "mica" (left vectors of the smallest singular values, A zero), "eva"
            (principal directions of W's inputs, B zero), "corda" (singular values of W times
            E[x x^T] of its inputs), or "lora_ga" (singular vectors of the loss's gradient by W).
        loss: for "lora_ga", a function of the model's output that gives one number; not needed
            where the model returns its loss, as those of transformers do when given labels.

    The model computes what it did: what the update starts with is taken from W, which `pissa`,
    `milora`, `olora`, `corda` and `lora_ga` so change, too. The updates and s are found in the run;
    tables and convolutions are left to `auto`, as is all else. `eva`, `corda` and `lora_ga` run on
    the batch, dropout off: real data, as many as there is room for.

    Nothing depends on the seed. Values are those of the decomposition, in float64: they agree
    between machines up to its rounding, where no two singular values are equal. The plan stores
    their hash, by which `verify` compares; one that was applied or read from a file cannot make
    them again, and draws them into a model that has them already, or not at all.

    Returns the recipe, which needs values; the names alone will do as `recipe=`. Planning raises
    FaninError where the model has no such update, a weight is quantized and would have to change,
    or inputs or gradient are the same everywhere.

    Source: PiSSA, arXiv 2404.02948; MiLoRA, 2406.09044; OLoRA, 2406.01775; MiCA, 2604.01694; EVA,
    2410.07170; CorDA, 2406.05223; LoRA-GA, 2407.05000. peft 0.21 gives the same products.

    >>> import fanin, torch
    >>> from torch import nn
    >>> class Update(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.base = nn.Linear(16, 32).requires_grad_(False)
    ...         self.a, self.b = nn.Linear(16, 4, bias=False), nn.Linear(4, 32, bias=False)
    ...     def forward(self, x):
    ...         return self.base(x) + 2 * self.b(self.a(x))
    >>> model, x = Update(), torch.randn(8, 16)
    >>> with torch.no_grad():
    ...     _ = model.b.weight.zero_()
    >>> before = model(x)
    >>> plan = fanin.initialize(model, 0, x, recipe=lora("pissa"))
    >>> torch.allclose(model(x), before, atol=1e-5), model.b.weight.norm() > 1
    (True, tensor(True))
    >>> plan["a.weight"].why
    'pissa: the largest singular values of the weight'
    """
    if not isinstance(start, str) or start not in STARTS:
        raise FaninError(f"start of lora is {quote(start)}{suggestion(str(start), [*STARTS])}")
    chosen = STARTS[start]
    if loss is not None and not ("gradient" in chosen.reads and callable(loss)):
        raise FaninError(
            f"loss of lora({start!r}) is {quote(loss)}; it is a function of the model's output, "
            "for 'lora_ga' alone."
        )

    def measuring(probe: Probe) -> Recipe:
        def choose(
            params: Params, graph: Graph | None, given: GivenInitializers
        ) -> dict[str, Choice]:
            assert graph is not None
            choices = DEFAULT.choose(params, graph, given)
            return choices | _Updates(chosen, loss, probe, params).choose(graph, given, choices)

        return replace(recipe, choose=choose, needs="graph", measuring=None)

    needs: Needs = "values" if chosen.reads == {"weight"} else "data"
    recipe = Recipe(chosen.name, _choose_unmeasured, chosen.source, needs, measuring)
    return recipe


def _choose_unmeasured(
    params: Params, graph: Graph | None, given: GivenInitializers
) -> dict[str, Choice]:
    raise FaninError("a recipe of low-rank updates needs a model: pass it to fanin.initialize.")


class _Updates:
    """All updates of one model."""

    def __init__(
        self, start: UpdateStart, loss: Callable[[Any], Any] | None, probe: Probe, params: Params
    ) -> None:
        self.start, self.loss, self.probe, self.params = start, loss, probe, params

    def choose(
        self, graph: Graph, given: GivenInitializers, others: Mapping[str, Choice]
    ) -> dict[str, Choice]:
        """The choices of A, of B, and of W where it changes, of all updates that are drawn."""
        found = find_adapters(graph, self.params)
        if not found:
            raise FaninError(
                f"recipe {self.start.name} found no low-rank update W x + s B A x of a frozen "
                "weight W in this run. Add the adapters first, as peft.get_peft_model does; DoRA's "
                "and those of convolutions and tables are no such updates."
            )
        drawn = [adapter for adapter in found if self._is_drawn(adapter, given)]
        names = [adapter.base.name for adapter in drawn]
        reads = self.start.reads
        inputs = self.probe.measure_inputs(names) if "inputs" in reads else {}
        slopes = self.probe.differentiate(names, self.loss) if "gradient" in reads else {}
        made: dict[str, Choice] = {}
        for adapter in drawn:
            name = adapter.base.name
            seen = Evidence(self._turn(adapter.base, np.empty(self.params[name].shape)).shape)
            if name in inputs:
                seen = seen._replace(mean=inputs[name][0], second=inputs[name][1])
            if name in slopes:
                seen = seen._replace(gradient=self._turn(adapter.base, slopes[name]))
            made |= self._start(adapter, seen, others)
        return made

    def _is_drawn(self, adapter: LowRankUpdate, given: GivenInitializers) -> bool:
        """Whether neither factor is held or given; FaninError where one alone is."""
        names = [adapter.first.name, adapter.last.name]
        apart = [name for name in names if name in given or self.params[name].kept_rms is not None]
        if len(apart) == 1:
            raise FaninError(
                f"{apart[0]} of shape {self.params[apart[0]].shape} is held or given, and recipe "
                f"{self.start.name} makes {' and '.join(names)} together. Name both, or none, in "
                "only=, keep= and overrides=."
            )
        return not apart

    def _start(
        self, adapter: LowRankUpdate, seen: Evidence, others: Mapping[str, Choice]
    ) -> dict[str, Choice]:
        base, first, last = adapter.base, adapter.first, adapter.last
        before = adapter.factor * self._read(last) @ self._read(first)
        if "weight" in self.start.reads:
            seen = seen._replace(weight=self._read(base) + before)
        shape = self.params[base.name].shape
        if not all(np.isfinite(values).all() for values in (before, *seen[1:])):
            raise FaninError(
                f"{base.name} of shape {shape}: it, its adapter, its inputs or its gradient hold "
                f"values that are not finite, and recipe {self.start.name} cannot read them. Load "
                "the checkpoint again, and look at the batch."
            )
        try:
            factors = self.start.make(seen, adapter.rank, adapter.factor)
        except FaninError as error:
            raise FaninError(f"{base.name} of shape {shape}: {error}") from None
        why = f"{self.start.name}: {self.start.what}"
        made = {
            use.name: Choice(self._store(use, values), "adapter", why, use.axes)
            for use, values in ((first, factors.first), (last, factors.last))
        }
        after = adapter.factor * self._read(last) @ self._read(first)  # as their types round it
        if (after != before).any():
            role = others[base.name].role if base.name in others else "linear"
            why = (
                f"{self.start.name}: less what its update starts with, which a file of the adapter "
                "alone does not hold"
            )
            moved = self._store(base, self._read(base) + before - after)
            made[base.name] = Choice(moved, role, why, base.axes)
        return made

    def _read(self, use: Use) -> Array:
        return self._turn(use, self.probe.read(use.name))

    def _store(self, use: Use, values: Array) -> Initializer:
        return self.probe.store(use.name, self._turn(use, values))

    def _turn(self, use: Use, values: Array) -> Array:
        """A matrix as (out, in) from how it is stored, and the other way round."""
        return values if use.axes.axis("out") == 0 else values.T
