"""Models of timm and transformers, initialized and run: `make test-zoo`, docs/zoo.md.

Each weight's output has an RMS within [0.5, 2] of the plan's, widened by the finite-width band of
two standard deviations, in train and in eval mode; gradients along a stream or a chain differ by
less than 20. The seeds are fixed. What is outside is listed in bench/zoo/known.py, by model and
number: more fails, and so does a reason that is needed no longer.
"""

from collections.abc import Iterator
from typing import Any

import pytest

import fanin
from bench.zoo import judge, known, models, swept
from bench.zoo import measure as zoo

pytestmark = [
    pytest.mark.zoo,
    pytest.mark.filterwarnings("default"),  # the models' own libraries warn
]


@pytest.fixture(scope="module", params=(*models.NAMES, *swept.NAMES))
def measured(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Everything that bench/zoo/measure.py measures of a model, without its peers."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield zoo.measure(request.param)
    torch.set_num_threads(threads)


def test_every_parameter_has_a_rule(measured: dict[str, Any]) -> None:
    assert measured["auto"]["unplaced"] == []
    assert measured["bare"]["unplaced"] == []


def test_outputs_are_finite(measured: dict[str, Any]) -> None:
    assert measured["auto"]["finite"]
    assert measured["bare"]["finite"]


def test_outputs_are_as_planned(measured: dict[str, Any]) -> None:
    most, _ = known.OUTSIDE.get(measured["model"], (0, ""))
    outside = measured["auto"]["outside"]
    assert len(outside) <= most, outside
    assert bool(outside) == bool(most), "zoo_known.OUTSIDE gives a reason that is needed no longer"


def test_gradients_neither_vanish_nor_explode(measured: dict[str, Any]) -> None:
    auto = measured["auto"]
    worst = max(auto["stream"], auto["branch"])
    assert (worst[0] > judge.SPAN) == (measured["model"] in known.SPANS), worst


def test_the_list_is_as_long_as_promised() -> None:
    assert len(models.TIMM) >= 40
    assert len(models.TRANSFORMERS) >= 20
    assert known.OUTSIDE.keys() | known.SPANS.keys() <= {*models.NAMES, *swept.NAMES}


def test_transformers_leaves_what_was_drawn() -> None:
    """`post_init`, `initialize_weights` and `_init_weights` after fanin change nothing."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=2,
        n_embd=32,
        n_head=2,
        vocab_size=100,
        n_positions=16,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    plan = fanin.initialize(model, 3, {"input_ids": torch.zeros(2, 8, dtype=torch.long)})
    model.post_init()
    model.initialize_weights()
    for module in model.modules():
        model._init_weights(module)
    plan.verify(model)
