"""`run`: Hydra's grammar, sweeps and launchers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from compressbench.core.errors import PlanError, RunError
from compressbench.core.sweep import Outcome
from compressbench.planning.launch import launch, parse_arguments

SEEN = Path("seen")


def job(config, overrides, place):
    """Note what was asked for: one file a run, because a launcher's processes share nothing else."""
    SEEN.mkdir(exist_ok=True)
    stages = {name: node.get("ratio") for name, node in config.stages.items()}
    found = {"recipe": config.recipe, "seed": config.seed, "stages": stages, "overrides": list(overrides)}
    (SEEN / f"{config.recipe.replace('/', '-')}_{len(list(SEEN.iterdir()))}_{config.seed}").write_text(
        json.dumps(found)
    )
    if place and place.parallel:
        print(f"seed {config.seed}")
    if config.seed == 7:
        raise RunError("seven fails")
    if config.seed == 8:
        raise KeyError("eight is a bug")
    return f"run of seed {config.seed}"


def seen() -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted(SEEN.glob("*"))]


def recipes_seen() -> list[str]:
    return sorted(found["recipe"] for found in seen())


def test_a_single_run_gets_its_configuration_and_its_overrides_as_written(row):
    assert launch(["recipe=row", "stages.prune.ratio=0.25", "~stages.finetune"], job) == 0
    assert seen() == [
        {
            "recipe": "row",
            "seed": 0,
            "stages": {"train": None, "prune": 0.25},
            "overrides": ["recipe=row", "stages.prune.ratio=0.25", "~stages.finetune"],
        }
    ]


def test_exceptions_of_a_single_run_come_out_as_they_are(row, capfd):
    with pytest.raises(RunError, match="seven fails"):
        launch(["recipe=row", "seed=7"], job)
    with pytest.raises(KeyError):
        launch(["recipe=row", "seed=8"], job)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "recipe=row", "seed=1,2"],
        ["recipe=row", "-m", "seed=1,2"],
        ["recipe=row", "seed=1,2", "--multirun"],
    ],
)
def test_flags_may_stand_anywhere(row, arguments):
    assert parse_arguments(arguments).multirun
    assert launch(arguments, job) == 0
    assert [found["seed"] for found in seen()] == [1, 2]


def test_a_sweep_is_the_product_of_its_values(row):
    assert launch(["-m", "recipe=row", "stages.prune.ratio=0.1,0.3", "seed=0,1"], job) == 0
    assert sorted((found["stages"]["prune"], found["seed"]) for found in seen()) == [
        (0.1, 0),
        (0.1, 1),
        (0.3, 0),
        (0.3, 1),
    ]
    assert seen()[0]["overrides"] == ["recipe=row", "stages.prune.ratio=0.1", "seed=0"]


def test_several_recipes_are_a_sweep(row, write):
    write("nested/deep/other", "extends: row\n")
    assert launch(["-m", "recipe=row,nested/deep/other"], job) == 0
    assert recipes_seen() == ["nested/deep/other", "row"]


def test_glob_finds_nested_rows_and_no_bases(row, write):
    write("mine/_base", "extends: row\n")
    write("mine/a", "extends: _base\n")
    write("mine/b", "extends: _base\n")
    write("mine/deeper/c", "extends: mine/_base\n")
    assert launch(["-m", "recipe=glob(mine/*)"], job) == 0
    assert recipes_seen() == ["mine/a", "mine/b", "mine/deeper/c"]


def test_a_glob_that_matches_nothing_is_refused(row):
    with pytest.raises(PlanError, match=r"recipe=glob\(nothing/\*\): matches nothing, so there is nothing to run"):
        launch(["-m", "recipe=glob(nothing/*)"], job)


def test_a_failed_job_does_not_stop_the_others(row, capfd):
    assert launch(["-m", "recipe=row", "seed=7,8,9"], job) == 1
    assert [found["seed"] for found in seen()] == [7, 8, 9]
    errors = capfd.readouterr().err
    assert "1 of 3, seed=7: error: seven fails" in errors
    assert "KeyError: 'eight is a bug'" in errors
    assert "2 of 3 runs failed" in errors


def test_bad_input_in_one_point_of_a_sweep_is_exit_code_two(row, capfd):
    assert launch(["-m", "recipe=row", "seed=1,abc"], job) == 2
    assert [found["seed"] for found in seen()] == [1]
    assert "2 of 2, seed=abc: error: seed: is 'abc'; a whole number is needed" in capfd.readouterr().err


def test_an_unknown_recipe_stops_a_sweep_before_it_starts(row):
    with pytest.raises(PlanError, match="there is no 'rwo'; did you mean 'row'"):
        launch(["-m", "recipe=row,rwo"], job)
    assert seen() == []


def test_a_sweep_of_a_deleted_stage(row):
    assert launch(["-m", "recipe=row", "~stages.prune", "seed=1,2"], job) == 0
    assert [found["overrides"] for found in seen()] == [["recipe=row", "~stages.prune", f"seed={n}"] for n in (1, 2)]
    assert list(seen()[0]["stages"]) == ["train", "finetune"]


