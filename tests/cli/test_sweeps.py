"""The sweeps that were started: listed, looked at, gone on with, ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compressbench.app import sweep as use_case
from compressbench.cli.main import main
from compressbench.core.errors import PlanError
from compressbench.core.process import Process
from compressbench.core.record import RunRecord
from compressbench.core.sweep import NAME, Outcome, SweepRecord
from compressbench.core.sweep_progress import read_progress
from tests.cli.commands import Captured, recipe, refused
from tests.cli.test_sweep import OWN


def said(capsys: Captured, *words: str) -> str:
    assert main(["sweep", *words]) == 0
    return capsys.readouterr().out


def the_folder() -> Path:
    [folder] = Path("outputs/sweeps").iterdir()
    return folder


@pytest.mark.slow
def test_a_broken_off_sweep_is_listed_and_resumed_and_nothing_is_computed_again(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path
) -> None:
    assert "there is no sweep" in said(capsys)
    carried_out = use_case.carry_out_sweep

    def broken(overrides, job, *more):  # type: ignore[no-untyped-def]
        def until_the_second(make, place):  # type: ignore[no-untyped-def]
            if place.number == 2:
                raise KeyboardInterrupt
            return job(make, place)

        return carried_out(overrides, until_the_second, *more)

    with monkeypatch.context() as patch:
        patch.setattr(use_case, "carry_out_sweep", broken)
        assert main(["run", "-m", recipe(OWN), "stages.prune.ratio=0.2,0.4,1.5", "sweep.name=ratios"]) == 130
    name = the_folder().name
    first = {path: RunRecord.read(path).started for path in Path("outputs/runs").rglob("record.json")}
    capsys.readouterr()
    assert [words.split()[:2] for words in said(capsys, "list").splitlines() if name in words] == [[name, "ratios"]]
    told = said(capsys, "status", name[:5])
    assert "3 points: 1 finished, 1 interrupted, 1 not started" in told
    assert "has stopped; `resume` goes on with it" in told

    monkeypatch.setenv("COMPRESSBENCH_OUTPUTS", "outputs")  # which `resume` sets
    outputs = Path("outputs").absolute()
    (tmp_path / "elsewhere").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["sweep", "resume", "ratios", "--outputs", str(outputs), "hydra.sweeper.max_batch_size=2"]) == 2
    capsys.readouterr()
    told = said(capsys, "status", "ratios", "--outputs", str(outputs))
    assert "3 points: 2 finished, 1 failed" in told
    assert "3       1.5     failed     stages.prune: ratio is 1.5" in told
    failed = said(capsys, "status", "ratios", "--outputs", str(outputs), "--only", "failed").split("point ")[1]
    assert "ratio is 1.5" in failed
    assert "finished" not in failed
    now = {path: RunRecord.read(outputs.parent / path).started for path in first}
    assert now == first
    assert read_progress(outputs / "sweeps" / name).living == []
    assert "0.4" in said(capsys, "report", "ratios", "--format", "csv", "--outputs", str(outputs))
    assert "nothing of it is running" in said(capsys, "cancel", "ratios", "--outputs", str(outputs))


def test_what_cannot_be_done_with_a_sweep_is_refused(capsys: Captured) -> None:
    for number in (1, 2):
        folder = Path(f"outputs/sweeps/abcd000{number}")
        SweepRecord(folder.name, ["recipe=quickstart", "seed=0,1"], [], name="mine", points=[{}]).write(folder)
    assert "did you mean 'abcd0001'" in refused(capsys, "sweep", "status", "abcd0011")
    assert "may be any of" in refused(capsys, "sweep", "status", "abc")
    assert "may be any of" in refused(capsys, "sweep", "status", "mine")
    assert "did you mean 'failed'" in refused(capsys, "sweep", "status", "abcd0001", "--only", "faild")
    assert "of which one is not said" in refused(capsys, "sweep", "cancel")
    assert "is another sweep" in refused(capsys, "sweep", "resume", "abcd0001", "seed=2")
    assert "sweep.name: is 'a b'" in refused(capsys, "run", "-m", "recipe=quickstart", "seed=0,1", "sweep.name=a b")
    note = SweepRecord("abcd0003", ["recipe=quickstart"], [], points=[{}], process=Process.current())
    note.write(Path("outputs/sweeps/abcd0003"))
    assert "is running (process" in refused(capsys, "sweep", "resume", "abcd0003")
    Path("outputs/sweeps/abcd0001", NAME).write_text("{}")
    assert "not the note of a sweep" in refused(capsys, "sweep", "status", "abcd0001")
    with pytest.warns(UserWarning, match="abcd0001"):
        assert "abcd0002" in said(capsys, "list")


def test_a_sweep_that_cannot_be_composed_leaves_no_note(capsys: Captured) -> None:
    assert "did you mean 'seed'" in refused(capsys, "run", "-m", "recipe=quickstart", "sede=0,1")
    assert list(Path("outputs/sweeps").glob("*")) == []


def test_a_launcher_that_fails_midway_leaves_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(sweep, job, *_):  # type: ignore[no-untyped-def]
        job(lambda: None, sweep.place(0, parallel=False))
        raise PlanError.of("hydra/launcher", "cannot start jobs here: no room")

    monkeypatch.setattr("compressbench.planning.launch.launch", launch)
    with pytest.raises(PlanError, match="no room"):
        use_case.carry_out_sweep(
            ["recipe=quickstart", "seed=4,5"], lambda make, place: Outcome(place.number, place.values, run="a/b")
        )
    assert [state.state for state in read_progress(the_folder()).states] == ["finished", "not started"]
    assert read_progress(the_folder()).living == []


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["launcher=local", "launcher.processes=2"]])
def test_a_running_sweep_is_cancelled_with_its_workers(launcher: list[str], capsys: Captured) -> None:
    if launcher:
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    endless = OWN.replace("limits: {epochs: 1, steps: 2}", "limits: {steps: 1}")
    words = ["run", "-m", recipe(endless), "stages.train.training.epochs=1000000", "seed=0,1", *launcher]
    with Path("said").open("w") as output:
        command = [sys.executable, "-m", "compressbench", *words]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ)
        end = time.monotonic() + 120
        while not list(Path("outputs/cache/running").glob("*")) and time.monotonic() < end:
            time.sleep(0.2)
        progress = read_progress(the_folder())
        assert len(progress.living) == (3 if launcher else 1), Path("said").read_text()
        assert "ended process" in said(capsys, "cancel", the_folder().name)
        assert process.wait(timeout=20) == 130
    assert not any(each.lives for each in progress.living)
    assert "interrupted" in said(capsys, "list")


@pytest.mark.slow
def test_a_recipe_that_sweeps_is_a_whole_experiment_and_by_itself_one_run(capsys: Captured) -> None:
    own = recipe(f"{OWN}sweep: {{seed: [0, 1], stages.prune.ratio: [0.2]}}\n")
    assert main(["run", own]) == 0
    assert "its own single values; `-m` would run 2 points, over seed, ratio" in capsys.readouterr().out.splitlines()
    assert main(["run", "-m", own, "sweep.name=all"]) == 0
    assert "2 points: 2 finished" in said(capsys, "status", "all")
    recipe(f"{OWN}sweep: {{seed: [0, 2], stages.prune.ratio: [0.2]}}\n")
    assert "what its recipe sweeps was changed" in refused(capsys, "sweep", "resume", "all")
    assert "sweep.sede" in refused(capsys, "check", recipe(f"{OWN}sweep: {{sede: [0]}}\n"))
