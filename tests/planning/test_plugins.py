"""Entries and recipes of plugins, found without importing any code of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compressbench.core.errors import PlanError
from compressbench.core.plugin import _own_version
from compressbench.planning import catalogue
from compressbench.planning.complete import complete
from tests.planning.plans import built, faults
from tests.users_plugins import NET, write_plugins

TECHNIQUE = """

from dataclasses import dataclass

from compressbench.core.technique import Technique


@dataclass(frozen=True)
class Halve(Technique):
    \"\"\"Halve every weight, so many times. times: how often.\"\"\"

    times: int = 1
    adds = frozenset({"retrained"})

    def apply(self, subject, context):
        return subject
"""
ROW = """\
# Mine.
model: {_target_: plugins.Net, width: 3}
dataset: digits
stages:
  train: {technique: training/from_scratch, training: {epochs: 1}}
  halve: {technique: plugins.Halve}
"""


@pytest.fixture
def conf() -> Path:
    """A `plugins.py` with a `conf` beside it."""
    write_plugins(NET + TECHNIQUE)
    folder = Path("conf").absolute()
    for name, text in {
        "technique/mine/halve": "# Halves.\n_target_: plugins.Halve\ntimes: 2\n",
        "model/slim": "# A slim one.\n_target_: plugins.Net\nwidth: 2\nweights: null\n",
        "training/quick": "# Quick.\n",
    }.items():
        file = folder / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    training = (catalogue.conf_folder() / "training" / "reduced.yaml").read_text()
    (folder / "training/quick.yaml").write_text(training.replace("protocol: reduced", "protocol: quick"))
    return folder


def test_entries_of_a_plugin_stand_beside_ours_with_its_name(conf: Path) -> None:
    found = {entry.name: entry for entry in catalogue.techniques()}
    assert found["mine/halve"] == ("mine/halve", "Halves.", "plugins")
    assert found["pruning/l1_norm"].plugin == ""
    assert not Path("ran").exists()


def test_they_are_composed_and_completed_like_ours(conf: Path, write) -> None:
    write("row", ROW)
    plan = built("recipe=row", "training=quick")
    assert plan.stages[1].technique.times == 1  # the class's own
    write("other", "extends: row\nmodel: slim\nstages: {halve: {technique: mine/halve}}\n")
    plan = built("recipe=other")
    assert plan.stages[1].technique.times == 2  # the entry's
    assert plan.model.architecture.arguments["width"] == 2
    assert complete(["run", "model=sl"]) == ["model=slim "]
    assert complete(["run", "recipe=other", "stages.halve.technique=mine/"]) == ["stages.halve.technique=mine/halve "]
    assert complete(["run", "recipe=other", "stages.halve.ti"]) == ["stages.halve.times="]


def test_listing_and_completing_import_nothing_of_it(conf: Path) -> None:
    code = (
        "import sys; from compressbench.cli.main import main; main(['list']);"
        "from compressbench.planning.complete import complete; complete(['run', 'model=']);"
        "print([name for name in ('plugins', 'torch', 'importlib.metadata') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["model/alexnet", "technique/pruning/magnitude", "config"])
def test_an_entry_with_one_of_our_names_is_an_error_that_names_both_files(conf: Path, write, name: str) -> None:
    write("row", ROW)
    file = conf / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("# Mine.\n")
    with pytest.raises(PlanError) as caught:
        built("recipe=row")
    said = str(caught.value)
    assert str(file) in said
    assert str(catalogue.conf_folder() / f"{name}.yaml") in said
    assert "the plugin 'plugins' has an entry of the name of one of compressbench" in said


def test_entries_of_two_plugins_with_one_name_are_an_error_too(conf: Path, tmp_path, monkeypatch) -> None:
    other = tmp_path / "elsewhere"
    (other / "conf/model").mkdir(parents=True)
    (other / "theirs.py").touch()
    (other / "conf/model/slim.yaml").write_text("# Theirs.\n")
    monkeypatch.setenv("COMPRESSBENCH_PLUGINS", str(other / "theirs.py"))
    with pytest.raises(PlanError, match=r"the plugin 'plugins' has an entry .* of the plugin 'theirs'"):
        catalogue.models()


def test_recipes_of_a_plugin_are_found_and_may_not_have_our_names(tmp_path, monkeypatch) -> None:
    package = tmp_path / "site" / "cb_rows"
    (package / "recipes/mine").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "recipes/mine/row.yaml").write_text("# A row of a package.\nextends: quickstart\n")
    monkeypatch.setenv("COMPRESSBENCH_PLUGINS", os.fspath(package) + os.sep)
    found = {entry.name: entry for entry in catalogue.recipes()}
    assert found["mine/row"].plugin == "cb_rows"
    assert built("recipe=mine/row").recipe == "mine/row"
    (package / "recipes/quickstart.yaml").write_text("# Not ours.\nextends: quickstart\n")
    with pytest.raises(PlanError, match="'cb_rows' has an entry of the name of one of compressbench"):
        catalogue.recipes()


def test_a_class_that_is_named_does_not_mix_with_an_entry(conf: Path, write) -> None:
    write("row", ROW)
    what = r"model=lenet5: does not go with the class plugins\.Net, which the recipe names"
    with pytest.raises(PlanError, match=what):
        built("recipe=row", "model=lenet5")
    write("child", "extends: row\nmodel: lenet5\n")
    assert built("recipe=child").model.name == "lenet5"


def test_the_plan_says_which_plugins_and_its_identity_hangs_on_their_version(conf: Path, write) -> None:
    write("row", ROW)
    plugins, ids = built("recipe=row").as_dict()["plugins"], built("recipe=row").stage_ids()
    assert list(plugins) == ["plugins"]
    assert "plugins" not in built("recipe=quickstart").as_dict()
    Path("plugins.py").write_text(f"{NET}{TECHNIQUE}# changed\n")
    _own_version.cache_clear()  # as in another process
    changed = built("recipe=row")
    assert changed.as_dict()["plugins"] != plugins
    assert set(changed.stage_ids()).isdisjoint(ids)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Bare: ...", "does not inherit from compressbench.core.technique.Technique"),
        ("class Bare(Technique):\n    def apply(self, subject, context): ...", "write `@dataclass(frozen=True)`"),
        ("@dataclass\nclass Bare(Technique):\n    def apply(self, subject, context): ...", "it is not frozen"),
        ("@dataclass(frozen=True)\nclass Bare(Technique): ...", "it has no method `apply(subject, context)`"),
        (
            "@dataclass(frozen=True)\nclass Bare(Technique):\n    def apply(self, subject): ...",
            "its method `apply(subject)` is not `apply(subject, context)`",
        ),
        ("def Bare(): ...", "it is a function; a class is needed"),
    ],
)
def test_a_technique_with_a_wrong_signature_is_told_what_it_lacks(write, text: str, said: str) -> None:
    write_plugins(f"from dataclasses import dataclass\nfrom compressbench.core.technique import Technique\n\n{text}\n")
    write("row", ROW.replace("{_target_: plugins.Net, width: 3}", "lenet5").replace("Halve", "Bare"))
    assert [fault for fault in faults("recipe=row") if "plugins.Bare is no technique: " in fault and said in fault]


def test_a_metric_and_a_dataset_with_a_wrong_signature_are_told_what_they_lack(write) -> None:
    write_plugins("from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Bare:\n    size: int = 1\n")
    write("row", "extends: quickstart\nmetrics: [accuracy, plugins.Bare]\ndataset: {_target_: plugins.Bare}\n")
    found = faults("recipe=row")
    assert any(
        fault.startswith("metrics.plugins.Bare: plugins.Bare is no metric: it has no method `m") for fault in found
    )
    assert any("plugins.Bare is no dataset: it has no method `load()`" in fault for fault in found)


def test_code_that_nobody_declared_is_refused_wherever_a_recipe_names_it(write) -> None:
    for recipe in (
        "model: {_target_: os.system}",
        "dataset: {_target_: os.system}",
        "stages: {train: {technique: os.system}}",
        "metrics: [os.system]",
        "model: {_target_: sklearn.svm.SVC}",
        "model: {_target_: plugins.Net}",
    ):
        write("row", f"extends: quickstart\n{recipe}\n")
        assert any("may not be named; only what is below compressbench." in fault for fault in faults("recipe=row"))
