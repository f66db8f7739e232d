"""BNN: weights and activations of one bit, in the file too."""

import math
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressbench.core.format import Binary, Coding
from compressbench.core.training import TrainingConfig
from compressbench.packing.packed_file import entries, read, write
from compressbench.techniques.quantization.bnn import BinarizedNeuralNetwork, glorot_bound
from tests.techniques.lending import ALEXNET, BND, StageContext, bare, seeded, subject_of, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, assert_stored_exactly, learned

ADAM = {**FIELDS, "lr": 0.01, "optimizer": "adam", "weight_decay": 0.0}


def bnn(**changes):
    return trained_by(
        BinarizedNeuralNetwork,
        **{**ADAM, "targets": ["conv", "linear"], "ignore": [], "latent_mean": 0.3, "pool_first": False, **changes},
    )


def alexnet():
    return bnn(epochs=1, pool_first=True).apply(subject_of(ALEXNET, **BND), StageContext())


@contextmanager
def seeing_operands(monkeypatch):
    """Collect the inputs and weights that torch's convolution and matrix product really get."""
    seen = []
    for kind in ("conv2d", "linear"):
        real = getattr(functional, kind)

        def see(input, weight, *rest, real=real):
            seen.append((input.detach().clone(), weight.detach().clone()))
            return real(input, weight, *rest)

        monkeypatch.setattr(functional, kind, see)
    yield seen
    monkeypatch.undo()


def test_weights_and_activations_are_plus_or_minus_one_in_the_decoded_network(tmp_path, monkeypatch):
    write(alexnet(), tmp_path / "model.cbp")
    model = read(tmp_path / "model.cbp").model
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with seeing_operands(monkeypatch) as operands, torch.no_grad():
        model(images)
    assert len(operands) == 8
    for input, weight in operands[1:]:
        assert input.unique().tolist() == [-1, 1]
        assert weight.unique().tolist() == [-1, 1]
    assert torch.equal(operands[0][0], images), "the first input stays real"
    assert operands[0][1].unique().tolist() == [-1, 1]


def test_a_weight_takes_one_bit_of_the_file(tmp_path):
    subject = alexnet()
    subject.coding = Coding(("fixed",))
    write(subject, tmp_path / "model.cbp")
    binary = [entry for entry, _ in entries(tmp_path / "model.cbp") if entry.format == Binary()]
    assert len(binary) == 8
    for entry in binary:
        count = subject.model.get_parameter(entry.name).numel()
        assert entry.coded_bytes == -(-count // 8)
        assert entry.side_bytes <= 4, "one scale, which is 1"


def test_digits_are_learned_from_trained_weights():
    subject = bnn(epochs=20).apply(learned(), DigitsContext())
    assert accuracy(subject) > 0.93
    assert_stored_exactly(subject)
    assert set(subject.formats) == {"1.weight", "4.weight", "7.weight"}
    assert all(form == Binary() for form in subject.formats.values())


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "hinge", "squared_hinge"])
def test_digits_are_learned_from_scratch_with_every_loss(loss):
    layers = [nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    subject = bare(seeded(lambda: nn.Sequential(*layers, nn.Linear(512, 10))))
    technique = bnn(epochs=10, loss=loss, latent_mean=None)  # signs drawn at random should flip easily
    assert accuracy(technique.apply(subject, DigitsContext())) > 0.9


def test_the_network_computes_after_training_what_it_computed_while_it_was_trained():
    subject = bnn(epochs=1).apply(learned(), DigitsContext())
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before = subject.model(images)
    for name in subject.formats:
        layer = subject.model.get_submodule(name.removesuffix(".weight"))
        assert torch.equal(layer.weight, torch.where(layer.weight >= 0, 1.0, -1.0))
    assert torch.equal(subject.model(images), before)


def test_later_training_moves_everything_but_the_binary_weights():
    subject = bnn(epochs=1).apply(learned(), DigitsContext())
    before = {name: parameter.detach().clone() for name, parameter in subject.model.named_parameters()}
    DigitsContext().train(subject, TrainingConfig(**{**FIELDS, "epochs": 1}))
    moved = {name for name, parameter in subject.model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved.isdisjoint(subject.formats)
    assert {"2.weight", "7.norm_weight"} <= moved


@pytest.mark.parametrize(("latent_mean", "expected"), [(0.3, 0.3), (None, 0.5)])
def test_latent_weights_start_with_the_mean_they_are_told_and_keep_their_signs(latent_mean, expected):
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    with torch.no_grad():
        model[1].weight.copy_(0.5 * signs)
    lent, seen = StageContext(channels=2, side=1), []

    def train(subject, training, objective=None, hooks=()):
        seen.append(subject.model.get_parameter("1.parametrizations.weight.original").detach().clone())
        return subject

    lent.train = train
    bnn(latent_mean=latent_mean).apply(bare(model), lent)
    assert torch.allclose(seen[0], expected * signs)


def test_a_mean_beyond_the_clipping_is_refused():
    with pytest.raises(ValueError, match=r"latent_mean is 1\.5; allowed: more than 0 and at most 1"):
        bnn(latent_mean=1.5)


def test_latent_weights_are_kept_between_minus_one_and_one_while_they_are_trained():
    lent, seen = StageContext(), []
    real = lent.train

    def train(subject, training, objective=None, hooks=()):
        trained = real(subject, training, objective, hooks)
        name = "conv2.parametrizations.weight.original"
        seen.append(float(trained.model.get_parameter(name).detach().abs().max()))
        return trained

    lent.train = train
    bnn(epochs=3, lr=50.0).apply(subject_of(ALEXNET, **BND), lent)
    assert seen == [1.0]


def test_latents_move_in_glorots_range_as_fast_as_the_authors_code_moves_them():
    # The authors' W_LR_scale, 1 / bound, times their rate of 0.001, for the survey's AlexNet, counted by hand.
    shapes = [(64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3)]
    shapes += [(512, 256), (512, 512), (10, 512)]
    rates = [0.001 / glorot_bound(torch.empty(shape)) for shape in shapes]
    assert rates == pytest.approx([0.0735, 0.0653, 0.0588, 0.0620, 0.0554, 0.0226, 0.0261, 0.0187], abs=5e-5)


def test_latent_weights_stay_in_glorots_range_while_they_are_trained():
    largest = []

    class Looking(StageContext):
        def train(self, subject, training, objective=None, hooks=()):
            subject = super().train(subject, training, objective, hooks)
            weights = dict(subject.model.named_parameters())["conv1.parametrizations.weight.original"]
            largest.append(float(weights.abs().max()))
            return subject

    subject = subject_of(ALEXNET, **BND)
    bnn(epochs=1, latent_mean=None, latent_range="glorot").apply(subject, Looking())
    assert largest == [pytest.approx(math.sqrt(1.5 / (67 * 121)))]


def test_an_unknown_latent_range_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="latent_range is 'glorrot'; did you mean 'glorot'"):
        bnn(latent_range="glorrot")
