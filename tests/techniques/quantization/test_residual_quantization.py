"""Product and residual quantization: planted words are found, each stage leaves less, what cannot be is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.format import Product
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.layers.chain import Sum
from compressbench.techniques.quantization.residual_quantization import ResidualQuantization
from tests.techniques.lending import StageContext, bare
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, assert_stored_exactly, learned


def gong(**changes: Any) -> ResidualQuantization:
    given: dict[str, Any] = {"targets": ["linear"], "ignore": [], "dimension": 4, "bits": 4, "stages": 1}
    return ResidualQuantization(**{**given, "k_means_rounds": 10, "retrain": None, **changes})


def dense(weight: Tensor) -> Subject:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data.copy_(weight)
    return bare(nn.Sequential(layer))


def whole(subject: Subject, name: str = "0") -> Tensor:
    """The weight that a layer has in effect."""
    layer = subject.model.get_submodule(name)
    parts = layer.children() if isinstance(layer, Sum) else [layer]
    return sum((part.get_parameter("weight").detach() for part in parts), torch.tensor(0.0))


def test_rows_that_share_words_are_kept_to_the_bit() -> None:
    """Of 12 rows in runs of 2, each column pair has 2 different runs: 2 words say all, chosen by chance at first."""
    words = torch.tensor([[[1.0, 2.0], [-3.0, 0.5]], [[0.0, 7.0], [4.0, 4.0]]])
    chosen = torch.arange(12) % 2
    weight = torch.cat([words[0][chosen], words[1][1 - chosen]], dim=1)
    found = gong(dimension=2, bits=2).apply(dense(weight), StageContext())
    assert torch.equal(whole(found), weight)
    assert found.formats == {"0.weight": Product(2)}


def test_whole_rows_of_two_stages_are_centres_and_what_they_leave() -> None:
    """Rows 10 + 1, 10 - 1, -10 + 1, -10 - 1: two centres, +-10, then two of what is left, +-1."""
    weight = torch.tensor([[11.0, 11], [9, 9], [-9, -9], [-11, -11]])
    found = gong(dimension=0, bits=1, stages=2).apply(dense(weight), StageContext(seed=1))
    first, second = (part.weight.detach() for part in found.model[0].children())  # type: ignore[index]
    assert first.tolist() == [[10, 10], [10, 10], [-10, -10], [-10, -10]]
    assert second.abs().tolist() == [[1, 1]] * 4
    assert torch.equal(whole(found), weight)
    assert found.formats == {"0.stage1.weight": Product(2), "0.stage2.weight": Product(2)}


def test_every_stage_leaves_less_and_the_layer_computes_the_sum() -> None:
    weight = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    errors = []
    for stages in (1, 2, 3):
        subject = gong(dimension=0, stages=stages).apply(dense(weight), StageContext())
        errors.append(float((whole(subject) - weight).square().mean()))
        inputs = torch.randn(3, 16)
        bias = next(tensor for name, tensor in subject.model.named_parameters() if "bias" in name)
        assert torch.allclose(subject.model(inputs), inputs @ whole(subject).T + bias, atol=1e-5)
    assert errors[0] > 1.2 * errors[1] > 1.4 * errors[2]


def test_layers_it_cannot_take_are_reported_and_an_error_if_named() -> None:
    network = nn.Sequential(nn.Conv1d(1, 2, 1), nn.Linear(6, 8), nn.Linear(8, 8))
    found = gong(targets=["conv", "linear"]).apply(bare(network), StageContext())
    assert [(each.what, each.why.partition(",")[0]) for each in found.skipped] == [
        ("0", "it is a Conv1d"),
        ("1", "its 6 columns cannot be split into runs of 4"),
    ]
    assert list(found.formats) == ["2.weight"]
    with pytest.raises(ValueError, match="1 cannot be quantized: its 8 columns cannot be split into runs of 3"):
        gong(targets=["1"], dimension=3).apply(bare(nn.Sequential(nn.Identity(), nn.Linear(8, 8))), StageContext())
    with pytest.raises(ValueError, match="no layer is left to work on"):
        gong(dimension=5).apply(dense(torch.zeros(4, 8)), StageContext())


def test_digits_are_read_before_and_after_words_are_trained() -> None:
    lent = DigitsContext()
    plain = gong(ignore=["last"], stages=2).apply(learned(), lent)
    assert accuracy(plain) > 0.9
    training = TrainingConfig(**{**FIELDS, "epochs": 2, "lr": 0.01})  # type: ignore[arg-type]
    taught = gong(ignore=["last"], stages=2, retrain=training).apply(learned(), lent)
    assert accuracy(taught) > accuracy(plain) - 0.005
    assert_stored_exactly(taught)
    assert not taught.broken()
    assert not torch.equal(whole(taught, "4"), whole(plain, "4"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dimension": -1}, "dimension is -1; allowed: 1 or more, or 0"),
        ({"bits": 16}, "bits is 16; allowed: 0 to 15"),
        ({"stages": 0}, "stages is 0; allowed: 1 to 64"),
        ({"k_means_rounds": -1}, "k_means_rounds is -1"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gong(**fields)
