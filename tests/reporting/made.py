"""Records made by hand, so that every mean and verdict in these tests can be counted by hand."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from compressbench.core.record import RunRecord, StageRecord
from tests.metric_specs import DESCRIBED

MNIST_50 = {
    "source": "Choudhary et al. 2020, Table 5",
    "dataset": "mnist",
    "top1": 0.9853,
    "top5": 0.9998,
    "params": 1.03e6,
    "flops_survey": 32.61e6,
    "before": {"top1": 0.9868, "top5": 0.9999, "params": 2.85e6, "flops_survey": 86.26e6},
    "tolerance": {"top1": 0.003, "params": 0.005, "flops_survey": 0.005},
}
"""The MNIST row of Table 5 with half of the filters, as published: its top1 changes by -0.15 points."""

COUNTS_BEFORE = {"params": 2_853_578.0, "params_without_bn": 2_853_578.0, "params_without_bn_nonzero": 2_853_578.0}
COUNTS_BEFORE |= {"macs": 14_361_600.0, "flops_survey": 86_264_862.0, "size_bytes": 11_415_600.0}
COUNTS_AFTER = {"params": 1_030_314.0, "params_without_bn": 1_030_314.0, "params_without_bn_nonzero": 1_030_314.0}
COUNTS_AFTER |= {"macs": 5_424_128.0, "flops_survey": 32_613_918.0, "size_bytes": 4_122_500.0}


def made_record(
    seed: int = 0,
    before: float = 0.987,
    after: float = 0.986,
    row: str = "mnist_l1norm_50",
    table: str = "table5",
    dataset: str = "mnist",
    protocol: str = "steps_160",
    ratio: float = 0.5,
    reference: dict[str, Any] | None = None,
    counts: dict[str, float] | None = None,
    started: str = "2026-01-01T00:00:00",
    last: str = "finetune",
) -> RunRecord:
    """Return a run of train, prune and a last stage; pruning alone leaves 11.35 % top1."""
    counts = {**COUNTS_AFTER, **(counts or {})}
    stages = [
        StageRecord("train", "training/from_scratch", f"t{seed}", {"top1": before, "top5": 0.9999, **COUNTS_BEFORE}),
        StageRecord("prune", "pruning/l1_norm", f"p{seed}", {"top1": 0.1135, "top5": 0.5, **counts}),
        StageRecord(last, "training/finetune", f"f{seed}", {"top1": after, "top5": 0.9998, **counts}),
    ]
    training = {"batch_size": 128, "schedule": "one_cycle", "lr": 0.03}
    epochs = (160, 40) if protocol == "steps_160" else (15, 5)
    for stage, count in ((stages[0], epochs[0]), (stages[-1], epochs[1])):
        stage.curve = [{"epoch": float(epoch), "lr": 0.03} for epoch in range(1, count + 1)]
    plan = {
        "model": {"name": "alexnet", "weights": None, "in_channels": 1, "classes": 10},
        "stages": {
            "train": {"technique": "training/from_scratch", "training": {"epochs": epochs[0], **training}},
            "prune": {"technique": "pruning/l1_norm", "ratio": ratio, "ignore": ["conv1"]},
            last: {"technique": "training/finetune", "training": {"epochs": epochs[1], **training}},
        },
        "limits": {"epochs": None, "steps": None, "examples": None},
    }
    return RunRecord(
        recipe=f"{table}/{row}",
        table=table,
        row=row,
        protocol=protocol,
        seed=seed,
        plan_id=f"{row}-{dataset}-{protocol}-{ratio}-{seed}",
        plan=plan,
        reference=MNIST_50 if reference is None else reference,
        dataset={"name": dataset, "fingerprint": "0123456789abcdef0123"},
        environment={"torch": "2.13.0", "python": "3.11.7", "device": "cpu", "processor": "a processor"},
        stages=stages,
        started=started,
        seconds=61.0,
        **DESCRIBED,
    )


def given_record(before: float = 0.9889, after: float = 0.225) -> RunRecord:
    """Return a run that prunes a network whose weights were given, before anything else."""
    record = made_record()
    prune = StageRecord("prune", "pruning/magnitude", "p", {"top1": after, **COUNTS_AFTER})
    record.plan["model"]["weights"] = "own.pt"
    record.plan["stages"] = {"prune": {"technique": "pruning/magnitude", "ratio": 0.9}}
    given = StageRecord("given", "given", "g", {"top1": before, **COUNTS_BEFORE}, seconds=0.26)
    return replace(record, stages=[prune], given=given, reference={})


def plain(renderable: Any, width: int = 200) -> str:
    """Return what rich would print, as text without colours."""
    console = Console(file=(text := io.StringIO()), width=width, color_system=None, legacy_windows=False)
    console.print(renderable)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
