"""XNOR-Net: signs as inputs, a sign and a scale for each filter as weights."""

import torch

from compressbench.core.format import Binary
from compressbench.packing.packed_file import entries, read, write
from compressbench.techniques.quantization.xnor import XnorNetwork
from tests.techniques.lending import ALEXNET, BND, StageContext, subject_of, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, assert_stored_exactly, learned

ADAM = {**FIELDS, "lr": 0.01, "optimizer": "adam", "weight_decay": 0.0}


def xnor(**changes):
    return trained_by(
        XnorNetwork,
        **{**ADAM, "targets": ["conv", "linear"], "ignore": ["first", "last"], "pool_first": False, **changes},
    )


def test_weights_are_the_mean_of_their_filter_with_a_sign():
    subject = subject_of(ALEXNET, **BND)
    before = {name: parameter.detach().clone() for name, parameter in subject.model.named_parameters()}
    lent = StageContext()
    lent.train = lambda subject, training, objective=None, hooks=(): subject
    model = xnor().apply(subject, lent).model
    for name in ("conv2.weight", "fc1.weight"):
        weight, latent = model.get_parameter(name), before[name]
        assert torch.equal(weight >= 0, latent >= 0)
        mean = latent.abs().flatten(1).mean(1, keepdim=True)
        assert torch.allclose(weight.abs().flatten(1), mean.expand(-1, latent[0].numel()))
    assert torch.equal(model.conv1.weight, before["conv1.weight"])
    assert torch.equal(model.fc3.weight, before["fc3.weight"])


def test_digits_are_learned():
    subject = xnor().apply(learned(), DigitsContext())
    assert accuracy(subject) > 0.9
    assert_stored_exactly(subject)
    assert subject.formats == {"4.weight": Binary()}


def test_a_filter_has_its_bits_and_one_scale_in_the_file(tmp_path):
    subject = xnor(epochs=1).apply(subject_of(ALEXNET, **BND), StageContext())
    write(subject, tmp_path / "model.cbp")
    found = {entry.name: entry for entry, _ in entries(tmp_path / "model.cbp")}
    assert found["conv2.weight"].sides == (("float32", 192),)
    assert found["conv2.weight"].coded_bytes <= 192 * 64 * 25 // 8
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(read(tmp_path / "model.cbp").model(images), subject.model.eval()(images))
