"""A plugin from the command line: a file in the working folder, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from compressbench.cli.main import main
from compressbench.core import plugins
from compressbench.core.plugin import _own_version
from compressbench.core.record import RunRecord
from tests.cli.commands import Captured, recipe, refused
from tests.planning.test_plugins import TECHNIQUE
from tests.users_plugins import NET, write_plugins

MINE = """\
model: {_target_: plugins.Net, width: 3}
dataset: digits
stages:
  train: {technique: training/from_scratch, training: {epochs: 1, batch_size: 32}}
  halve: {technique: plugins.Halve}
  prune: {technique: pruning/magnitude, ratio: 0.5}
"""
SHORT = ["limits.steps=2", "tracking=off"]


def records() -> list[RunRecord]:
    return [RunRecord.read(file) for file in sorted(Path("outputs/runs").rglob("record.json"))]


def test_one_file_is_enough_and_the_record_says_so(capsys: Captured) -> None:
    write_plugins(NET + TECHNIQUE)
    assert main(["check", recipe(MINE)]) == 0
    assert main(["run", recipe(MINE), *SHORT]) == 0
    (record,) = records()
    assert record.plan["stages"]["halve"] == {"technique": "plugins.Halve", "times": 1}
    assert list(record.plan["plugins"]) == ["plugins"]
    assert "plugins.Halve" in capsys.readouterr().out


def test_changed_code_is_not_taken_for_finished_work(capsys: Captured) -> None:
    write_plugins(NET + TECHNIQUE)
    assert main(["run", recipe(MINE), *SHORT]) == 0
    assert main(["run", recipe(MINE), *SHORT]) == 0
    assert "nothing is trained again" in capsys.readouterr().out
    write_plugins(f"{NET}{TECHNIQUE}# changed\n")
    _own_version.cache_clear()  # as in another process
    assert main(["run", recipe(MINE), *SHORT]) == 0
    assert "nothing is trained again" not in capsys.readouterr().out
    assert len(records()) == 2


@pytest.mark.slow
def test_workers_of_a_sweep_import_the_same_plugin() -> None:
    write_plugins(NET + TECHNIQUE)
    jobs = ["launcher=local", "launcher.processes=2"]
    assert main(["run", "-m", recipe(MINE), "stages.prune.ratio=0.3,0.6", *jobs, *SHORT]) == 0
    found = records()
    assert len(found) == 2
    assert found[0].plan["plugins"] == found[1].plan["plugins"]


def test_nothing_imports_it_that_does_not_name_it(capsys: Captured) -> None:
    write_plugins(NET + TECHNIQUE)
    assert main(["run", recipe(MINE), *SHORT]) == 0
    file, trace = next(Path("outputs/runs").rglob("model.cbp")), Path("ran")
    trace.unlink()
    plugins._named.clear()  # as in another process
    del sys.modules["plugins"]
    assert main(["list"]) == 0
    assert main(["inspect", str(file)]) == 0
    assert main(["check", "recipe=quickstart", "debug=smoke"]) == 0
    assert main(["evaluate", str(file)]) == 2
    assert main(["export", str(file), "--output", "model.onnx"]) == 2
    assert not trace.exists()
    assert "plugins" not in sys.modules
    assert main(["evaluate", str(file), "--plugin", "plugins"]) == 0
    assert trace.exists()
    assert "all is as the file notes" in capsys.readouterr().out


def test_a_plugin_that_does_not_import_is_named_with_what_it_raised(capsys: Captured) -> None:
    file = write_plugins("import no_such_module\n")
    said = refused(capsys, "run", recipe(MINE))
    assert f"the plugin 'plugins' ({file}) cannot be imported: ModuleNotFoundError: No module named 'no_such" in said
    assert "Traceback" not in said


def test_a_plugin_that_is_not_there_is_named(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSBENCH_PLUGINS", "no_such_plugin")
    for verb in (["list"], ["check", "recipe=quickstart"], ["run", "recipe=quickstart"]):
        assert "'no_such_plugin', named in COMPRESSBENCH_PLUGINS, is no module" in refused(capsys, *verb)


def test_code_that_nobody_declared_is_refused(capsys: Captured) -> None:
    said = refused(capsys, "run", recipe("extends: quickstart\nmodel: {_target_: os.system, command: touch hacked}\n"))
    assert "model: the code 'os.system' may not be named; only what is below compressbench.zoo." in said
    assert "sklearn.svm.SVC" in refused(
        capsys, "run", recipe("extends: quickstart\nmodel: {_target_: sklearn.svm.SVC}\n")
    )
    assert not Path("hacked").exists()


def test_an_entry_with_our_name_names_both_files(capsys: Captured) -> None:
    write_plugins(NET)
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/alexnet.yaml").write_text("# Mine.\n_target_: plugins.Net\n")
    for verb in (["list"], ["list", "models"], ["run", "recipe=quickstart"]):
        said = refused(capsys, *verb)
        assert said.count("conf/model/alexnet.yaml") == 2
        assert "the plugin 'plugins' has an entry of the name of one of compressbench" in said


def test_list_says_where_an_entry_comes_from(capsys: Captured) -> None:
    write_plugins(NET + TECHNIQUE)
    Path("conf/technique/mine").mkdir(parents=True)
    Path("conf/technique/mine/halve.yaml").write_text("# Halves.\n_target_: plugins.Halve\ntimes: 2 # so often\n")
    assert main(["list", "techniques"]) == 0
    lines = capsys.readouterr().out.splitlines()
    columns = [line.split() for line in lines if line.startswith("mine/")]
    assert columns == [["mine/halve", "-", "-", "Halves.", "-", "plugins"]]
    ours = [line for line in lines if "/" in line.split()[0] and not line.startswith("mine/")]
    assert ours
    assert all(line.split()[-1] == "compressbench" for line in ours)
    assert main(["list", "halve"]) == 0
    shown = capsys.readouterr().out
    assert f"from the plugin plugins: {Path('conf/technique/mine/halve.yaml').absolute()}" in shown
    assert "how often." in shown
