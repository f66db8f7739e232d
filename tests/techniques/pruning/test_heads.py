"""Attention heads go by what the loss loses with them (Michel et al. 2019); hidden units go as filters do."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.constraint import Mask
from compressbench.layers.attention import HeadAttention
from compressbench.techniques.pruning._attention import heads_of, silence_heads
from compressbench.techniques.pruning.heads import HeadPruning
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.pruning.taylor import TaylorPruning
from compressbench.testing.made_up import MadeUpContext
from compressbench.testing.technique import check_packed, check_trainable
from tests.techniques.lending import ALEXNET, PLAIN, StageContext, bare, seeded, subject_of
from tests.techniques.test_contract import lent, transformer

FIRST, SECOND = "blocks.0.attention", "blocks.1.attention"


def heads(ratio=0.5, targets=("attention",), ignore=(), scope="global", normalize=True) -> HeadPruning:
    return HeadPruning(list(targets), list(ignore), ratio, scope, 16, normalize)


def gpt() -> tuple[nn.Module, MadeUpContext]:
    return transformer().clone().model, lent("pruning/heads")


def silenced(model: nn.Module, name: str, gone: list[int]) -> None:
    module = model.get_submodule(name)
    silence_heads(module, heads_of(module), gone)


def test_a_head_that_nothing_reads_goes_and_the_network_computes_the_same():
    model, context = gpt()
    silenced(model, FIRST, [0, 2])
    silenced(model, SECOND, [1, 3])
    expected, queries = model(context.inputs).detach(), model.get_submodule(FIRST).qkv.weight[4:8].clone()
    pruned = heads().apply(bare(model), context).model
    attention = pruned.get_submodule(FIRST)
    assert (attention.heads, attention.qkv.out_features, attention.project.in_features) == (2, 24, 8)
    assert torch.equal(attention.qkv.weight[:4], queries)
    torch.testing.assert_close(pruned(context.inputs), expected, rtol=1e-4, atol=1e-5)


def test_the_score_is_the_mean_size_of_the_derivative_by_a_gate_on_the_head():
    model, context = gpt()
    found = {FIRST: heads_of(model.get_submodule(FIRST))}
    scores = heads(normalize=False)._scores(copy.deepcopy(model), found, context)[FIRST]
    gates = torch.ones(16, 4, requires_grad=True)
    model.get_submodule(FIRST).project.register_forward_pre_hook(
        lambda module, given: given[0] * gates.repeat_interleave(4, 1)[:, None, :]
    )
    loss = functional.cross_entropy(model.eval()(context.inputs).flatten(0, 1), context.targets.flatten())
    gradient = torch.autograd.grad(16 * loss, gates)[0]
    torch.testing.assert_close(scores, gradient.abs().sum(0), rtol=1e-4, atol=1e-7)


def test_in_all_or_of_each_layer_the_ratio_of_heads_goes():
    for scope, ratio, kept in (("per_layer", 0.25, [3, 3]), ("per_layer", 0.99, [1, 1]), ("global", 0.125, [7])):
        model, context = gpt()
        heads(ratio, scope=scope).apply(bare(model), context)
        counts = [model.get_submodule(name).heads for name in (FIRST, SECOND)]
        assert counts == kept or [sum(counts)] == kept


def test_layers_are_named_by_position_name_and_glob():
    for targets, ignore, changed in ((["first"], [], [FIRST]), (["blocks.*"], [FIRST], [SECOND])):
        model, context = gpt()
        heads(targets=targets, ignore=ignore).apply(bare(model), context)
        assert [name for name in (FIRST, SECOND) if model.get_submodule(name).heads == 2] == changed
    with pytest.raises(ValueError, match=r"did you mean 'blocks\.1\.attention'"):
        heads(targets=["blocks.2.attention"]).apply(bare(gpt()[0]), gpt()[1])


class Attending(nn.Module):
    """Patches, torch's attention, and the mean over places."""

    def __init__(self):
        super().__init__()
        self.conv, self.mix = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 4)
        self.odd, self.fc = Unknown(), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        found = self.conv(images).flatten(2).permute(2, 0, 1)
        return self.odd(self.fc(self.mix(found, found, found, need_weights=False)[0].mean(0)))


class Unknown(nn.Module):
    def __init__(self):
        super().__init__()
        self.num_heads, self.strange = 2, nn.Linear(10, 10)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.strange(hidden)


def test_torchs_attention_becomes_one_whose_heads_need_not_fill_the_width():
    model, context = seeded(Attending), StageContext(side=8)
    with torch.no_grad():
        model.mix.out_proj.weight[:, 2:6] = 0  # of the second and third head
    expected = model(context.images).detach()
    subject = heads().apply(bare(model), context)
    assert isinstance(model.mix, HeadAttention)
    assert (model.mix.heads, model.mix.value.out_features) == (2, 4)
    torch.testing.assert_close(model(context.images), expected, rtol=1e-4, atol=1e-5)
    assert [(each.what, each.why) for each in subject.skipped] == [
        ("odd", "it has strange, of which not all roles are known")
    ]
    check_trainable(subject)
    with pytest.raises(ValueError, match="odd cannot lose heads: it has strange"):
        heads(targets=["odd"]).apply(subject, context)


def test_no_attention_and_earlier_masks_are_refused():
    with pytest.raises(ValueError, match="leaves no layer of AlexNet"):
        heads().apply(subject_of(ALEXNET, **PLAIN), StageContext())
    model, context = gpt()
    subject = bare(model)
    subject.constrain(Mask("head.weight", torch.ones(16, 16, dtype=torch.bool)))
    with pytest.raises(ValueError, match="prune filters before weights"):
        heads().apply(subject, context)


@pytest.mark.parametrize(
    "technique",
    [
        L1NormPruning(["linear"], 0.5, {}, [], 1),
        TaylorPruning(["linear"], 0.5, {}, [], 1, "per_layer", 16, "example", True, 1, None),
    ],
)
def test_hidden_units_of_a_transformer_go_by_any_criterion_of_filters(technique):
    """So there is no technique of its own for them; queries, keys and values are left to this one."""
    subject, context = transformer().clone(), lent("pruning/heads")
    subject = technique.apply(subject, context)
    for number in (0, 1):
        block = subject.model.blocks[number]
        assert (block.mlp[0].out_features, block.mlp[2].in_features, block.attention.qkv.out_features) == (32, 32, 48)
    whys = {skipped.what: skipped.why for skipped in subject.skipped}
    assert "pruning/heads removes whole heads" in whys[f"{FIRST}.qkv"]
    pruned = heads().apply(subject, context)
    check_packed(pruned, context)
