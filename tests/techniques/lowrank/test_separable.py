"""Kernels as columns times rows: the nearest there are, by one matrix or channel by channel."""

import pytest
import torch
from torch import nn

from compressbench.core.subject import Subject
from compressbench.techniques.lowrank.separable import SeparableFactorization
from tests.techniques.lending import StageContext, bare, seeded


def separable(*targets: str, scheme="channels", rank=None, energy=None, ratio=0.5, ranks=None, norm="none"):
    return SeparableFactorization(list(targets), [], scheme, rank, energy, ratio, ranks or {}, norm, 16)


def network() -> Subject:
    """Convolutions with a stride, padding and dilation that differ along rows and columns, the second in groups."""
    return bare(
        seeded(
            lambda: nn.Sequential(
                nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2)),
                nn.ReLU(),
                nn.Conv2d(8, 12, 3, padding=(2, 1), dilation=(2, 1), groups=2, bias=False),
                nn.ReLU(),
                nn.Conv2d(12, 6, (1, 3)),
            )
        ).eval()
    )


def images() -> torch.Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_error_is_the_discarded_singular_values_of_tais_matrix():
    """Theorem 1 there: no K filters of d x 1 and N of 1 x d are nearer."""
    subject = network()
    before = subject.model[0].weight.detach().double()
    made = separable("0", rank=4).apply(subject, StageContext()).model[0]
    after = torch.einsum("kci,nkj->ncij", made.vertical.weight[:, :, :, 0], made.horizontal.weight[:, :, 0]).double()
    matrix = before.permute(1, 2, 3, 0).reshape(3 * 3, 5 * 8)
    discarded = torch.linalg.svdvals(matrix)[4:].square().sum()
    assert (before - after).square().sum().item() == pytest.approx(discarded.item(), rel=1e-4)
    assert made.vertical.weight.shape == (4, 3, 3, 1)
    assert made.horizontal.weight.shape == (8, 4, 1, 5)


@pytest.mark.parametrize(("scheme", "full"), [("channels", {"0": 9, "2": 12}), ("filters", {"0": 15, "2": 9})])
def test_at_full_rank_the_network_computes_what_it_did(monkeypatch, scheme, full):
    monkeypatch.setattr("compressbench.techniques.lowrank.separable.grows", lambda *given: "")
    whole, subject = network(), network()
    made = separable("0", "2", scheme=scheme, ranks=full).apply(subject, StageContext())
    assert torch.allclose(made.model(images()), whole.model(images()), atol=1e-5)


def test_jaderbergs_scheme_of_filters_that_are_products_finds_them():
    """Two filters for each of three channels were planted."""
    generator = torch.Generator().manual_seed(1)
    mixed, columns, rows = (torch.randn(*shape, generator=generator) for shape in ((6, 3, 2), (3, 2, 5), (3, 2, 5)))
    kernel = torch.einsum("ncm,cmi,cmj->ncij", mixed, columns, rows)
    subject = bare(nn.Sequential(nn.Conv2d(3, 6, 5)))
    subject.model[0].weight.data.copy_(kernel)
    made = separable("0", scheme="filters", rank=2).apply(subject, StageContext()).model[0]
    assert list(made.parts) == ["vertical", "horizontal", "combine"]
    weights = made.combine.weight[:, :, 0, 0].view(6, 3, 2), made.vertical.weight.view(3, 2, 5)
    after = torch.einsum("ncm,cmi,cmj->ncij", *weights, made.horizontal.weight.view(3, 2, 5))
    assert (after - kernel).norm().item() < 1e-2 * kernel.norm().item()


@pytest.mark.parametrize(("norm", "parts"), [("between", 1), ("all", 2)])
def test_batch_norms_change_nothing_at_first_and_know_the_data(norm, parts):
    context = StageContext(side=16)
    plain = separable("0", "2").apply(network(), context).model
    made = separable("0", "2", norm=norm).apply(network(), context).model
    assert torch.allclose(made(images()), plain(images()), atol=1e-4)
    norms = [layer for layer in made.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 2 * parts
    with torch.no_grad():
        given = made[0].vertical(context.images)
    assert torch.allclose(norms[0].running_mean, given.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(norms[0].weight.square(), given.var((0, 2, 3), unbiased=False) + norms[0].eps, rtol=1e-4)
    assert not made.training


def test_what_has_one_side_is_said_or_refused_by_name():
    made = separable("conv", rank=1).apply(network(), StageContext())
    assert [(each.what, each.why) for each in made.skipped] == [("4", "its kernel has one row or one column already")]
    with pytest.raises(ValueError, match="4 cannot be factored: its kernel has one row"):
        separable("4").apply(network(), StageContext())


def test_fields_that_are_no_words_or_contradict_each_other_are_refused():
    for fields, said in (
        ({"scheme": "filter"}, "scheme is 'filter'.*filters"),
        ({"norm": "before"}, "batch_norm is 'before'"),
        ({"scheme": "filters", "energy": 0.9}, "energy is 0.9, but scheme filters"),
    ):
        with pytest.raises(ValueError, match=said):
            separable("conv", **fields)
