"""The files of a run that MLflow gets a copy of."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from compressbench.core.record import RunRecord

LARGEST_BYTES = 50_000_000
"""Weights above this stay where they are: MLflow's copy would be the second of something large."""
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""Ten times as fast where PyYAML was built with its C library."""
PLOTS = (".png", ".svg", ".pdf", ".html")


def files_of(record: RunRecord, folder: Path) -> dict[str, Path | str]:
    """Return what to copy, by its name among the artifacts: a file, or the text of one."""
    written = folder / "record.json"
    found: dict[str, Path | str] = {
        "record.json": written if written.is_file() else record.to_json(),
        "plan.yaml": yaml.dump(record.plan, Dumper=DUMPER, sort_keys=False),
    }
    if record.layers:
        found["layers.csv"] = table(record.layers)
    weights = folder / "model.safetensors"
    if weights.is_file() and weights.stat().st_size <= LARGEST_BYTES:
        found[weights.name] = weights
    for path in sorted([*folder.glob("*"), *folder.glob("plots/*")]):
        if path.suffix in PLOTS:
            found[f"plots/{path.name}"] = path
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as CSV, with every key that any of them has as a column."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@contextmanager
def gathered(files: Mapping[str, Path | str]) -> Iterator[Path]:
    """Lend a folder that holds all of them (links, so nothing is copied twice), for one call that sends it."""
    with tempfile.TemporaryDirectory(prefix="compressbench-") as name:
        for relative, source in files.items():
            target = Path(name) / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, Path):
                target.symlink_to(source.resolve())
            else:
                target.write_text(source)
        yield Path(name)
