"""PACT: the limits of the activations are learned with the weights."""

import pytest
import torch
from torch import nn

from compressbench.core.format import Codebook
from compressbench.layers.activations import PactActivation
from compressbench.packing.packed_file import read, write
from compressbench.techniques.quantization.pact import PactNetwork
from tests.techniques.lending import ALEXNET, BND, StageContext, bare, subject_of, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, assert_stored_exactly, learned


def pact(bits=2, **changes):
    given = {"weight_bits": bits, "activation_bits": bits, "alpha": 10.0, "targets": ["conv", "linear"]}
    return trained_by(PactNetwork, **{**FIELDS, **given, "ignore": ["first", "last"], "kept_bits": 32, **changes})


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
    lent = StageContext()
    lent.train = lambda subject, training, objective=None, hooks=(): subject
    assert alphas(pact(alpha=4.0).apply(subject_of(ALEXNET, **BND), lent)) == [4.0] * 7


def lines_and_halves():
    """A network whose two ReLUs see the image and half of it; 100 images of one pixel, -49 to 50."""
    double, half = nn.Linear(1, 1), nn.Linear(1, 1)
    for layer, factor in ((double, 1.0), (half, 0.5)):
        nn.init.constant_(layer.weight, factor)
        nn.init.zeros_(layer.bias)
    lent = StageContext(channels=1, side=1)
    lent.train = lambda subject, training, objective=None, hooks=(): subject
    pixels = torch.arange(-49.0, 51.0).reshape(-1, 1, 1, 1)
    lent.calibration = lambda batch_size, batches: iter([(pixels, torch.zeros(100))])
    return bare(nn.Sequential(nn.Flatten(), double, nn.ReLU(), half, nn.ReLU())), lent


def test_limits_from_calibration_are_the_percentile_of_each_relus_inputs():
    """Of -49 to 50, 90 of 100 are 40 or less; the second ReLU sees 0 to 25 in halves, 50 of them 0: 20 is its 90 %.

    Both to a bin, 1/2048 of their range."""
    subject, lent = lines_and_halves()
    first, second = alphas(pact(percentile=0.9, ignore=[]).apply(subject, lent))
    assert 40 <= first <= 40 + 99 / 2048
    assert 20 <= second <= 20 + 25 / 2048
    subject, lent = lines_and_halves()
    assert alphas(pact(percentile=1.0, ignore=[]).apply(subject, lent)) == [50.0, 25.0]


def test_a_relu_that_lets_nothing_through_has_the_smallest_limit():
    subject, lent = lines_and_halves()
    nn.init.constant_(subject.model[1].bias, -50.0)
    assert alphas(pact(percentile=0.9, ignore=[]).apply(subject, lent)) == pytest.approx([1e-3, 1e-3])


def test_limits_move_at_a_rate_of_their_own():
    """No activation of these digits reaches 4, so weight decay alone moves the limits: a fifth as far at lr / 5."""

    def moved(**fields):
        return [4.0 - alpha for alpha in alphas(pact(2, alpha=4.0, **fields).apply(learned(), DigitsContext()))]

    own, shared = moved(lr=0.05, alpha_lr=0.01), moved(lr=0.05)
    assert min(shared) > 0.05
    assert own == pytest.approx([distance / 5 for distance in shared], rel=0.02)


def test_the_rate_of_everything_else_is_the_trainings():
    def factors(**fields):
        lent = StageContext()
        pact(epochs=1, **fields).apply(subject_of(ALEXNET, **BND), lent)
        return lent.trained[0].factors(["relu1.alpha", "conv1.weight", "alphas.weight"])

    own = {"relu1.alpha": pytest.approx(0.1), "conv1.weight": 1.0, "alphas.weight": 1.0}
    assert factors(lr=0.05, alpha_lr=0.005) == own
    assert factors(lr=0.05)["relu1.alpha"] == 1.0


def test_layers_that_are_kept_may_have_bits_of_their_own():
    subject = pact(2, kept_bits=8, epochs=1).apply(learned(), DigitsContext())
    assert subject.formats == {"1.weight": Codebook(8), "4.weight": Codebook(2), "7.weight": Codebook(8)}
    assert_stored_exactly(subject)
    assert pact(2, epochs=1).apply(learned(), DigitsContext()).formats == {"4.weight": Codebook(2)}


def test_the_decoded_network_has_its_limits_and_computes_the_same(tmp_path):
    subject = pact(4, epochs=1).apply(subject_of(ALEXNET, **BND), StageContext())
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
        ({"percentile": 0.5}, "percentile is 0.5; allowed: more than 0.5 and at most 1"),
        ({"percentile": 97.0}, "percentile is 97"),
        ({"alpha_lr": 0.0}, "alpha_lr is 0.0; allowed: more than 0"),
    ],
)
def test_fields_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        pact(**fields)
