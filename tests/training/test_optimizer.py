"""The optimizer is what the training asks for, and brings no compiler with it."""

import subprocess
import sys

import torch
from torch import nn

from compressbench.core.training import Training
from compressbench.training.optimizer import make_optimizer, plain_step


def test_sgd_and_adam_get_the_settings_of_the_training() -> None:
    parameters = [nn.Parameter(torch.ones(2))]
    sgd = make_optimizer(Training(1, 1, 0.1, "sgd", "constant", 0.01, momentum=0.8, nesterov=True), parameters)
    assert isinstance(sgd, torch.optim.SGD)
    wanted = {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}
    assert wanted.items() <= sgd.param_groups[0].items()
    assert isinstance(make_optimizer(Training(1, 1, 0.1, "adam", "constant", 0.0), parameters), torch.optim.Adam)


def test_a_step_of_training_does_not_import_torchs_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from compressbench.core.training import Training\n"
        "from compressbench.training.optimizer import make_optimizer, plain_step\n"
        "weight = torch.nn.Parameter(torch.ones(2))\n"
        "optimizer = make_optimizer(Training(1, 1, 0.5, 'sgd', 'constant', 0.0, momentum=0.0), [weight])\n"
        "weight.sum().backward(); plain_step(optimizer)(); optimizer.zero_grad()\n"
        "print(weight.tolist(), 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0.5, 0.5] False"


def test_a_plain_step_is_the_step_of_torch() -> None:
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    training = Training(1, 1, 0.1, "sgd", "constant", 0.01, nesterov=True)
    optimizer = make_optimizer(training, list(ours.parameters()))
    step, other = plain_step(optimizer), make_optimizer(training, list(theirs.parameters()))
    for value in (1.0, 2.0, 3.0):
        for network, take in ((ours, step), (theirs, other.step)):
            network.zero_grad()
            network(torch.full((1, 3), value)).sum().backward()
            take()
    assert torch.equal(ours.weight, theirs.weight)
