"""What a killed process left is swept; what a living one is writing is not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from compressbench.core.temporary import machine, prefix, sweep


def dead() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_temporaries_of_dead_processes_go_and_all_else_stays(tmp_path: Path) -> None:
    left, other = f".record.json.tmp-{machine()}-{dead()}-abcd_123", f"record.tmp-{machine()}-{dead()}"
    elsewhere = f".record.json.tmp-00000000-{dead()}-abcd_123"
    for name in (left, other, elsewhere, "record.json", ".record.json.abcd_123"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / name).write_text("half")
    mine = tempfile.mkstemp(prefix=f".{prefix('record.json')}", dir=tmp_path / "deep")[1]
    sweep(tmp_path)
    names = {path.name for path in (tmp_path / "deep").iterdir()}
    assert names == {other, elsewhere, "record.json", ".record.json.abcd_123", Path(mine).name}


def test_after_a_day_those_of_other_machines_and_without_a_process_go_too(tmp_path: Path) -> None:
    (tmp_path / f".model.cbp.tmp-00000000-{os.getpid()}-abcd_123").mkdir()
    for name in (".model.cbp.abcd_123", "tracked.json.4711", "model.cbp"):
        (tmp_path / name).write_text("half")
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.cbp"]


def test_a_sweep_may_be_for_one_name_and_one_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a", "b", "deep/a"):
        (tmp_path / f"{name}.tmp-{machine()}-{dead()}-abcd_123").mkdir()
    sweep(tmp_path, "a", deep=False)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["b", "d"]
    assert len(list((tmp_path / "deep").iterdir())) == 1
