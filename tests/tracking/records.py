"""Records made up for the tests: a row of Table 5 with figures of its size."""

from __future__ import annotations

from pathlib import Path

from compressbench.core.record import RunRecord, StageRecord
from compressbench.tracking.store import Store, client
from tests.metric_specs import DESCRIBED

TOP1 = {0.1: 0.9869, 0.3: 0.9871, 0.5: 0.9858, 0.7: 0.9801, 0.9: 0.9312}


def record(ratio: float = 0.5, seed: int = 0, sweep: str = "", table: str = "table5", epochs: int = 3) -> RunRecord:
    """Return a finished run: train, prune, fine-tune; counts shrink with `ratio`."""
    row = f"mnist_l1norm_{round(ratio * 100)}" if not sweep else "mnist_l1norm"
    swept = {"stages.prune.ratio": str(ratio), "seed": str(seed)}
    stages = [
        _stage("train", "training/from_scratch", TOP1.get(ratio, 0.98) - 0.001 * seed + 0.002, 0.0, epochs),
        _stage("prune", "pruning/l1_norm", 0.98 - 0.8 * ratio, ratio, 0),
        _stage("finetune", "training/finetune", TOP1.get(ratio, 0.98) - 0.001 * seed, ratio, epochs),
    ]
    stages[1].skipped = [["conv1", "kept by the recipe"]]
    plan = {
        "recipe": f"{table}/{row}",
        "protocol": "reduced",
        "seed": seed,
        "model": {"name": "alexnet", "weights": None, "in_channels": 1, "classes": 10},
        "dataset": {"name": "mnist", "validation": 5000},
        "stages": {
            "train": {
                "technique": "training/from_scratch",
                "training": {"epochs": epochs, "lr": 0.03, "milestones": [0.5, 0.75]},
            },
            "prune": {"technique": "pruning/l1_norm", "ratio": ratio, "ignore": ["conv1"], "round_to": None},
            "finetune": {"technique": "training/finetune", "training": {"epochs": epochs, "lr": 0.01}},
        },
        "metrics": ["accuracy", "parameters"],
        "limits": {"epochs": None, "steps": None},
        "budget": {},
    }
    return RunRecord(
        recipe=f"{table}/{row}" if table != "." else row,
        table=table,
        row=row,
        protocol="reduced",
        seed=seed,
        plan_id=f"{round(ratio * 100):04d}{seed:04d}{sum(map(ord, sweep + table)):08d}",
        plan=plan,
        reference={
            "source": "survey, Table 5",
            "dataset": "mnist",
            "top1": 0.9875,
            "params": 1.05e6,
            "before": {"top1": 0.9868, "params": 2.87e6},
            "note": "the paper prints the top5 of another row",
        },
        dataset={"name": "mnist", "fingerprint": "6bb8eecadbd86d2c", "train": 55000, "validation": 5000, "test": 10000},
        environment={"torch": "2.13.0"},
        stages=stages,
        layers=[{"name": "conv1", "kind": "Conv2d", "params": 640}, {"name": "fc1", "params": 90}],
        started="2026-03-01T12:00:00+00:00",
        seconds=sum(stage.seconds for stage in stages),
        sweeps={sweep: swept} if sweep else {},
        **DESCRIBED,
    )


def _stage(name: str, kind: str, top1: float, ratio: float, epochs: int) -> StageRecord:
    left = (1 - ratio) ** 2
    figures = {
        "top1": top1,
        "top5": min(1.0, top1 + 0.012),
        "loss": 1 - top1,
        "params": float(round(2_870_000 * left)),
        "params_nonzero": float(round(2_870_000 * left)),
        "macs": float(round(15_350_000 * left)),
        "flops_survey": float(round(92_210_000 * left)),
        "size_bytes": float(round(11_480_000 * left)),
    }
    curve = [
        {"epoch": epoch, "train_loss": 0.5 / epoch, "validation_top1": top1 - 0.1 / epoch, "lr": 0.03 / epoch}
        for epoch in range(1, epochs + 1)
    ]
    return StageRecord(name, kind, f"{name}{ratio}", figures, curve=curve, seconds=20.0 * epochs + 1)


def written(run: RunRecord, outputs: Path) -> Path:
    """Write `run` and some weights where `running` writes them; return the folder."""
    folder = outputs / "runs" / run.table / run.row / run.plan_id
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(run.to_json())
    (folder / "model.cbp").write_bytes(b"weights")
    (folder / "curve.svg").write_text("<svg/>")
    (folder / "layers.csv").write_text("name,params\n")
    (folder / "README.md").write_text("| stage | top1 |\n")
    return folder


def runs_of(store: Store, experiment: str = "table5") -> list:
    """Return the runs of an experiment in a store; none if it is not there."""
    api = client(store)
    found = api.get_experiment_by_name(experiment)
    return list(api.search_runs([found.experiment_id])) if found else []
