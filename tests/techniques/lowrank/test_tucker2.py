"""VBMF finds planted ranks, and a Tucker decomposition is as near as its core is large."""

import numpy as np
import pytest
import torch
from torch import nn

from compressbench.core.subject import Subject
from compressbench.metrics.parameters import parameter_counts
from compressbench.techniques.lowrank._vbmf import vbmf_rank
from compressbench.techniques.lowrank.tucker2 import Tucker2Factorization, cost, found_ranks, grouped
from tests.techniques.lending import StageContext, bare, seeded


def tucker2(*targets: str, ratio=None, ranks=None) -> Tucker2Factorization:
    return Tucker2Factorization(list(targets), [], ratio, ranks or {}, 30)


def network() -> Subject:
    return bare(
        seeded(
            lambda: nn.Sequential(
                nn.Conv2d(3, 16, 3),
                nn.Conv2d(16, 24, 3, stride=2, padding=1, bias=False),
                nn.Conv2d(24, 8, 3, groups=2),
                nn.Conv2d(8, 20, 1),
                nn.Flatten(),
                nn.Linear(20, 30),
            )
        ).eval()
    )


def planted(rows: int, columns: int, rank: int, noise: float) -> np.ndarray:
    generator = np.random.default_rng(rank)
    signal = generator.normal(size=(rows, rank)) @ generator.normal(size=(rank, columns))
    return signal + noise * generator.normal(size=(rows, columns))


@pytest.mark.parametrize(("rows", "columns"), [(60, 200), (200, 60), (100, 100)])
@pytest.mark.parametrize("rank", [1, 5, 12])
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_vbmf_finds_a_planted_rank(rows, columns, rank, noise):
    values = np.linalg.svd(planted(rows, columns, rank, noise), compute_uv=False)
    assert vbmf_rank(values, rows, columns) == rank


def test_vbmf_sees_nothing_in_noise_and_everything_without_it():
    assert vbmf_rank(np.linalg.svd(planted(80, 120, 1, 1.0) * 0 + _noise(80, 120), compute_uv=False), 80, 120) == 0
    assert vbmf_rank(np.linalg.svd(planted(40, 60, 3, 0.0), compute_uv=False), 40, 60) == 3
    assert vbmf_rank(np.zeros(4), 4, 7) == 0


def _noise(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns))


def test_planted_ranks_of_a_kernel_are_found_along_both_of_its_modes():
    generator = torch.Generator().manual_seed(0)
    core, left, right = (torch.randn(*shape, generator=generator) for shape in ((5, 3, 3, 3), (40, 5), (30, 3)))
    kernel = torch.einsum("abhw,na,cb->nchw", core, left, right)
    kernel += 0.05 * kernel.std() * torch.randn(kernel.shape, generator=generator)
    assert found_ranks(kernel[None], 2) == (3, 5)
    assert found_ranks(kernel[None], 1) == (5,)


def test_the_error_is_what_the_core_lacks_in_energy():
    """The factors are orthonormal, so |W|^2 = |core|^2 + |error|^2; no more is lost than cutting each mode by itself
    loses (De Lathauwer et al. 2000)."""
    subject = network()
    before = subject.model[1].weight.detach().double()
    made = tucker2("1", ranks={"1": [6, 9]}).apply(subject, StageContext()).model[1]
    inputs, core, outputs = (made.get_submodule(part).weight.detach() for part in ("reduce", "core", "expand"))
    after = torch.einsum("abhw,na,bc->nchw", core, outputs[:, :, 0, 0], inputs[:, :, 0, 0]).double()
    error = (before - after).square().sum()
    assert error.item() == pytest.approx((before.square().sum() - core.double().square().sum()).item(), rel=1e-4)
    unfolded = torch.linalg.svdvals(before.flatten(1)), torch.linalg.svdvals(before.transpose(0, 1).flatten(1))
    one_by_one = unfolded[0][9:].square().sum() + unfolded[1][6:].square().sum()
    assert max(unfolded[0][9:].square().sum(), unfolded[1][6:].square().sum()) <= error < one_by_one


def test_at_full_ranks_the_network_computes_what_it_did(monkeypatch):
    monkeypatch.setattr("compressbench.techniques.lowrank.tucker2.grows", lambda *given: "")
    images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    whole, subject = network(), network()
    whole.model[4] = subject.model[4] = nn.AdaptiveAvgPool2d(1)
    whole.model.insert(5, nn.Flatten())
    subject.model.insert(5, nn.Flatten())
    full = {"0": [16], "1": [16, 24], "2": [12, 4], "3": [8], "6": [20]}
    made = tucker2("conv", "linear", ranks=full).apply(subject, StageContext())
    assert torch.allclose(made.model(images), whole.model(images), atol=1e-5)
    assert [len(layer.parts) for layer in made.model if hasattr(layer, "parts")] == [2, 3, 3, 2, 2]


def test_a_ratio_keeps_fewer_weights_in_the_proportion_of_the_channels():
    made = tucker2("1", "2", ratio=0.5).apply(network(), StageContext())
    for place, weights, groups in ((1, 24 * 16 * 9, 1), (2, 8 * 12 * 9, 2)):
        chain = made.model[place]
        count = sum(part.weight.numel() for part in chain.children())
        assert 0.3 * weights < count < 0.5 * weights
        assert chain.core.groups == groups
    assert made.model[1].core.in_channels / made.model[1].core.out_channels == pytest.approx(16 / 24, rel=0.1)


def test_a_layer_of_noise_is_left_and_said_or_refused_by_name():
    subject = network()
    made = tucker2("linear").apply(subject, StageContext())
    assert [(each.what, each.why) for each in made.skipped] == [("5", "VBMF sees nothing but noise in its weights")]
    with pytest.raises(ValueError, match="5 cannot be factored: VBMF sees nothing"):
        tucker2("5").apply(network(), StageContext())
    with pytest.raises(ValueError, match=r"ranks of 1 are \[3\]; it becomes 3 layers, which have 2"):
        tucker2("1", ranks={"1": [3]}).apply(network(), StageContext())


def test_the_weights_that_kim_2016_prints_for_alexnet():
    """Table 2 there, Caffe's AlexNet in groups: 35 K, 307 K and 885 K weights become 2.92, 3.37 and 5.03 times fewer,
    fc7 and fc8 6.80 and 4.12 times."""
    layers = [nn.Conv2d(3, 96, 11), nn.Conv2d(96, 256, 5, groups=2), nn.Conv2d(256, 384, 3)]
    layers += [nn.Linear(4096, 4096), nn.Linear(4096, 1000)]
    ranks = [(26,), (25, 59), (105, 112), (301,), (195,)]
    smaller = [layer.weight.numel() / cost(layer, own) for layer, own in zip(layers, ranks, strict=True)]
    assert smaller == [pytest.approx(printed, abs=0.01) for printed in (2.92, 3.37, 5.03, 6.80, 4.12)]
    assert grouped(layers[1]).shape == (2, 128, 48, 5, 5)


def test_counts_hang_on_the_weights_where_ranks_do():
    assert not tucker2("conv").predictable
    assert tucker2("conv", ratio=0.5).predictable
    made = tucker2("0", "3", "5", ratio=0.5).apply(network(), StageContext())
    assert parameter_counts(made.model)["params"] < parameter_counts(network().model)["params"]
