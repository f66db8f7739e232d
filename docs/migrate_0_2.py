"""Moves records of version 0.2 to the words of 0.3; every figure stays.

usage: python docs/migrate_0_2.py FOLDER

Every `record.json` and `records/*.json` below FOLDER (an outputs folder, or `recipes`) of version 1 is written again as
version 2, in place. Only keys change their names and places, and what metrics say of their figures stands once in the
record. Identities of stages are left as they were, so what is in an outputs' cache is computed again when it is needed.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

TRAINING = (
    *("epochs", "batch_size", "lr", "optimizer", "schedule", "weight_decay", "momentum", "nesterov", "milestones"),
    *("gamma", "precision", "select", "loss", "final_lr"),
)
"""What is now below `training` in a stage."""
TRAINED = re.compile(
    r"training/.*|pruning/(dynamic_network_surgery|gradual)|sharing/retrain_centroids|quantization/"
    r"(binary_connect|bnn|bwn|dorefa|hashednets|inq|pact|qat_int8|ttq|twn|xnor)"
)
"""Techniques that are a training."""
SELECTORS = {"layers": "targets", "keep": "ignore"}
LATENCY = "Latency: runtime, batch"


def moved(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of version 1 as one of version 2."""
    networks = [*([record["given"]] if record.get("given") else []), *record["stages"]]
    for network in networks:
        _rename(network, {"measurements": "metrics"})
        network["kind"] = _kind(network["kind"])
        network.pop("units", None)
    plan = record["plan"]
    _rename(plan, {"measures": "metrics"})
    drawn = {name for name, stage in plan["stages"].items() if _stage(stage)}
    for network in networks:
        if network["name"] in drawn:
            network["kind"] = "training/reinitialize"
    _rename(record["dataset"], {f"{split}_images": f"{split}_examples" for split in ("train", "validation", "test")})
    _rename(plan.get("limits", {}), {"images": "examples"})
    plan["budget"] = {key: value for key, value in plan.get("budget", {}).items() if value is not None}
    if "sweep" in record:  # the oldest knew the last sweep only
        sweep, swept = record.pop("sweep"), record.pop("swept")
        record["sweeps"] = {sweep: swept} if sweep else {}
    if "changed" in record:
        record["changed"] = {_key(key): _kind(value) for key, value in record["changed"].items()}
    for sweep, values in record.get("sweeps", {}).items():
        record["sweeps"][sweep] = {_key(key): _kind(value) for key, value in values.items()}
    names = dict.fromkeys(name for network in networks for name in network["metrics"])
    specs = {name: spec(name) for name in names}
    kept = {key: value for key, value in record.items() if key not in ("version", "digest")}
    return kept | {"metric_specs": specs, "primary": "top1", "version": 2}


def _stage(stage: dict[str, Any]) -> bool:
    """Move a stage of a plan; return whether it began with fresh weights, which is a technique of its own now."""
    kind = stage["technique"] = _kind(stage["technique"])
    _rename(stage, SELECTORS)
    for training in (stage, *(value for value in stage.values() if isinstance(value, dict))):
        if training.get("loss") == "cross_entropy":
            training["loss"] = None  # the task's own
    if not TRAINED.fullmatch(kind):
        return False
    training = {key: stage.pop(key) for key in TRAINING if key in stage}
    fresh = kind == "training/rewind" and stage.get("to") == "random"
    if fresh:
        kind = "training/reinitialize"
        del stage["to"]
    rest = {key: value for key, value in stage.items() if key != "technique"}
    stage.clear()
    stage.update({"technique": kind, **({"training": training} if training else {}), **rest})
    return fresh


def _rename(mapping: dict[str, Any], names: dict[str, str]) -> None:
    """Rename keys in place, in their order."""
    renamed = {names.get(key, key): value for key, value in mapping.items()}
    mapping.clear()
    mapping.update(renamed)


def _kind(text: str) -> str:
    return text.replace("tuning/", "training/")


def _key(key: str) -> str:
    """Return what a key on the command line is called now."""
    parts = key.split(".")
    if len(parts) == 3 and parts[0] == "stages":
        stage, name = parts[1:]
        return f"stages.{stage}.training.{name}" if name in TRAINING else f"stages.{stage}.{SELECTORS.get(name, name)}"
    return key


def spec(name: str) -> dict[str, Any]:
    """Return what a metric of version 0.2 says of its figures."""

    def said(unit: str, higher: bool, heading: str = "", form: str = "number", limit: bool = False, **more: Any) -> Any:
        told = {"unit": unit, "higher_is_better": higher, "heading": heading, "format": form, "limit": limit, **more}
        declared = {"heading": "", "format": "number", "limit": False}
        return {key: value for key, value in told.items() if key not in declared or value != declared[key]}

    if name.startswith("latency_"):  # latency_onnx_b1_ratio_spread, latency_onnx_agreement
        runtime, what = name.split("_")[1], "_".join(name.split("_")[3:])
        if name.split("_")[2] == "agreement":
            rows = [f"{runtime}, 1", f"{runtime}, 64"]
            heading = "same top1 as dense"
            return said("fraction", True, heading, "percent", True, on_data=True, table=LATENCY, rows=rows)
        place: dict[str, Any] = {"table": LATENCY, "rows": [f"{runtime}, {name.split('_')[2][1:]}"]}
        return {
            "ms": said("ms", False, "ms a batch", "ms", True, **place),
            "ratio": said("ratio", True, "times as fast as dense", "ratio", True, **place),
            "ratio_spread": said("ratio", False, "quartiles apart", "ratio", **place),
            "ratio_eager": said("ratio", True, "as dense in eager torch", "ratio", True, **place),
        }[what]
    return {
        "top1": said("fraction", True, "top1", "percent", True, on_data=True),
        "top5": said("fraction", True, "top5", "percent", True, on_data=True),
        "loss": said("nats", False, limit=True, on_data=True),
        "params": said("count", False, "params", "count", True),
        "params_nonzero": said("count", False, "non-zero", "count", True, sparse_for="params"),
        "params_without_bn": said("count", False, "", "count", True, published_as="params"),
        "params_without_bn_nonzero": said("count", False, "", "count", True, sparse_for="params_without_bn"),
        "macs": said("count", False, "MACs", "count", True),
        "macs_nonzero": said("count", False, "", "count", True),
        "flops_survey": said("count", False, "survey FLOPs", "count"),
        "size_bytes": said("bytes", False, "file", "bytes", True),
    }[name]


def one_line_a_key(record: dict[str, Any]) -> str:
    """Return JSON with one line a key and one a stage, as committed records are written."""
    lines = []
    for key, value in record.items():
        text = json.dumps(value)
        if key == "stages":
            text = "[\n  " + ",\n  ".join(json.dumps(stage) for stage in value) + "\n ]"
        lines.append(f' "{key}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(folder: Path) -> None:
    found = 0
    for path in sorted({*folder.rglob("record.json"), *folder.rglob("records/*.json")}):
        record = json.loads(path.read_text())
        if record.get("version") == 1:
            path.write_text(one_line_a_key(moved(record)))
            found += 1
    print(f"{found} records moved")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
