"""The optimizer is what the training asks for, and brings no compiler with it."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from compressbench.core.training import TrainingConfig
from compressbench.training.optimizer import make_optimizer, plain_step, set_learning_rate


def test_sgd_and_adam_get_the_settings_of_the_training() -> None:
    parameters = [("weight", nn.Parameter(torch.ones(2)))]
    sgd = make_optimizer(TrainingConfig(1, 1, 0.1, "sgd", "constant", 0.01, momentum=0.8, nesterov=True), parameters)
    assert isinstance(sgd, torch.optim.SGD)
    wanted = {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}
    assert wanted.items() <= sgd.param_groups[0].items()
    assert isinstance(make_optimizer(TrainingConfig(1, 1, 0.1, "adam", "constant", 0.0), parameters), torch.optim.Adam)


def test_a_step_of_training_does_not_import_torchs_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from compressbench.core.training import TrainingConfig\n"
        "from compressbench.training.optimizer import make_optimizer, plain_step\n"
        "weight = torch.nn.Parameter(torch.ones(2))\n"
        "optimizer = make_optimizer(TrainingConfig(1, 1, 0.5, 'sgd', 'constant', 0.0, momentum=0.0), "
        "[('weight', weight)])\n"
        "weight.sum().backward(); plain_step(optimizer)(); optimizer.zero_grad()\n"
        "print(weight.tolist(), 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0.5, 0.5] False"


def test_a_plain_step_is_the_step_of_torch() -> None:
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    training = TrainingConfig(1, 1, 0.1, "sgd", "constant", 0.01, nesterov=True)
    optimizer = make_optimizer(training, ours.named_parameters())
    step, other = plain_step(optimizer), make_optimizer(training, theirs.named_parameters())
    for value in (1.0, 2.0, 3.0):
        for network, take in ((ours, step), (theirs, other.step)):
            network.zero_grad()
            network(torch.full((1, 3), value)).sum().backward()
            take()
    assert torch.equal(ours.weight, theirs.weight)


def test_parameters_may_have_rates_of_their_own_on_which_the_schedule_acts_in_proportion() -> None:
    """Gradients of 1: a plain step at rate r moves a weight by r and a bias by a tenth of it."""
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    nn.init.zeros_(model[0].bias)
    optimizer = make_optimizer(
        TrainingConfig(1, 1, 0.5, "sgd", "constant", 0.0, momentum=0.0, lr_factors={"*.bias": 0.1}),
        model.named_parameters(),
    )
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]
    set_learning_rate(optimizer, 0.25)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    plain_step(optimizer)()
    for name, parameter in model.named_parameters():
        moved = 0.025 if name.endswith("bias") else 0.25
        assert (before[name] - parameter).item() == pytest.approx(moved, rel=1e-5)


def test_without_rates_of_their_own_all_parameters_are_one_group_in_their_order() -> None:
    model = nn.Linear(2, 2)
    optimizer = make_optimizer(TrainingConfig(1, 1, 0.1, "adam", "constant", 0.0), model.named_parameters())
    (group,) = optimizer.param_groups
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in model.parameters()]
