"""What the caches hold is shown by kind, and only what can go is removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compressbench.cli.main import main
from compressbench.core.temporary import machine
from compressbench.running.cache import StageCache
from compressbench.running.in_use import relying_on
from tests.cli.commands import Captured
from tests.core.test_temporary import dead

STAGES = Path("outputs/cache/stages")


@pytest.fixture
def stages(tmp_path: Path) -> list[Path]:
    """Three stages: of a record, of no record, and half done; rests of killed processes and of finished trainings."""
    from tests.tracking.records import record

    run = record(0.1)
    names = [run.stages[0].stage_id, "unnamed", "half"]
    for name in names:
        (STAGES / name / "training").mkdir(parents=True)
        (STAGES / name / "training" / "0").write_bytes(bytes(1000))
        if name != "half":
            (STAGES / name / "stage.json").write_text("{}")
    (Path("outputs/runs/table/row/run")).mkdir(parents=True)
    Path("outputs/runs/table/row/run/record.json").write_text(run.to_json())
    (STAGES / names[0] / f".model.cbp.tmp-{machine()}-{dead()}-abcd_123").write_bytes(bytes(500))
    return [STAGES / name for name in names]


def prune(*words: str) -> None:
    assert main(["cache", "prune", *words]) == 0


def test_size_says_what_there_is_by_kind(stages: list[Path], capsys: Captured) -> None:
    assert main(["cache"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "stages 2 4 bytes 2 bytes 0.0 days" in lines
    assert "unfinished stages 1 1,000 bytes 1,000 bytes 0.0 days" in lines
    assert "checkpoints of finished stages 2 2,000 bytes 2,000 bytes 0.0 days" in lines
    assert "left by killed processes 1 500 bytes 0.0 days" in lines


def test_prune_alone_takes_only_what_nobody_can_need(stages: list[Path], capsys: Captured) -> None:
    prune()
    assert all(stage.is_dir() for stage in stages)
    assert [(stage / "training").exists() for stage in stages] == [False, False, True]
    assert list(stages[0].iterdir()) == [stages[0] / "stage.json"]
    assert "freed" in capsys.readouterr().out
    prune()
    assert "nothing to remove" in capsys.readouterr().out


def test_a_dry_run_removes_nothing_and_says_the_same(stages: list[Path], capsys: Captured) -> None:
    prune("--unused", "--dry-run")
    would = capsys.readouterr().out
    assert all((stage / "training").exists() for stage in stages)
    prune("--unused")
    assert capsys.readouterr().out == would.replace("would free", "     freed")


def test_unused_takes_stages_that_no_record_names_and_their_locks(stages: list[Path]) -> None:
    prune("--unused", "--older-than", "1")
    assert all(stage.is_dir() for stage in stages)
    prune("--unused")
    assert {path.name for path in STAGES.iterdir()} == {stages[0].name, f".{stages[0].name}.lock"}


def test_what_is_old_goes_even_if_a_record_names_it(stages: list[Path]) -> None:
    for path in (stages[0], *stages[0].rglob("*")):
        os.utime(path, (1, 1))
    prune("--older-than", "30")
    assert [stage.exists() for stage in stages] == [False, True, True]


def test_what_a_living_process_computes_or_relies_on_stays(stages: list[Path]) -> None:
    cache = Path("outputs/cache")
    with relying_on(["unnamed"], cache), StageCache(STAGES).lock("half"):
        prune("--unused")
        prune("--older-than", "0")
        assert [stage.exists() for stage in stages] == [False, True, True]
    prune("--unused")
    assert not any(stage.exists() for stage in stages)
    assert list((cache / "running").iterdir()) == []


@pytest.mark.parametrize("words", [["prune", "--older-than", "-1"], ["size", "--unused"], ["shrink"]])
def test_what_makes_no_sense_is_refused(words: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cache", *words])
    assert "usage" in capsys.readouterr().err
