"""Where MLflow keeps its runs."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from compressbench.core.errors import PlanError
from compressbench.tracking.store import Store, chosen, client, embedded, experiment_id, forget, prepare, show_columns
from compressbench.tracking.view import view


def test_the_embedded_store_has_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = embedded(Path("outputs"))
    assert store.uri == f"sqlite:///{tmp_path}/outputs/mlflow.db"
    assert store.artifacts == f"{tmp_path}/outputs/mlflow-artifacts"


def test_a_database_lies_where_its_folder_is_said_to_be(tmp_path: Path) -> None:
    name = "a%20b 100% what? ü#"
    (tmp_path / name).mkdir()
    store = embedded(tmp_path / name)
    assert store.database == tmp_path / name / "mlflow.db"
    prepare(store, ["one"])
    assert store.database.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_no_uri_means_the_embedded_store(tmp_path: Path) -> None:
    assert chosen(tmp_path, None, 3.0, 1, 12.0) == embedded(tmp_path)
    assert chosen(tmp_path, None, 3.0, 1, 12.0).artifacts == str(tmp_path / "mlflow-artifacts")
    assert chosen(tmp_path, "http://host:5000/", 1.0, 0, 9.0) == Store("http://host:5000", None, 1.0, 0, 9.0)


def test_the_environment_names_the_store_where_the_configuration_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://team:5000")
    assert chosen(tmp_path, None, 3.0, 1, 12.0) == Store("http://team:5000", origin="MLFLOW_TRACKING_URI")
    assert chosen(tmp_path, "http://mine:5000", 3.0, 1, 12.0) == Store("http://mine:5000")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert chosen(tmp_path, None, 3.0, 1, 12.0) == embedded(tmp_path)


def test_a_database_without_a_server_keeps_its_files_below_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = chosen(Path("outputs"), "sqlite:///mine.db", 3.0, 1, 12.0)
    assert store == Store(f"sqlite:///{tmp_path}/mine.db", f"{tmp_path}/outputs/mlflow-artifacts")


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "/data/mlruns", "file:///data/mlruns"])
def test_a_folder_is_refused_with_the_reason(uri: str, tmp_path: Path) -> None:
    with pytest.raises(
        PlanError, match=r"tracking\.uri: is .*; MLflow keeps no runs in folders any more; allowed: http"
    ):
        chosen(tmp_path, uri, 3.0, 1, 12.0)


@pytest.mark.parametrize("uri", ["databricks", "databricks://profile", "uc:main", "ftp://host", "sqlite://", "http://"])
def test_what_we_cannot_reach_is_refused_with_the_variable_that_names_it_and_a_way_out(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(PlanError, match=r"MLFLOW_TRACKING_URI: is .*; allowed: http.*tracking\.uri=.* or tracking=off"):
        chosen(tmp_path, None, 3.0, 1, 12.0)


def test_a_wait_of_nothing_is_refused() -> None:
    with pytest.raises(PlanError, match=r"tracking\.timeout_s: is 0"):
        Store("http://host", timeout_s=0)


def test_preparing_makes_each_experiment_once_with_its_files_below_outputs(store: Store, outputs: Path) -> None:
    prepare(store, ["table5", "table 6"])
    forget(store)
    prepare(store, ["table5", "table 6"])
    names = [experiment.name for experiment in client(store).search_experiments()]
    assert sorted(names) == ["Default", "table 6", "table5"]
    place = client(store).get_experiment_by_name("table5").artifact_location
    assert place == f"file://{outputs}/mlflow-artifacts/table5"


def test_the_database_writes_ahead(store: Store) -> None:
    prepare(store, ["table5"])
    connection = sqlite3.connect(store.database)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_an_experiment_in_the_bin_comes_back(store: Store) -> None:
    first = experiment_id(store, "table5")
    client(store).delete_experiment(first)
    forget(store)
    assert experiment_id(store, "table5") == first
    assert client(store).get_experiment(first).lifecycle_stage == "active"


def test_an_experiment_gets_our_view_and_keeps_what_a_person_makes_of_it(store: Store) -> None:
    api, identity = client(store), experiment_id(store, "table5")
    key = "mlflow.sharedViewState.results"
    show_columns(store, identity, ("top1", "energy_mj"))
    state = json.loads(json.loads(api.get_experiment(identity).tags[key])["state"])
    assert {"metrics.`top1`", "metrics.`energy_mj`"} <= set(state["selectedColumns"])
    api.set_experiment_tag(identity, key, "their own")
    forget(store)
    prepare(store, ["table5"])
    show_columns(store, identity, ("top1",))
    assert api.get_experiment(identity).tags[key] == "their own"
    api.set_experiment_tag(identity, key, view("what an older version showed"))
    show_columns(store, identity, ("loss",))
    assert api.get_experiment(identity).tags[key] == view("Results", ("loss",))


def test_nothing_is_left_in_the_working_directory(
    store: Store, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    prepare(store, ["table5"])
    assert list(here.iterdir()) == []
