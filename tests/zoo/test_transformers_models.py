"""Networks of transformers; skipped where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from compressbench.zoo.transformers_models import transformers_model

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def test_the_head_of_a_network_of_transformers_goes_by_the_task() -> None:
    classifier = transformers_model("bert", classes=3, vocabulary=11, length=8, options=TINY).eval()
    assert classifier(torch.zeros(2, 8, dtype=torch.int64)).shape == (2, 3)
    pictures = transformers_model("vit", 3, None, 1, 32, options={**TINY, "patch_size": 8}).eval()
    assert pictures(torch.zeros(2, 1, 32, 32)).shape == (2, 3)
    small = {"n_embd": 16, "n_layer": 1, "n_head": 2}
    speaker = transformers_model("gpt2", vocabulary=11, context=8, options=small).eval()
    assert speaker(torch.zeros(2, 8, dtype=torch.int64)).shape == (2, 8, 11)


@pytest.mark.parametrize(
    ("name", "said", "why"),
    [
        ("bert", {"classes": 3}, "bert takes images or tokens, and the task has neither"),
        ("bret", {"classes": 3, "vocabulary": 5}, "bret of transformers cannot be built"),
        ("resnet", {"classes": 3, "vocabulary": 5}, "resnet of transformers cannot be built: .Unrecognized"),
        ("bert", {"classes": 3, "vocabulary": 5, "options": {"layers": 2}}, "configuration of bert has no 'layers'"),
    ],
)
def test_what_does_not_go_is_said_in_one_sentence(name: str, said: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        transformers_model(name, **said)  # type: ignore[arg-type]
