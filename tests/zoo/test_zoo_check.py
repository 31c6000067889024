"""fanin.check on models of timm and transformers: known to train, so no error is right."""

import pytest

import fanin
from bench.zoo import models

pytestmark = [
    pytest.mark.zoo,
    pytest.mark.filterwarnings("default"),  # the models' own libraries warn
]

NAMES = (
    "resnet18",
    "vit_tiny_patch16_224",
    "convnext_atto",
    "mixer_s32_224",
    "efficientnet_b0",
    "regnetx_002",
    "swin_tiny_patch4_window7_224",
    "coat_lite_tiny",  # a branch of tokens that the readout does not read
    "cait_xxs24_224",  # branches scaled by 1e-5
    "transformers/gpt2",
    "transformers/llama",
    "transformers/bert",
    "transformers/t5",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("own", [True, False], ids=["own", "fanin"])
def test_no_false_error(name: str, own: bool) -> None:
    import torch

    torch.manual_seed(0)
    factory, inputs = models.build(name)
    model = factory()
    if not own:
        fanin.initialize(model, seed=0, inputs=inputs)
    checkup = fanin.check(model, inputs)
    assert checkup.ok("warning" if not own else "error"), checkup
