"""Sweeps: Hydra's grammar and its launchers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from compressbench.core.errors import PlanError
from compressbench.core.sweep import Outcome
from compressbench.planning.launch import launch, read_sweep

SEEN = Path("seen")


def job(make, place):
    """Note what was asked for: one file a run, because a launcher's processes share nothing else."""
    try:
        config, overrides, settings = make()
    except PlanError as error:
        return Outcome(place.number, place.values, 2, str(error))
    SEEN.mkdir(exist_ok=True)
    stages = {name: node.get("ratio") for name, node in config.stages.items()}
    found = {"recipe": config.recipe, "seed": settings.seed, "stages": stages, "overrides": overrides}
    (SEEN / f"{place.number}_{os.getpid()}").write_text(json.dumps(found))
    return Outcome(place.number, place.values, run=f"run of seed {settings.seed}")


def run(*words):
    return launch(read_sweep(words), job)


def seen() -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted(SEEN.glob("*"), key=lambda file: file.name)]


def recipes_seen() -> list[str]:
    return sorted(found["recipe"] for found in seen())


def test_what_is_shared_and_what_varies(row):
    sweep = read_sweep(["recipe=row", "~stages.finetune", "stages.prune.ratio=0.1,0.3", "seed=range(0,3)"])
    assert sweep.shared == ["recipe=row", "~stages.finetune"]
    assert len(sweep.points) == 6
    first, last = sweep.points[0], sweep.points[-1]
    assert first.overrides == ["recipe=row", "~stages.finetune", "stages.prune.ratio=0.1", "seed=0"]
    assert last.values == {"stages.prune.ratio": "0.3", "seed": "2"}
    assert sweep.place(5, parallel=False).name == "6 of 6, ratio=0.3 seed=2"


def test_a_glob_is_looked_up_and_the_first_recipe_stands_for_the_sweep(row, write):
    write("mine/a", "extends: row\n")
    write("mine/b", "extends: row\n")
    sweep = read_sweep(["recipe=glob(mine/*)"])
    assert [point.values["recipe"] for point in sweep.points] == ["mine/a", "mine/b"]
    assert sweep.shared == ["recipe=mine/a"]


def test_a_sweep_is_the_product_of_its_values(row):
    run("recipe=row", "stages.prune.ratio=0.1,0.3", "seed=0,1")
    assert [(found["stages"]["prune"], found["seed"]) for found in seen()] == [(0.1, 0), (0.1, 1), (0.3, 0), (0.3, 1)]
    assert seen()[0]["overrides"] == ["recipe=row", "stages.prune.ratio=0.1", "seed=0"]


def test_several_recipes_are_a_sweep(row, write):
    write("nested/deep/other", "extends: row\n")
    run("recipe=row,nested/deep/other")
    assert recipes_seen() == ["nested/deep/other", "row"]


def test_glob_finds_nested_rows_and_no_bases(row, write):
    write("mine/_base", "extends: row\n")
    write("mine/a", "extends: _base\n")
    write("mine/b", "extends: _base\n")
    write("mine/deeper/c", "extends: mine/_base\n")
    run("recipe=glob(mine/*)")
    assert recipes_seen() == ["mine/a", "mine/b", "mine/deeper/c"]


def test_a_glob_that_matches_nothing_is_refused(row):
    with pytest.raises(PlanError, match=r"recipe=glob\(nothing/\*\): matches nothing, so there is nothing to run"):
        run("recipe=glob(nothing/*)")


def test_overrides_come_as_they_were_written_deletions_and_additions_too(row):
    words = [
        "~stages.prune",
        "+stages.more={technique: pruning/l1_norm, ratio: 0.2}",
        "stages.finetune.training.epochs=3",
    ]
    run("recipe=row", *words, "seed=1,2")
    assert [found["overrides"] for found in seen()] == [["recipe=row", *words, f"seed={n}"] for n in (1, 2)]
    assert list(seen()[0]["stages"]) == ["train", "finetune", "more"]


def test_a_key_that_needs_a_plus_can_be_swept(row):
    run("recipe=row", "+stages.more={technique: pruning/l1_norm}", "stages.more.ratio=0.1,0.2")
    assert [found["stages"]["more"] for found in seen()] == [0.1, 0.2]


def test_bad_input_in_one_point_is_its_own(row):
    outcomes = run("recipe=row", "stages.prune.ratio=0.5", "seed=1,abc,2")
    assert [(outcome.number, outcome.values, outcome.code) for outcome in outcomes] == [
        (1, {"seed": "1"}, 0),
        (2, {"seed": "abc"}, 2),
        (3, {"seed": "2"}, 0),
    ]
    assert [outcome.run for outcome in outcomes] == ["run of seed 1", "", "run of seed 2"]
    assert outcomes[1].error.startswith("seed: is 'abc'; a whole number is needed")


def test_what_cannot_be_composed_stops_a_sweep_before_it_starts(row):
    with pytest.raises(PlanError, match="there is no 'rwo'; did you mean 'row'"):
        run("recipe=row,rwo")
    assert seen() == []


def test_a_launcher_may_be_given_a_few_runs_at_a_time(row):
    outcomes = run("recipe=row", "seed=1,2,3", "hydra.sweeper.max_batch_size=2")
    assert [outcome.number for outcome in outcomes] == [1, 2, 3]


def test_outputs_that_cannot_be_written_are_named(row, folder):
    (folder / "file").write_text("")
    with pytest.raises(PlanError, match=r"outputs: cannot be written: .*file"):
        run("recipe=row", "seed=1,2", "outputs=file")


def test_hydra_keeps_to_the_outputs_folder_and_writes_no_log(row, folder):
    run("recipe=row", "seed=1,2", "outputs=there")
    assert sorted(file.name for file in folder.iterdir()) == ["recipes", "seen", "there"]
    assert [file.name for file in (folder / "there").iterdir()] == ["hydra"]
    assert list(folder.rglob("*.log")) == []


def test_two_sweeps_within_a_second_have_folders_of_their_own(row, folder):
    run("recipe=row", "seed=1,2")
    run("recipe=row", "seed=1,2")
    assert len(list((folder / "outputs" / "hydra").iterdir())) == 2


def test_importing_it_leaves_torch_alone():
    import subprocess

    code = "import sys, compressbench.planning.launch; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
