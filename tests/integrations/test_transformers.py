"""The Trainer of transformers: a callback and `model_init=`, and what both leave alone."""

from pathlib import Path
from typing import Any

import pytest
import torch

import fanin

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
from fanin.integrations.transformers import CheckModel, InitializeModel, model_init  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore", "error::fanin.errors.FaninWarning", "ignore:.* the same numbers as another"
)
CONFIG = transformers.LlamaConfig(
    vocab_size=50,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=2,
)
IDS = torch.arange(8)[None]


def make() -> Any:
    return transformers.LlamaForCausalLM(CONFIG)


def trainer(folder: Path, rate: float = 0.0, **given: Any) -> Any:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=2,
        save_steps=1,
        learning_rate=rate,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        per_device_train_batch_size=2,
    )
    data = [{"input_ids": IDS[0], "labels": IDS[0]}] * 8
    return transformers.Trainer(args=arguments, train_dataset=data, **given)


def test_the_callback_draws_and_saves_the_plan(tmp_path: Path) -> None:
    callback, model = InitializeModel(3, {"input_ids": IDS}), make()
    trainer(tmp_path, model=model, callbacks=[callback]).train()
    assert callback.plan is not None
    callback.plan.verify(model)
    assert callback.plan.diff(fanin.plan(make(), {"input_ids": IDS})) == ()
    for step in (1, 2):
        assert fanin.Plan.load(tmp_path / f"checkpoint-{step}" / "plan.toml") == callback.plan


def test_a_checkpoint_wins(tmp_path: Path) -> None:
    first = make()
    trainer(tmp_path, 0.1, model=first, callbacks=[InitializeModel(3)]).train()
    resumed = make()
    again = trainer(tmp_path, 0.1, model=resumed, callbacks=[InitializeModel(4)])
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    for mine, theirs in zip(resumed.parameters(), first.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_resumed_training_goes_on_and_draws_nothing(tmp_path: Path) -> None:
    straight, resumed = make(), make()
    trainer(tmp_path, 0.1, model=straight, callbacks=[InitializeModel(3)]).train()
    again = trainer(tmp_path, 0.1, model=resumed, callbacks=[InitializeModel(4)])
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))  # nothing is left to do
    for mine, theirs in zip(resumed.parameters(), straight.parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_part_alone(tmp_path: Path) -> None:
    model = make()
    kept = model.model.embed_tokens.weight.clone()
    callback = InitializeModel(3, {"input_ids": IDS}, only="lm_head.*")
    trainer(tmp_path, model=model, callbacks=[callback])
    assert torch.equal(model.model.embed_tokens.weight, kept)
    callback.plan.verify(model)  # type: ignore[union-attr]
    assert str(callback.plan["lm_head.weight"].initializer) != "kept"  # type: ignore[index]


def test_model_init_is_one_line(tmp_path: Path) -> None:
    made = trainer(tmp_path, model_init=model_init(make, seed=3, inputs={"input_ids": IDS}))
    made.train()
    fanin.plan(make(), {"input_ids": IDS}).verify(made.model, 3)


def test_model_init_keeps_what_the_factory_loaded() -> None:
    """It has to be built with its memory."""
    loaded = make()
    path = "model.layers.0.mlp.up_proj.weight"

    def load() -> Any:
        model = make()
        model.load_state_dict(loaded.state_dict())
        return model

    made = model_init(load, seed=3, inputs={"input_ids": IDS}, only="lm_head.weight")()
    assert torch.equal(made.get_parameter(path), loaded.get_parameter(path))
    assert not torch.equal(made.lm_head.weight, loaded.lm_head.weight)


def test_a_model_that_is_made_later_is_told(tmp_path: Path) -> None:
    made = trainer(tmp_path, model_init=make, callbacks=[InitializeModel(3)])
    with pytest.raises(fanin.FaninError, match="was made after the Trainer, so this callback did"):
        made.train()


@pytest.mark.parametrize("start", [InitializeModel, lambda **given: model_init(make, **given)])
def test_wrong_arguments_are_told_at_once(start: Any) -> None:
    with pytest.raises(fanin.FaninError, match="unknown argument 'recipi'"):
        start(recipi="auto")
    with pytest.raises(fanin.FaninError, match="seed is 1"):
        start(seed=1.5)
    with pytest.raises(fanin.FaninError, match=r"cannot read the plan 'no\.toml'"):
        start(plan="no.toml")


def test_a_model_is_no_factory() -> None:
    with pytest.raises(fanin.FaninError, match="make is a LlamaConfig; give a function"):
        model_init(CONFIG)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": "score.*"}, "only has 'score.*', which no parameter matches"),
        ({"inputs": {"input_ids": torch.zeros(1, 3)}}, "does not run on these inputs"),
    ],
)
def test_a_wrong_model_is_left_as_it_was(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = make()
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(fanin.FaninError) as error:
        trainer(tmp_path, model=model, callbacks=[InitializeModel(3, **options)])
    assert message in str(error.value)
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("bad", [False, True])
def test_the_check_stops_a_training_that_would_fail(tmp_path: Path, bad: bool) -> None:
    checking, model = CheckModel(), make()
    if bad:
        torch.nn.init.constant_(model.model.layers[0].mlp.up_proj.weight, float("nan"))
    begun = trainer(tmp_path, 0.1, model=model, callbacks=[checking])
    if bad:
        with pytest.raises(fanin.FaninError, match="stopped before its first step"):
            begun.train()
        return
    begun.train()
    assert checking.checkup is not None
    assert checking.checkup.conditions.loss == "the model's own"
    assert not model._forward_pre_hooks
