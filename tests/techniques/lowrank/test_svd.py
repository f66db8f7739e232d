"""What a truncated layer computes, how far it is from the layer, and what it costs."""

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.subject import Subject
from compressbench.metrics.parameters import parameter_counts
from compressbench.techniques.lowrank._ranks import rank_by_energy, rank_by_ratio
from compressbench.techniques.lowrank._truncation import decomposed
from compressbench.techniques.lowrank.svd import SvdFactorization
from tests.techniques.lending import StageContext, bare, seeded


def svd(*targets: str, ignore: tuple[str, ...] = (), rank=None, energy=None, ratio=0.5, ranks=None) -> SvdFactorization:
    return SvdFactorization(list(targets), list(ignore), rank, energy, ratio, ranks or {})


def network() -> Subject:
    """A convolution, one in two groups, and two linear layers."""
    return bare(
        seeded(
            lambda: nn.Sequential(
                nn.Conv2d(3, 8, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(8, 12, (3, 5), padding=(0, 2), groups=2, bias=False),
                nn.Flatten(),
                nn.Linear(12 * 2 * 4, 30),
                nn.Linear(30, 10),
            )
        ).eval()
    )


def images() -> Tensor:
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_error_of_a_linear_layer_is_the_discarded_singular_values():
    subject = network()
    before = subject.model[4].weight.detach().clone()
    made = svd("4", rank=7).apply(subject, StageContext()).model[4]
    after = made.expand.weight @ made.reduce.weight
    discarded = torch.linalg.svdvals(before.double())[7:].square().sum().sqrt()
    assert (before - after).norm().item() == pytest.approx(float(discarded), rel=1e-4)
    assert (made.reduce.weight.shape, made.expand.weight.shape) == ((7, 96), (30, 7))
    assert made.reduce.weight.norm().item() == pytest.approx(made.expand.weight.norm().item(), rel=1e-4)


def test_the_error_of_a_convolution_in_groups_is_the_discarded_singular_values_of_each_group():
    subject = network()
    before = subject.model[2].weight.detach().clone()
    made = svd("2", rank=3).apply(subject, StageContext()).model[2]
    left, right = made.expand.weight.flatten(1).view(2, 6, 3), made.reduce.weight.flatten(1).view(2, 3, 60)
    after = (left @ right).view_as(before)
    discarded = torch.linalg.svdvals(before.flatten(1).view(2, 6, 60).double())[:, 3:].square().sum().sqrt()
    assert (before - after).norm().item() == pytest.approx(float(discarded), rel=1e-4)


def test_at_full_rank_the_network_computes_what_it_did(monkeypatch):
    monkeypatch.setattr("compressbench.techniques.lowrank.svd.grows", lambda *given: "")
    whole, subject = network(), network()
    made = svd("conv", "linear", ranks={"0": 8, "2": 6, "4": 30, "5": 10}, rank=1).apply(subject, StageContext())
    assert [type(layer).__name__ for layer in made.model] == ["Chain", "ReLU", "Chain", "Flatten", "Chain", "Chain"]
    assert torch.allclose(made.model(images()), whole.model(images()), atol=1e-5)


def test_eq_14_counted_by_hand():
    """A 100 x 300 matrix of which half stays: r < 0.5 * 30,000 / 400 = 37.5; at 160 for a unit, a tie is not less."""
    assert rank_by_ratio(30_000, 400, 0.5) == 37
    assert rank_by_ratio(32_000, 160, 0.5) == 99
    assert rank_by_ratio(30_000, 400, 0.999) == 1


def test_the_energy_that_stays_decides_the_rank():
    values = torch.tensor([[3.0, 2.0, 1.0]])  # squares 9, 4, 1 of 14
    assert [rank_by_energy(values, energy) for energy in (0.5, 9 / 14, 0.65, 13 / 14, 0.99, 1.0)] == [1, 1, 2, 2, 3, 3]
    assert rank_by_energy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), 13 / 14) == 2  # 4 and 10 of 14


def test_half_of_the_weights_go():
    subject = network()
    biases = 30 + 10
    before = sum(subject.model[place].weight.numel() for place in (4, 5))
    made = svd("linear").apply(subject, StageContext())
    count = sum(parameter_counts(made.model[place])["params"] for place in (4, 5)) - biases
    assert 0.4 * before < count < 0.5 * before


def test_a_layer_that_would_grow_is_left_and_said_or_refused_by_name():
    made = svd("linear", rank=9).apply(network(), StageContext())
    assert isinstance(made.model[5], nn.Linear)
    assert [(each.what, each.why) for each in made.skipped] == [
        ("5", "rank 9 takes 360 weights, where the layer has 300 (Eq. 14)")
    ]
    with pytest.raises(ValueError, match="5 cannot be factored: rank 10 takes 400 weights"):
        svd("5", energy=1.0).apply(network(), StageContext())


def test_what_cannot_be_factored_is_said():
    subject = network()
    subject.constrain(Mask("4.weight", torch.ones(30, 96, dtype=torch.bool)))
    with pytest.raises(ValueError, match="4 cannot be factored: promises about its weights"):
        svd("4").apply(subject, StageContext())
    tied = bare(nn.Sequential(nn.Embedding(30, 10), nn.Linear(10, 30), nn.Linear(30, 10)))
    tied.model[1].weight = tied.model[0].weight
    made = svd("linear").apply(tied, StageContext())
    assert [(each.what, each.why) for each in made.skipped] == [("1", "its weight is also 0.weight")]


def test_fields_out_of_range_are_refused():
    for fields in ({"rank": 0}, {"energy": 0.0}, {"energy": 1.1}, {"ranks": {"fc": 0}}, {"rank": 2, "energy": 0.5}):
        with pytest.raises(ValueError, match=next(iter(fields))):
            svd("linear", **fields)


def test_large_matrices_are_decomposed_as_small_ones_are(monkeypatch):
    matrix = torch.randn(2, 12, 30, generator=torch.Generator().manual_seed(0))
    exact = decomposed(matrix)
    monkeypatch.setattr("compressbench.techniques.lowrank._truncation.LARGE", 5)
    for given in (matrix, matrix.mT):
        found = decomposed(given)
        assert torch.allclose(found.values, exact.values.float(), atol=1e-4)
        assert torch.allclose(found.left * found.values[:, None] @ found.right, given, atol=1e-4)


def test_a_transformer_computes_with_factored_layers():
    made = bare(seeded(lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)).eval())
    tokens = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    before = made.model(tokens)
    svd("linear1", "linear2", rank=5).apply(made, StageContext())
    with torch.no_grad():  # where torch would take one kernel for all of it
        after = made.model(tokens)
    assert after.shape == before.shape
    assert not torch.allclose(after, before, atol=1e-4)


def test_an_encoder_with_factored_layers_takes_padding():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    made = bare(seeded(lambda: nn.TransformerEncoder(layer, 1)).eval())
    svd("layers.0.linear1", rank=5).apply(made, StageContext())
    tokens = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    padding = torch.tensor([[False] * 4, [False, False, True, True]])
    expected = made.model(tokens, src_key_padding_mask=padding)[~padding]
    with torch.no_grad():  # where torch would leave the padding out, and look for the layer's weights
        found = made.model(tokens, src_key_padding_mask=padding)[~padding]
    torch.testing.assert_close(found, expected.detach())
