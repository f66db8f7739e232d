"""What layer norms give is made smooth, the weights that read it take the outliers over (Xiao et al. 2023)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.subject import Subject
from compressbench.data.tasks.language_modelling import LanguageModelling
from compressbench.techniques.quantization.ptq_int8 import PostTrainingInt8
from compressbench.techniques.quantization.smoothquant import SmoothQuant
from compressbench.testing.made_up import MadeUpContext
from compressbench.zoo.gpt import GPT
from tests.techniques.lending import bare, seeded


def smoothing(**fields: Any) -> SmoothQuant:
    return SmoothQuant(**{"targets": ["linear"], "ignore": [], "alpha": 0.5, "examples": 64, **fields})


def context() -> MadeUpContext:
    return MadeUpContext(LanguageModelling(11, 8))


def gpt() -> Subject:
    """Return a GPT, a channel of whose layer norms is two hundred times larger than the others."""
    subject = bare(seeded(lambda: GPT(11, 8, 16, 1, 2)).eval())
    with torch.no_grad():
        for norm in ("norm_attention", "norm_mlp"):
            subject.model.get_parameter(f"blocks.0.{norm}.weight")[3] *= 200
    return subject


def outputs(subject: Subject, given: MadeUpContext) -> Tensor:
    with torch.no_grad():
        found: Tensor = subject.model.eval()(given.inputs)
    return found


def test_a_channel_of_16_that_weights_of_1_read_is_4_and_they_are_4() -> None:
    inputs, weights = torch.tensor([16.0, 1.0, 4.0, 0.0]), torch.tensor([1.0, 1.0, 0.25, 1.0])
    assert smoothing().factors(inputs, weights).tolist() == [4, 1, 4, 1]
    assert smoothing(alpha=1.0).factors(inputs, weights).tolist() == [16, 1, 4, 1]
    assert smoothing(alpha=0.0).factors(inputs, weights).tolist() == [1, 1, 4, 1]


def test_the_function_stays_and_the_largest_inputs_are_those_of_the_weights() -> None:
    subject, given = gpt(), context()
    before = outputs(subject, given)
    subject = smoothing().apply(subject, given)
    assert torch.allclose(outputs(subject, given), before, rtol=1e-5, atol=1e-5 * float(before.abs().max()))
    technique = smoothing()
    largest = technique._largest(subject.model, ["blocks.0.norm_mlp"], given)["blocks.0.norm_mlp"]
    weights = subject.model.get_parameter("blocks.0.mlp.0.weight").detach().abs().amax(0)
    assert torch.allclose(largest, weights, rtol=1e-3)
    left = {skipped.what for skipped in subject.skipped}
    assert left == {"blocks.0.attention.project", "blocks.0.mlp.2"}


def test_int8_activations_lose_less_afterwards() -> None:
    given = context()
    before, lost = outputs(gpt(), given), []
    for smooth in (False, True):
        subject = smoothing().apply(gpt(), given) if smooth else gpt()
        int8 = PostTrainingInt8(["*.qkv", "*.mlp.0"], [], "minmax", 0.999, 8, 2).apply(subject, given)
        lost.append(float((outputs(int8, given) - before).square().mean()))
    assert lost[1] < 0.8 * lost[0]


def test_a_norm_that_something_else_reads_is_left_alone() -> None:
    class PostNorm(nn.Module):
        """As in BERT: what a layer norm gives goes on beside the layers that read it."""

        def __init__(self) -> None:
            super().__init__()
            self.embed, self.norm, self.linear = nn.Embedding(11, 6), nn.LayerNorm(6), nn.Linear(6, 6)

        def forward(self, tokens: Tensor) -> Tensor:
            hidden = self.norm(self.embed(tokens))
            found: Tensor = hidden + self.linear(hidden)
            return found

    with pytest.raises(ValueError, match=r"no layer norm that can be smoothed .norm: something else than layers uses"):
        smoothing().apply(bare(seeded(PostNorm)), context())


def test_a_norm_is_left_alone_if_a_layer_that_reads_it_is_no_target() -> None:
    subject = smoothing(ignore=["*.qkv"]).apply(gpt(), context())
    assert torch.equal(
        subject.model.get_parameter("blocks.0.norm_attention.weight"),
        gpt().model.get_parameter("blocks.0.norm_attention.weight"),
    )
    with pytest.raises(ValueError, match=r"blocks.0.mlp.2 does not read a layer norm"):
        smoothing(targets=["blocks.0.mlp.2"]).apply(gpt(), context())


@pytest.mark.parametrize(("key", "value"), [("alpha", -0.1), ("alpha", 1.1), ("examples", 0)])
def test_fields_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} is"):
        smoothing(**{key: value})
