"""Filters go by what the loss loses with them, to first order (Molchanov et al. 2017)."""

import pytest
import torch

from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.pruning.taylor import TaylorPruning
from tests.techniques.lending import StageContext, bare
from tests.techniques.pruning.gated import BATCHES, network, with_useless_filters
from tests.techniques.pruning.training_for_real import FIELDS


def taylor(ratio=0.5, ratios=None, scope="global", over="example", normalize=True, rounds=1, retrain=None):
    return TaylorPruning(["conv"], ratio, ratios or {}, [], 1, scope, 16, over, normalize, rounds, retrain)


def test_taylor_adds_up_absolute_sums_of_examples_or_squares_of_batches():
    scores = taylor(normalize=False)._scores(iter(BATCHES))["a"]
    assert scores.tolist() == [8.0, 4.0]
    assert taylor(over="batch", normalize=False)._scores(iter(BATCHES))["a"].tolist() == [2.0, 8.0]  # 1 + 1, 4 + 4
    normalized = taylor()._scores(iter(BATCHES))["a"]
    torch.testing.assert_close(normalized, torch.tensor([8.0, 4.0]) / 80**0.5)


def test_filters_that_nothing_reads_go_first_whatever_their_weights():
    model, stays = with_useless_filters()
    pruned = taylor().apply(bare(model), StageContext(side=8)).model
    assert torch.equal(pruned.conv1.weight, stays)
    assert pruned.conv2.out_channels == 2


def test_globally_as_many_filters_stay_as_the_ratio_says_and_no_layer_is_emptied():
    model = network()
    with torch.no_grad():
        model.fc.weight[:, :4] *= 1e-9
        model.fc.weight[:, 3] = 1
    subject = taylor(0.75, normalize=False).apply(bare(model), StageContext(side=8))
    assert subject.model.conv1.out_channels + subject.model.conv2.out_channels in (2, 3)  # int(10 / 4)
    with pytest.raises(ValueError, match=r"ratios is .*; with scope global all filters compete"):
        taylor(ratios={"conv": 0.3})


def test_in_rounds_the_same_number_goes_each_time_with_a_training_between():
    context, widths = StageContext(side=8), []
    train = context.train
    context.train = lambda subject, config: (widths.append(subject.model.conv1.out_channels), train(subject, config))[1]
    between = TrainingConfig(**{**FIELDS, "epochs": 1})
    subject = taylor(0.5, {"conv2": 0.0}, "per_layer", rounds=3, retrain=between).apply(bare(network()), context)
    assert [*widths, subject.model.conv1.out_channels] == [5, 4, 3]
    assert subject.model.conv2.out_channels == 4
    with pytest.raises(ValueError, match="retrain is None with rounds 2"):
        taylor(rounds=2)


@pytest.mark.parametrize(("field", "value"), [("scope", "globl"), ("over", "batches")])
def test_unknown_words_are_refused_with_the_nearest(field, value):
    with pytest.raises(ValueError, match=f"{field} is '{value}'; did you mean"):
        taylor(**{field: value})


def test_weights_that_are_pruned_after_filters_are_not_pruned_again():
    """Though targets, scope and ratio are the same."""
    weights = MagnitudePruning(["conv"], 0.5, {}, [], "per_layer", 1, None, None)
    assert weights.fault_after((taylor(scope="per_layer"),)) is None
    assert "prunes the same weights again" in weights.fault_after((weights,))
