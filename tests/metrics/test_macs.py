import json

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compressbench.core.errors import PlanError
from compressbench.layers.activations import PactActivation
from compressbench.layers.binary import BinaryConv2d, BinaryLinear
from compressbench.metrics.macs import layer_table, mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.zoo.alexnet import AlexNet
from compressbench.zoo.torchvision_models import torchvision_model
from tests.zoo.test_torchvision_models import NAMES

BND = {"batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [512, 512]}


@pytest.mark.parametrize("name", NAMES)
def test_torchs_own_counter_agrees(name):
    with torch.device("meta"):
        network = torchvision_model(3, 1000, name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 224, 224, device="meta"))
    assert 2 * mac_counts(network, torch.zeros(1, 3, 224, 224))["macs"] == counter.get_total_flops()


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        # weights x positions: (out x in/groups x k x k) x (height x width)
        (nn.Conv2d(4, 6, 3), (4, 8, 8), 6 * 4 * 9 * 6 * 6),
        (nn.Conv2d(4, 6, 3, bias=False), (4, 8, 8), 6 * 4 * 9 * 6 * 6),
        (nn.Conv2d(4, 6, 3, padding=1), (4, 8, 8), 6 * 4 * 9 * 8 * 8),
        (nn.Conv2d(4, 6, 3, padding="same"), (4, 8, 8), 6 * 4 * 9 * 8 * 8),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 9, 8), 6 * 4 * 9 * 5 * 4),
        (nn.Conv2d(4, 6, 3, stride=(1, 3)), (4, 8, 8), 6 * 4 * 9 * 6 * 2),
        (nn.Conv2d(4, 6, 3, dilation=2), (4, 8, 8), 6 * 4 * 9 * 4 * 4),
        (nn.Conv2d(4, 6, (1, 5)), (4, 8, 8), 6 * 4 * 5 * 8 * 4),
        (nn.Conv2d(4, 6, 3, groups=2, padding=1), (4, 8, 8), 6 * 2 * 9 * 8 * 8),
        (nn.Conv2d(4, 4, 3, groups=4, padding=1), (4, 8, 8), 4 * 1 * 9 * 8 * 8),
        (nn.Conv1d(4, 6, 3), (4, 10), 6 * 4 * 3 * 8),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (4, 5, 5), 4 * 6 * 9 * 5 * 5),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), (4, 5, 5), 4 * 3 * 9 * 5 * 5),
        (nn.Linear(5, 7), (5,), 35),
        (nn.Linear(5, 7, bias=False), (5,), 35),
        (nn.Linear(5, 7), (11, 5), 11 * 35),  # a token each
        (nn.BatchNorm2d(4), (4, 8, 8), 0),
        (nn.PReLU(4), (4, 8, 8), 0),
    ],
)
@pytest.mark.parametrize("images", [1, 3])
def test_a_layer_costs_what_is_counted_by_hand_for_one_image(layer, shape, macs, images):
    nn.init.ones_(layer.weight)
    assert mac_counts(layer, torch.zeros(images, *shape)) == {"macs": macs, "macs_nonzero": macs}


def test_a_layer_that_is_called_by_keyword_counts():
    class ByKeyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, images):
            return self.fc(input=images)

    assert mac_counts(ByKeyword(), torch.ones(1, 4))["macs"] == 8


def test_a_zero_weight_saves_its_positions():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1)
        network[0].weight[1, 0, 0] = 0  # 3 of 18 weights, at 16 positions
        network[0].bias.zero_()  # biases cost nothing
        network[3].weight[:, :10] = 0  # 50 of 160 weights
    counts = mac_counts(network, torch.zeros(1, 1, 4, 4))
    assert counts == {"macs": 18 * 16 + 160, "macs_nonzero": 15 * 16 + 110}


def test_a_layer_used_twice_costs_twice_and_its_parameters_count_once():
    layer = nn.Linear(4, 4)
    network = nn.Sequential(layer, nn.ReLU(), layer)
    assert mac_counts(network, torch.ones(1, 4))["macs"] == 32
    assert [row["params"] for row in layer_table(network, torch.ones(1, 4))] == [20]


def test_layers_that_share_a_weight_cost_both_and_hold_it_once():
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    rows = layer_table(network, torch.ones(1, 4))
    assert [(row["params"], row["macs"]) for row in rows] == [(20, 16), (4, 16)]


def test_layers_that_techniques_put_in_place_of_others_are_counted():
    network = nn.Sequential(BinaryConv2d(3, 4, 3, normalize=True), PactActivation(2), nn.Flatten(), BinaryLinear(4, 5))
    rows = layer_table(network, torch.ones(1, 3, 3, 3))
    assert [(row["kind"], row["params"], row["macs"]) for row in rows] == [
        ("BinaryConv2d", 4 * 27 + 4 + 4 + 4, 4 * 27),
        ("PactActivation", 1, 0),
        ("BinaryLinear", 20 + 5, 20),
    ]


def test_the_table_has_a_row_a_layer_in_running_order_and_adds_up():
    network = AlexNet(3, 10, **BND)
    table = layer_table(network, torch.zeros(1, 3, 32, 32))
    assert [row["name"] for row in table] == [
        *(f"{kind}{number}" for number in range(1, 6) for kind in ("conv", "bn")),
        *("fc1", "fc2", "fc3"),
    ]
    assert table[0] == {
        "name": "conv1",
        "kind": "Conv2d",
        "output_shape": [64, 8, 8],
        "params": 64 * 3 * 121 + 64,
        "params_nonzero": int(network.conv1.weight.count_nonzero() + network.conv1.bias.count_nonzero()),
        "macs": 64 * 3 * 121 * 64,
        "macs_nonzero": int(network.conv1.weight.count_nonzero()) * 64,
    }
    totals = parameter_counts(network) | mac_counts(network, torch.zeros(1, 3, 32, 32))
    for key in ("params", "params_nonzero", "macs", "macs_nonzero"):
        assert sum(row[key] for row in table) == totals[key]
    assert json.loads(json.dumps(table)) == table


def test_a_layer_that_never_runs_is_in_the_table_and_costs_nothing():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle, self.busy = nn.Linear(3, 3), nn.Linear(4, 2)

        def forward(self, images):
            return self.busy(images)

    rows = {row["name"]: row for row in layer_table(Half(), torch.ones(1, 4))}
    assert (rows["idle"]["macs"], rows["idle"]["params"], rows["idle"]["output_shape"]) == (0, 12, [])
    assert rows["busy"]["macs"] == 8


def test_the_network_comes_back_as_it_was():
    network = AlexNet(3, 10, **BND).train()
    network.bn1.eval()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random_state = torch.get_rng_state()
    mac_counts(network, torch.ones(1, 3, 32, 32))
    assert [name for name, module in network.named_modules() if not module.training] == ["bn1"]
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_the_network_comes_back_as_it_was_when_the_example_does_not_fit():
    network = AlexNet(3, 10, **BND).train()
    with pytest.raises(PlanError, match=r"model: AlexNet cannot take inputs of 5 x 32 x 32: .* 3 channels"):
        mac_counts(network, torch.zeros(1, 5, 32, 32))
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
