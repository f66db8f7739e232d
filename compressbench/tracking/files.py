"""The files of a run or a sweep that MLflow gets a copy of: what lies in its folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from compressbench.core.record import RunRecord
from compressbench.core.temporary import prefix, sweep
from compressbench.tracking.model import model_files

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""Ten times as fast where PyYAML was built with its C library."""
TABLES = (".csv",)
PLOTS = (".png", ".svg", ".pdf", ".html")


def files_of(record: RunRecord, folder: Path) -> dict[str, Path | str]:
    """Return what to copy of a run, by its name among the artifacts: a file, or the text of one."""
    written = folder / "record.json"
    found: dict[str, Path | str] = {
        "record.json": written if written.is_file() else record.to_json(),
        "plan.yaml": yaml.dump(record.plan, Dumper=DUMPER, sort_keys=False),
        **tables_and_plots(folder),
    }
    return found | model_files(record, folder)


def tables_and_plots(folder: Path) -> dict[str, Path | str]:
    """Return the tables and plots that whoever made the results left in their folder."""
    found: dict[str, Path | str] = {p.name: p for p in sorted(folder.glob("*")) if p.suffix in TABLES}
    return found | {f"plots/{p.name}": p for p in sorted(folder.glob("*")) if p.suffix in PLOTS}


def description(folder: Path) -> str:
    """Return what MLflow shows on top of a run: the README.md of its folder, empty if there is none."""
    path = folder / "README.md"
    return path.read_text() if path.is_file() else ""


@contextmanager
def gathered(files: Mapping[str, Path | str]) -> Iterator[Path]:
    """Lend a folder that holds all of them (links, so nothing is copied twice), for one call that sends it."""
    sweep(Path(tempfile.gettempdir()), "compressbench", deep=False)
    with tempfile.TemporaryDirectory(prefix=prefix("compressbench")) as name:
        for relative, source in files.items():
            target = Path(name) / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, Path):
                target.symlink_to(source.resolve())
            else:
                target.write_text(source)
        yield Path(name)
