import copy

import torch
from torch import nn

from compressbench.metrics.parameters import parameter_counts


def small() -> nn.Sequential:
    """conv 2*1*3*3 + 2 biases = 20, batch norm 4, fc 3*2 + 3 biases = 9."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


def test_zeros_are_left_out_of_the_nonzero_counts_only():
    network = small()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1)
        network[0].weight[0, 0, 0] = 0  # 3 zeros
        network[1].bias.zero_()  # 2 zeros, batch norm's
        network[3].bias[1] = 0  # 1 zero
    assert parameter_counts(network) == {
        "params": 33,
        "params_nonzero": 27,
        "params_without_bn": 29,
        "params_without_bn_nonzero": 25,
    }


def test_running_statistics_are_no_parameters_and_one_dimensional_batch_norm_is_batch_norm():
    counts = parameter_counts(nn.Sequential(nn.BatchNorm1d(5), nn.BatchNorm2d(5, affine=False)))
    assert (counts["params"], counts["params_without_bn"]) == (10, 0)


def test_shared_parameters_count_once():
    layer = nn.Linear(4, 4)
    twin = nn.Linear(4, 4)
    twin.weight = layer.weight
    assert parameter_counts(nn.Sequential(layer, twin, layer))["params"] == 16 + 4 + 4


def test_a_weight_that_is_not_a_number_is_not_zero():
    network = nn.Linear(2, 1, bias=False)
    nn.init.constant_(network.weight, float("nan"))
    assert parameter_counts(network)["params_nonzero"] == 2


def test_without_values_there_are_no_nonzero_counts():
    assert parameter_counts(copy.deepcopy(small()).to("meta")) == {"params": 33, "params_without_bn": 29}
