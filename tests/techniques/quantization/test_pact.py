"""PACT: the limits of the activations are learned with the weights."""

import pytest
import torch

from compressbench.core.format import Codebook
from compressbench.layers.activations import PactActivation
from compressbench.packing.packed_file import read, write
from compressbench.techniques.quantization.pact import PactNetwork
from tests.techniques.lending import ALEXNET, BND, LentContext, subject_of
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, assert_stored_exactly, learned


def pact(bits=2, **changes):
    given = {"weight_bits": bits, "activation_bits": bits, "alpha": 10.0, "layers": ["conv", "linear"]}
    return PactNetwork(**{**FIELDS, **given, "keep": ["first", "last"], "kept_bits": 32, **changes})


def alphas(subject):
    return [module.alpha.item() for module in subject.model.modules() if isinstance(module, PactActivation)]


@pytest.mark.parametrize(("bits", "least"), [(2, 0.93), (4, 0.95)])
def test_digits_are_learned_and_every_limit_moves(bits, least):
    subject = pact(bits, alpha=6.0).apply(learned(), DigitsContext())
    assert accuracy(subject) > least
    assert_stored_exactly(subject)
    assert len(alphas(subject)) == 2
    assert all(0 < alpha < 6 for alpha in alphas(subject)), "weight decay and rounding pull the limits down"


def test_the_limits_start_where_they_are_told():
    lent = LentContext()
    lent.train = lambda subject, training, penalty=None: subject
    assert alphas(pact(alpha=4.0).apply(subject_of(ALEXNET, **BND), lent)) == [4.0] * 7


def test_layers_that_are_kept_may_have_bits_of_their_own():
    subject = pact(2, kept_bits=8, epochs=1).apply(learned(), DigitsContext())
    assert subject.formats == {"1.weight": Codebook(8), "4.weight": Codebook(2), "7.weight": Codebook(8)}
    assert_stored_exactly(subject)
    assert pact(2, epochs=1).apply(learned(), DigitsContext()).formats == {"4.weight": Codebook(2)}


def test_the_decoded_network_has_its_limits_and_computes_the_same(tmp_path):
    subject = pact(4, epochs=1).apply(subject_of(ALEXNET, **BND), LentContext())
    write(subject, tmp_path / "model.cbp")
    decoded = read(tmp_path / "model.cbp")
    assert alphas(decoded) == alphas(subject)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(decoded.model(images), subject.model.eval()(images))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"activation_bits": 32}, "activation_bits is 32; allowed: 1 to 8"),
        ({"alpha": 0.0}, "alpha is 0.0; allowed: more than 0"),
        ({"kept_bits": 12}, "kept_bits is 12"),
    ],
)
def test_fields_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        pact(**fields)
