"""`compressbench.compress`: a network in hand, with the weights it has."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import compressbench
from compressbench.data.digits import Digits
from compressbench.techniques.coding.entropy import CodeWithEntropy
from compressbench.zoo.lenet import LeNet300100

PRUNE = {"technique": "pruning/magnitude", "ratio": 0.5}
QUIET: dict[str, Any] = {"tracking": "off", "progress": False}


def test_it_is_measured_as_given_compressed_and_decoded_from_its_file(nets: ModuleType) -> None:
    torch.manual_seed(0)
    net = nets.Net(width=4)
    state = copy.deepcopy(net.state_dict())
    found = compressbench.compress(
        net, "digits", [PRUNE, {"technique": "coding/huffman"}], arguments={"width": 4}, **QUIET
    )
    assert [each.name for each in found.record.networks] == ["given", "magnitude", "code"]
    [(images, labels)] = Digits().load().test.batches(360)
    with torch.no_grad():
        for network, figures in ((net.eval(), found.record.networks[0]), (found.model, found.record.final)):
            right = (network(images).argmax(1) == labels).double().mean()
            assert figures.metrics["top1"] == pytest.approx(float(right))
    assert found.path.stat().st_size == found.record.final.metrics["size_bytes"]
    assert sum(int((weight == 0).sum()) for weight in found.model.parameters()) >= 64 * 4 * 10 // 2
    assert found.model.classes == [str(digit) for digit in range(10)]
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


def test_its_file_opens_elsewhere_if_the_module_is_handed_over_and_never_unasked(nets: ModuleType) -> None:
    found = compressbench.compress(nets.Net(), "digits", [PRUNE], **QUIET)
    code = (
        "import sys, compressbench\n"
        "try:\n    compressbench.load(sys.argv[1])\n"
        "except ValueError as error:\n    print(error, 'nets' in sys.modules)\n"
        "import nets\nprint(compressbench.load(sys.argv[1], plugins=[nets]).fc.out_features)"
    )
    command, environment = (
        [sys.executable, "-c", code, str(found.path)],
        {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    refused, opened = done.stdout.splitlines()
    assert "nets.Net" in refused
    assert refused.endswith("False")
    assert opened == "10"


def test_a_network_of_ours_or_of_a_function_needs_no_more_than_the_task_says(nets: ModuleType) -> None:
    ours = compressbench.compress(LeNet300100(1, 10, 32), "digits", [PRUNE], **QUIET)
    assert ours.record.plan["model"]["classes"] == 10
    made = compressbench.compress(nets.small(10), "digits", [PRUNE], builder=nets.small, **QUIET)
    assert made.record.row.startswith("small_")


def test_techniques_and_datasets_may_be_objects(nets: ModuleType) -> None:
    net = nets.Net()
    by_name = [PRUNE, {"technique": "coding/entropy", "context": False}]
    objects = [PRUNE, CodeWithEntropy(context=False)]
    first = compressbench.compress(net, "digits", by_name, **QUIET)
    second = compressbench.compress(net, Digits(), objects, **QUIET)
    assert [stage.stage_id for stage in first.record.stages] == [stage.stage_id for stage in second.record.stages]
    assert second.record.stages[-1].cached


def test_stages_are_called_as_they_say_or_as_their_method(nets: ModuleType) -> None:
    stages = [{**PRUNE, "name": "halve"}, {"technique": "coding/huffman"}]
    found = compressbench.compress(nets.Net(), "digits", stages, **QUIET)
    assert [stage.name for stage in found.record.stages] == ["halve", "code"]
    tuned = {"technique": "training/finetune", "training": {"epochs": 1}}
    found = compressbench.compress(nets.Net(), "digits", [tuned, tuned], overrides=["limits.steps=1"], **QUIET)
    assert [stage.name for stage in found.record.stages] == ["finetune", "finetune_2"]


def test_arguments_that_build_another_network_are_refused_by_what_differs(nets: ModuleType) -> None:
    with pytest.raises(
        compressbench.PlanError, match=r"module: nets\.Net\(num_classes=10\) builds another network: conv"
    ):
        compressbench.compress(nets.Net(width=4), "digits", [PRUNE], **QUIET)
    with pytest.raises(compressbench.PlanError, match="computes something else; say how an equal one is built"):
        compressbench.compress(nets.Net(slope=0.5), "digits", [PRUNE], **QUIET)
    assert not Path("outputs/runs").exists()


def test_code_that_no_other_process_could_import_is_refused(nets: ModuleType) -> None:
    class Local(nn.Linear):
        pass

    for module in (Local(2, 2), nets.Net.Inner(2, 2)):
        with pytest.raises(compressbench.PlanError, match="put it into a file"):
            compressbench.compress(module, "digits", [PRUNE], **QUIET)
    Local.__module__, Local.__qualname__ = "__main__", "Local"  # as a cell of a notebook has it
    with pytest.raises(compressbench.PlanError, match="module: Local is defined in this notebook or script"):
        compressbench.compress(Local(2, 2), "digits", [PRUNE], **QUIET)


def test_everything_that_is_wrong_with_dataset_stages_and_budget_comes_in_one_error(nets: ModuleType) -> None:
    with pytest.raises(compressbench.PlanError) as caught:
        compressbench.compress(nets.Net(), "digits", [{**PRUNE, "ratio": 2}], budget={"sise_bytes": 1}, **QUIET)
    assert [fault.where for fault in caught.value.faults] == ["stages.magnitude", "budget.sise_bytes"]
    with pytest.raises(compressbench.PlanError, match="dataset: is a list; allowed: a name"):
        compressbench.compress(nets.Net(), [], [PRUNE])  # type: ignore[arg-type]
    with pytest.raises(compressbench.PlanError, match=r"stages\.0: is a str; allowed: a mapping with `technique`"):
        compressbench.compress(nets.Net(), "digits", ["pruning/magnitude"])  # type: ignore[list-item]


def test_a_missed_budget_is_an_error_that_has_the_record(nets: ModuleType) -> None:
    with pytest.raises(compressbench.RunError, match=r"budget\.size_bytes is 100") as caught:
        compressbench.compress(nets.Net(), "digits", [PRUNE], budget={"size_bytes": 100}, **QUIET)
    assert caught.value.record is not None
