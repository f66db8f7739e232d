"""`compressbench.run`: what the command line does, from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import compressbench
from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from tests.app.own import OWN


def test_it_returns_the_record_that_lies_on_the_disk_and_trains_nothing_twice() -> None:
    first = compressbench.run(OWN, ["seed=3"], progress=False)
    assert (first.seed, first.status, [stage.name for stage in first.stages]) == (3, "finished", ["train", "prune"])
    assert first.to_json() == RunRecord.read(first.packed_file().parent / "record.json").to_json()
    assert compressbench.run(OWN, ["seed=3"], progress=False).started == first.started
    model = compressbench.load(first.packed_file())
    assert sum(parameter.numel() for parameter in model.parameters()) == first.final.metrics["params"]


def test_a_recipe_given_as_a_mapping_is_kept_as_one_that_can_be_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    record = compressbench.run(OWN, outputs="there", progress=False)
    [file] = Path("there/recipes").iterdir()
    assert record.recipe == file.stem
    assert main(["run", f"recipe={file}", "outputs=there"]) == 0
    assert "nothing is trained again" in capsys.readouterr().out
    other = {**OWN, "stages": {**OWN["stages"], "prune": None}}
    assert compressbench.run({"extends": file.stem, "stages": {"prune": {"ratio": 0.25}}}, outputs="there")
    with pytest.raises(compressbench.PlanError, match=r"stages\.prune"):
        compressbench.run(other, outputs="there")


def test_a_recipe_may_be_named_or_be_a_file(tmp_path: Path) -> None:
    assert compressbench.run("quickstart", ["debug=smoke"], tracking="off", progress=False).recipe == "quickstart"
    file = tmp_path / "my own" / "tiny.yaml"
    file.parent.mkdir()
    file.write_text("# Tiny.\nextends: quickstart\n")
    assert compressbench.run(file, ["debug=smoke"], tracking="off", progress=False).recipe == "tiny"
    assert not Path("outputs/mlflow.db").exists()


def test_mlflow_is_told_unless_tracking_is_off() -> None:
    compressbench.run({**OWN, "tracking": "mlflow"}, progress=False)
    assert Path("outputs/mlflow.db").exists()


def test_everything_that_is_wrong_comes_in_one_error_before_anything_is_written() -> None:
    with pytest.raises(compressbench.PlanError) as caught:
        compressbench.run("quickstart", ["sede=1", "stages.prune.ratio=2"])
    assert [fault.where for fault in caught.value.faults] == ["sede", "stages.prune"]
    assert caught.value.__cause__ is None  # a notebook would show Hydra's too
    assert caught.value.__suppress_context__
    assert not Path("outputs").exists()


def test_a_mapping_that_is_no_recipe_is_refused() -> None:
    with pytest.raises(compressbench.PlanError, match=r"recipe: cannot be written as one: .*object"):
        compressbench.run({**OWN, "seed": object()})
    with pytest.raises(compressbench.PlanError, match="did you mean 'model'"):
        compressbench.run({**OWN, "modell": "lenet5"})


def test_a_missed_budget_is_an_error_that_has_the_record() -> None:
    with pytest.raises(compressbench.RunError, match=r"budget\.size_bytes is 1,000") as caught:
        compressbench.run({**OWN, "budget": {"size_bytes": 1000}}, progress=False)
    assert caught.value.record is not None
    assert caught.value.record.final.metrics["size_bytes"] > 1000
    assert caught.value.record.packed_file().is_file()


def test_a_packed_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    record = compressbench.run(OWN, outputs="there", progress=False)
    with pytest.raises(FileNotFoundError, match=record.recipe):
        record.packed_file("elsewhere")


def test_nothing_is_printed_without_progress(capsys: pytest.CaptureFixture[str]) -> None:
    compressbench.run(OWN, progress=False)
    assert capsys.readouterr() == ("", "")


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {"torch", "hydra", "omegaconf", "pandas", "rich", "mlflow", "numpy", "yaml"}
    code = f"import sys, compressbench; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
