import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.metrics.accuracy import accuracy
from compressbench.zoo.alexnet import AlexNet

LOGITS = torch.tensor(
    [
        [9.0, 8, 7, 6, 5, 4, 3],
        [9.0, 8, 7, 6, 5, 4, 3],
        [9.0, 8, 7, 6, 5, 4, 3],
        [0.0, 1, 2, 3, 4, 5, 6],
    ]
)
TASK = ImageClassification([1, 1, 7], 7)
LABELS = torch.tensor([0, 4, 5, 6])  # first, fifth, sixth, first


def test_ranks_are_counted_as_by_hand():
    found = accuracy(nn.Identity(), TASK, [(LOGITS, LABELS)])
    assert (found["top1"], found["top5"]) == (2 / 4, 3 / 4)
    assert found["loss"] == pytest.approx(functional.cross_entropy(LOGITS, LABELS).item(), rel=1e-6)


def test_batches_of_unequal_size_give_the_mean_over_images():
    whole = accuracy(nn.Identity(), TASK, [(LOGITS, LABELS)])
    parts = accuracy(nn.Identity(), TASK, [(LOGITS[:3], LABELS[:3]), (LOGITS[3:], LABELS[3:])])
    assert parts == pytest.approx(whole, rel=1e-6)


def test_with_fewer_than_five_classes_top5_is_over_all_of_them():
    found = accuracy(nn.Identity(), TASK, [(LOGITS[:, :3], torch.tensor([2, 2, 2, 0]))])
    assert (found["top1"], found["top5"]) == (0.0, 1.0)


def test_a_network_that_says_the_same_for_all_classes_is_right_at_most_by_chance():
    labels = torch.arange(10)
    assert accuracy(nn.Identity(), TASK, [(torch.zeros(10, 10), labels)])["top1"] <= 0.1


def test_an_image_whose_logits_are_not_numbers_is_wrong():
    logits = LOGITS.clone()
    logits[0] = float("nan")
    found = accuracy(nn.Identity(), TASK, [(logits, LABELS)])
    assert (found["top1"], found["top5"]) == (1 / 4, 2 / 4)
    assert math.isnan(found["loss"])


def test_dropout_sleeps_and_running_statistics_stay():
    torch.manual_seed(0)
    network = AlexNet(1, 10, batch_norm=True, dropout=0.5, conv_bias=True, hidden=[512, 512]).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches = [(torch.randn(16, 1, 32, 32), torch.randint(10, (16,)))]
    assert accuracy(network, TASK, batches) == accuracy(network, TASK, batches)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_every_module_gets_its_mode_back():
    network = nn.Sequential(nn.Linear(7, 7), nn.Dropout(0.5))
    network[1].eval()
    accuracy(network, TASK, [(LOGITS, LABELS)])
    assert (network.training, network[0].training, network[1].training) == (True, True, False)


def test_a_network_that_was_measured_can_be_trained():
    network = nn.Linear(7, 7)
    accuracy(network, TASK, [(LOGITS, LABELS)])
    functional.cross_entropy(network(LOGITS), LABELS).backward()
    assert network.weight.grad is not None


def test_no_image_is_an_error_and_not_an_accuracy():
    with pytest.raises(ValueError, match="no example"):
        accuracy(nn.Identity(), TASK, [])