def test_joblib_runs_jobs_in_other_processes_whose_lines_say_whose_they_are(row, capfd):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    arguments = ["-m", "recipe=row", "seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    outcomes: list[Outcome] = []
    assert launch(arguments, job, outcomes.extend) == 0
    assert sorted(found["seed"] for found in seen()) == [1, 2]
    assert [(outcome.number, outcome.run) for outcome in outcomes] == [(1, "run of seed 1"), (2, "run of seed 2")]
    assert sorted(capfd.readouterr().out.splitlines()) == ["1 of 2, seed=1: seed 1", "2 of 2, seed=2: seed 2"]


def test_a_sweep_tells_how_each_of_its_runs_ended(row):
    outcomes: list[Outcome] = []
    assert launch(["-m", "recipe=row", "stages.prune.ratio=0.5", "seed=1,7,abc"], job, outcomes.extend) == 2
    assert [(outcome.number, outcome.values, outcome.code) for outcome in outcomes] == [
        (1, {"seed": "1"}, 0),
        (2, {"seed": "7"}, 1),
        (3, {"seed": "abc"}, 2),
    ]
    assert [outcome.run for outcome in outcomes] == ["run of seed 1", "", ""]
    assert outcomes[1].error == "seven fails"
    assert outcomes[2].error.startswith("seed: is 'abc'")


def test_cfg_job_prints_the_configuration_with_all_defaults_and_runs_nothing(row, capsys):
    assert launch(["recipe=row", "--cfg", "job", "--package", "stages.prune", "stages.prune.ratio=0.25"], job) == 0
    printed = capsys.readouterr().out
    assert "ratio: 0.25" in printed
    assert "round_to: 1" in printed
    assert seen() == []


def test_cfg_of_a_sweep_shows_its_first_run_and_runs_nothing(row, capsys):
    words = ["-m", "recipe=row", "stages.prune.ratio=0.25,0.5", "--cfg", "job", "-p", "stages.prune.ratio"]
    assert launch(words, job) == 0
    assert capsys.readouterr().out == "0.25\n"
    assert seen() == []


def test_outputs_that_cannot_be_written_are_named(row, folder):
    (folder / "file").write_text("")
    for words in (["recipe=row"], ["-m", "recipe=row", "seed=1,2"]):
        with pytest.raises(PlanError, match=r"outputs: cannot be written: .*file"):
            launch([*words, "outputs=file"], job)


def test_cfg_resolves_on_request(row, capsys):
    launch(["recipe=row", "--cfg", "job", "-p", "stages.train.training.batch_size", "--resolve"], job)
    assert capsys.readouterr().out == "128\n"


def test_a_config_dir_brings_recipes_and_config_groups_of_its_own(folder):
    (folder / "extra" / "recipes").mkdir(parents=True)
    (folder / "extra" / "model").mkdir()
    (folder / "extra" / "model" / "tiny.yaml").write_text(
        "_target_: compressbench.zoo.alexnet.AlexNet\nbatch_norm: false\n"
        "dropout: 0.0\nconv_bias: true\nhidden: [8]\nweights: null\n"
    )
    (folder / "extra" / "recipes" / "tiny.yaml").write_text("extends: quickstart\nmodel: tiny\n")
    assert launch(["--config-dir", "extra", "recipe=tiny"], job) == 0
    assert recipes_seen() == ["tiny"]


def test_an_interpolation_that_points_nowhere_comes_with_all_other_faults(row, capfd):
    with pytest.raises(PlanError) as caught:
        launch(["recipe=row", "stages.train.training.lr=${nope}", "seed=abc"], job)
    assert [str(fault) for fault in caught.value.faults] == [
        "seed: is 'abc'; a whole number is needed",
        "stages.train.training.lr: is ${nope}, but there is no key 'nope'",
    ]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("arguments", [["--foo"], ["--cfg", "nothing"], ["--resolve"], ["--config-path", "x"]])
def test_flags_that_are_not_offered_are_refused_in_words(arguments):
    with pytest.raises(PlanError):
        launch(arguments, job)


def test_hydra_keeps_to_the_outputs_folder_and_writes_no_log(row, folder):
    launch(["recipe=row", "outputs=there"], job)
    launch(["-m", "recipe=row", "seed=1,2", "outputs=there"], job)
    assert sorted(file.name for file in folder.iterdir()) == ["recipes", "seen", "there"]
    assert [file.name for file in (folder / "there").iterdir()] == ["hydra"]
    assert list(folder.rglob("*.log")) == []


def test_two_runs_within_a_second_have_folders_of_their_own(row, folder):
    launch(["recipe=row"], job)
    launch(["recipe=row"], job)
    assert len(list((folder / "outputs" / "hydra").iterdir())) == 2


def test_importing_it_leaves_torch_alone():
    import subprocess

    code = "import sys, compressbench.planning.launch; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
