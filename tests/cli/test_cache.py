"""What the caches hold is shown, only what can go is removed, and what is damaged is found."""

from __future__ import annotations

import os
from collections.abc import Callable
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


def rows(capsys: Captured, *words: str) -> list[str]:
    """Return what `cache list` prints of each stage."""
    capsys.readouterr()
    assert main(["cache", "list", *words]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if " 0.0 " in line]


def test_a_list_says_what_each_stage_is_and_who_needs_it(stages: list[Path], capsys: Captured) -> None:
    name = stages[0].name
    with relying_on(["half"], Path("outputs/cache")):
        assert rows(capsys) == [
            "? ? ? half 1,000 0.0 0 in use now",
            f"table5/mnist_l1norm_10 train 0 {name} 2 0.0 1",
            "? ? ? unnamed 2 0.0 0 unused",
        ]
    (STAGES / "unnamed" / "stage.json").write_text('{"made_for": {"recipe": "mine", "stage": "prune", "seed": "3"}}')
    made_for_mine = "mine prune 3 unnamed 63 0.0 0 unused"
    assert rows(capsys, "mine") == rows(capsys, "m*") == rows(capsys, "unna") == [made_for_mine]
    assert rows(capsys, "--unused") == ["? ? ? half 1,000 0.0 0 unfinished", made_for_mine]
    assert [row.split()[3] for row in rows(capsys, "--sort", "recipe")] == ["unnamed", name, "half"]
    assert rows(capsys, "--older-than", "1") == []


def test_a_recipe_without_stages_is_named_with_the_nearest_one(stages: list[Path], capsys: Captured) -> None:
    assert main(["cache", "list", "table5/mnist_l1norm_20"]) == 2
    assert "did you mean 'table5/mnist_l1norm_10'?" in capsys.readouterr().err


@pytest.fixture
def whole(tmp_path: Path) -> list[Path]:
    """Two stages, stored as runs do it."""
    from compressbench.core.subject import Subject
    from compressbench.running.cache import StageResult
    from tests.running.plans import LENET

    made_for = {"recipe": "mine", "stage": "train", "seed": "0"}
    for name in ("one", "other"):
        StageCache(STAGES).store(name, Subject(LENET.build(), LENET), StageResult(made_for=made_for))
    return [STAGES / "one", STAGES / "other"]


def test_what_is_whole_is_said_to_be(whole: list[Path], capsys: Captured) -> None:
    assert main(["cache", "verify"]) == 0
    assert "2 entries read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda one, other: (one / "model.cbp").write_bytes((one / "model.cbp").read_bytes()[:-9]), "cut short"),
        (lambda one, other: (one / "model.cbp").unlink(), "No such file"),
        (lambda one, other: (one / "stage.json").write_text('{"measured": 1}'), "stage.json"),
        (lambda one, other: (one / "stage.json").write_bytes((other / "stage.json").read_bytes()), "the stage other"),
    ],
)
def test_damage_is_said_and_on_demand_removed(
    whole: list[Path], capsys: Captured, damage: Callable[[Path, Path], object], said: str
) -> None:
    damage(*whole)
    assert main(["cache", "verify"]) == 1
    line, last = capsys.readouterr().out.splitlines()
    assert line.startswith(f"damaged: {whole[0].absolute()}")
    assert said in line
    assert "1 damaged" in last
    with relying_on(["one"], Path("outputs/cache")):
        assert main(["cache", "verify", "--remove"]) == 1
    assert [stage.exists() for stage in whole] == [True, True]
    assert main(["cache", "verify", "--remove"]) == 1
    assert [stage.exists() for stage in whole] == [False, True]
    assert main(["cache", "verify"]) == 0


def test_a_note_that_was_edited_is_damaged_too(whole: list[Path], capsys: Captured) -> None:
    from compressbench.core.sealed import sealed

    note = Path("outputs/cache/finished/note.json")
    note.parent.mkdir()
    note.write_text(sealed({"folder": "a"}).replace('"a"', '"b"'))
    assert main(["cache", "verify", "--remove"]) == 1
    assert "edited" in capsys.readouterr().out
    assert not note.exists()


@pytest.mark.parametrize(
    "words", [["prune", "--older-than", "-1"], ["size", "--unused"], ["shrink"], ["size", "mine"], ["list", "--remove"]]
)
def test_what_makes_no_sense_is_refused(words: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cache", *words])
    assert "usage" in capsys.readouterr().err
