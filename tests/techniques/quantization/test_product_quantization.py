"""Q-CNN: code words for runs of input channels, corrected on calibration images (Wu et al. 2016)."""

from __future__ import annotations

from math import log2
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.format import Coding, Product
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.packing.packed_file import entries, write
from compressbench.techniques.quantization.product_quantization import ProductQuantization
from tests.techniques.lending import StageContext, bare, seeded, subject_of
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)

LENET = "compressbench.zoo.lenet.LeNet5"


def product(**fields: Any) -> ProductQuantization:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "conv_dimension": 4, "conv_bits": 5}
    own |= {"linear_dimension": 4, "linear_bits": 4, "k_means_rounds": 10, "correction_rounds": 2}
    return ProductQuantization(**{**own, "correction_images": 64, "retrain": None, **fields})


def lenet() -> Subject:
    return subject_of(LENET, 1, image_size=16)


def distance(subject: Subject, images: torch.Tensor) -> float:
    """Return how far the logits are from those of the network before, relative."""
    with torch.no_grad():
        before, after = lenet().model.eval()(images), subject.model.eval()(images)
    return float((after - before).square().sum() / before.square().sum())


def test_a_tensor_in_the_file_is_as_long_as_the_paper_says(tmp_path: Path) -> None:
    """LeNet-5 on 16 x 16. conv2 has 20 input channels: 5 code books of 32 words of 4 floats, and 5 bits for each of
    5 x 50 x 25 places. fc2 has 500: 125 code books of 4 words of 4 floats, and 2 bits for each row. The file
    adds a byte a code book, its number of words."""
    subject = product(targets=["conv2", "fc2"], linear_bits=2).apply(lenet(), StageContext(1, 16))
    subject.coding = Coding(("fixed",))
    write(subject, tmp_path / "model.cbp")
    found = {entry.name: entry for entry, _ in entries(tmp_path / "model.cbp")}
    for name, books, words, places in (("conv2", 5, 32, 50 * 25), ("fc2", 125, 4, 10)):
        entry = found[f"{name}.weight"]
        assert entry.format == Product(4)
        assert entry.coded_bytes == pytest.approx(books * places * log2(words) / 8, abs=1)
        assert entry.side_bytes <= 4 * books * words * 4 + books
        assert entry.side_bytes > 0.9 * 4 * books * words * 4, "a word that no run is nearest to is not stored"


def test_layers_whose_channels_cannot_be_split_are_reported_or_refused_by_name() -> None:
    subject = product(conv_dimension=8).apply(lenet(), StageContext(1, 16))
    reasons = {skipped.what: skipped.why for skipped in subject.skipped}
    assert reasons == {
        "conv1": "its 1 input channels cannot be split into runs of 8",
        "conv2": "its 20 input channels cannot be split into runs of 8",
        "fc1": "its 50 input channels cannot be split into runs of 4",
    }
    assert subject.formats == {"fc2.weight": Product(4)}
    with pytest.raises(ValueError, match="conv2 cannot be quantized: its 20 input channels"):
        product(targets=["conv2", "fc2"], conv_dimension=8).apply(lenet(), StageContext(1, 16))


def test_grouped_convolutions_are_reported() -> None:
    model = nn.Sequential(nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, 3, padding="same"), nn.Conv2d(8, 8, 3))
    subject = product().apply(bare(model), StageContext(8, 8))
    assert [skipped.what for skipped in subject.skipped] == ["0", "1"]
    assert subject.formats == {"2.weight": Product(4)}


def test_error_correction_brings_the_logits_nearer() -> None:
    context = StageContext(1, 16)
    plain = distance(product(correction_rounds=0).apply(lenet(), StageContext(1, 16)), context.images)
    corrected = distance(product(correction_rounds=3).apply(lenet(), StageContext(1, 16)), context.images)
    assert corrected < 0.3 * plain


def test_strides_padding_and_dilation_are_those_of_the_layer() -> None:
    """With as many words as runs there is no error to correct, whatever the layer reads."""
    model = seeded(lambda: nn.Sequential(nn.Conv2d(8, 4, 3, stride=2, padding=(1, 2), dilation=2)))
    before = model[0].weight.detach().clone()
    subject = product(conv_bits=8).apply(bare(model), StageContext(8, 12))
    assert torch.allclose(subject.model.get_parameter("0.weight"), before, atol=1e-5)


def test_a_trained_network_keeps_its_accuracy_and_its_words_can_be_trained() -> None:
    before, coarse = accuracy(learned()), {"linear_bits": 3}
    means = accuracy(product(**coarse, correction_rounds=0).apply(learned(), DigitsContext()))
    corrected = product(**coarse).apply(learned(), DigitsContext())
    trained = product(**coarse, retrain=TrainingConfig(**FIELDS)).apply(learned(), DigitsContext())  # type: ignore[arg-type]
    assert before - 0.05 < accuracy(corrected)
    assert means < accuracy(corrected)
    assert before - 0.02 < accuracy(trained)
    for subject in (corrected, trained):
        assert_stored_exactly(subject)
        assert_plain(subject)
        runs = subject.model.get_parameter("4.weight").detach().view(64, 16, 4)
        assert all(len(runs[:, group].unique(dim=0)) <= 8 for group in range(16))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conv_dimension", 0),
        ("linear_dimension", -1),
        ("conv_bits", 16),
        ("linear_bits", -1),
        ("k_means_rounds", -1),
        ("correction_rounds", -1),
        ("correction_images", 0),
    ],
)
def test_fields_out_of_range_are_refused(key: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{key} is {value}; allowed"):
        product(**{key: value})
