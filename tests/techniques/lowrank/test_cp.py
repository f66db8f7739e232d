"""A kernel as a sum of products of four vectors."""

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.subject import Subject
from compressbench.techniques.lowrank._canonical import canonical
from compressbench.techniques.lowrank.cp import CpFactorization
from tests.techniques.lending import StageContext, bare, seeded


def cp(*targets: str, rank=None, ratio=0.5, ranks=None, iterations=200) -> CpFactorization:
    return CpFactorization(list(targets), [], rank, ratio, ranks or {}, iterations)


def planted(*sizes: int, rank: int) -> Tensor:
    generator = torch.Generator().manual_seed(rank)
    vectors = [torch.randn(size, rank, generator=generator) for size in sizes]
    return torch.einsum("nr,cr,ir,jr->ncij", *vectors)


def network() -> Subject:
    made = seeded(
        lambda: nn.Sequential(nn.Conv2d(6, 10, (3, 5), stride=(2, 1), padding=(1, 2)), nn.Conv2d(10, 4, 3, 1))
    )
    made[0].weight.data.copy_(planted(10, 6, 3, 5, rank=3))
    made.append(nn.Conv2d(4, 4, 3, groups=2))
    return bare(made.eval())


def test_a_kernel_of_a_planted_rank_computes_what_it_did():
    images = torch.randn(2, 6, 9, 9, generator=torch.Generator().manual_seed(0))
    subject = network()
    before = subject.model[0](images)
    made = cp("0", rank=3).apply(subject, StageContext())
    assert torch.allclose(made.model[0](images), before, atol=1e-3 * before.abs().max().item())
    parts = made.model[0]
    assert list(parts.parts) == ["reduce", "vertical", "horizontal", "expand"]
    assert (parts.vertical.groups, parts.horizontal.groups) == (3, 3)
    assert sum(part.weight.numel() for part in parts.children()) == 3 * (6 + 3 + 5 + 10)


def test_one_component_is_the_best_there_is():
    """Of a matrix (modes of size one do not count) it is the first singular vectors, with all the error they leave."""
    matrix = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, right, *ones = canonical(matrix[:, :, None, None], 1, 50, torch.Generator())
    found = left @ right.T * ones[0] * ones[1]
    error = torch.linalg.svdvals(matrix)[1:].square().sum()
    assert (matrix - found).square().sum().item() == pytest.approx(error.item(), rel=1e-4)
    assert left.norm().item() == pytest.approx(right.norm().item())


def test_a_ratio_says_how_many_components_there_are():
    """10 * 6 * 15 weights at 24 a component: fewer than 450 for 18."""
    made = cp("0", iterations=2).apply(network(), StageContext())
    assert made.model[0].expand.in_channels == 18


def test_what_has_groups_is_said_or_refused_by_name():
    made = cp("conv", rank=2, iterations=2).apply(network(), StageContext())
    assert [(each.what, each.why) for each in made.skipped] == [("2", "it is a convolution in groups")]
    with pytest.raises(ValueError, match="2 cannot be factored: it is a convolution in groups"):
        cp("2", rank=2).apply(network(), StageContext())
    with pytest.raises(ValueError, match="1 cannot be factored: rank 40 takes 800 weights, where the layer has 360"):
        cp("1", rank=40).apply(network(), StageContext())
