"""What there is to choose from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from compressbench.planning import catalogue

REPOSITORY = Path(__file__).parents[2]


def test_a_row_is_listed_with_its_first_comment_line_and_a_base_is_not(write):
    write("mine/row", "# What it is.\nmodel: alexnet\n")
    write("mine/_base", "# Not a row.\n")
    entries = {entry.name: entry.summary for entry in catalogue.recipes()}
    assert entries["mine/row"] == "What it is."
    assert "mine/_base" not in entries
    assert "quickstart" in entries


def test_techniques_models_datasets_and_measures_are_the_files_of_conf():
    assert "pruning/l1_norm" in [entry.name for entry in catalogue.techniques()]
    assert "alexnet" in [entry.name for entry in catalogue.models()]
    assert "digits" in [entry.name for entry in catalogue.datasets()]
    assert "accuracy" in [entry.name for entry in catalogue.metrics()]


def test_names_are_in_natural_order(write):
    for name in ("t10/a", "t9/a"):
        write(name, "seed: 1\n")
    own = [entry.name for entry in catalogue.recipes() if entry.name.startswith("t")]
    assert own.index("t9/a") < own.index("t10/a")


def test_the_users_folder_comes_before_the_environments_and_ours(folder, write, monkeypatch):
    (folder / "more").mkdir()
    (folder / "more" / "quickstart.yaml").write_text("# the environment's\n")
    monkeypatch.setenv("COMPRESSBENCH_RECIPES", str(folder / "more"))
    assert catalogue.recipe_folders() == [(folder / "more").resolve(), REPOSITORY / "recipes"]
    assert {entry.name: entry.summary for entry in catalogue.recipes()}["quickstart"] == "the environment's"
    write("quickstart", "# the user's\n")
    assert {entry.name: entry.summary for entry in catalogue.recipes()}["quickstart"] == "the user's"


def test_listing_imports_neither_hydra_nor_torch_nor_yaml():
    code = (
        "import sys; from compressbench.planning import catalogue as c; c.recipes(); c.techniques();"
        "print([name for name in ('hydra', 'omegaconf', 'torch', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_in_a_wheel_conf_and_recipes_lie_inside_the_package(folder):
    """The layout that pyproject's force-include makes, used from another directory."""
    package = folder / "site" / "compressbench"
    shutil.copytree(REPOSITORY / "compressbench", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conf", "recipes"):
        shutil.copytree(REPOSITORY / name, package / name)
    code = (
        "from compressbench.planning import catalogue, compose;"
        "print(catalogue.conf_folder()); print(compose.compose(['recipe=table5/mnist_l1norm_50']).chosen.model)"
    )
    environment = os.environ | {"PYTHONPATH": str(folder / "site")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == [str(package / "conf"), "alexnet"]
