"""Where MLflow keeps its runs: a database of our own below outputs/, or anybody's server."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from compressbench.core.errors import PlanError
from compressbench.core.lock import alone
from compressbench.tracking.mlflow_env import settle
from compressbench.tracking.view import PREFIX, RESULTS, is_unchanged, view

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient

SQLITE = "sqlite:///"
URI = "MLFLOW_TRACKING_URI"
"""The environment variable that MLflow itself reads."""
ALLOWED = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
OPENING_S = 90.0
"""How long opening a store may take: creating a database takes seconds on a machine that is busy."""
TAGS = {f"{PREFIX}{RESULTS}": view("Results"), "mlflow.experimentKind": "custom_model_development"}
"""What makes the pages show figures and charts of trained models, not the columns of chat applications."""
PREPARED_S = 300.0
"""How long another process may take to make a database: seconds, unless it hangs."""
_known: dict[tuple[str, str], str] = {}
"""Experiment ids this process has looked up, by store and name."""
_columns: dict[tuple[str, str], tuple[str, ...]] = {}
"""The columns this process has given to experiments, by store and id."""


@dataclass(frozen=True)
class Store:
    """An MLflow store and how patient we are with it.

    uri: what MLflow calls a tracking URI. artifacts: folder below which experiments keep their files, None
    where a server decides. timeout_s: how long one request waits for an answer. retries: how often a failed
    one is tried again. deadline_s: how long sending one run may take altogether. origin: who named it, if that was
    neither us nor the configuration. PlanError for a wrong one.
    """

    uri: str
    artifacts: str | None = None
    timeout_s: float = 3.0
    retries: int = 1
    deadline_s: float = 12.0
    origin: str = ""

    def __post_init__(self) -> None:
        for key in ("timeout_s", "deadline_s"):
            if not getattr(self, key) > 0:
                raise PlanError.of(f"tracking.{key}", f"is {getattr(self, key)}; allowed: more than 0")
        if self.retries < 0:
            raise PlanError.of("tracking.retries", f"is {self.retries}; allowed: 0 or more")

    @property
    def database(self) -> Path | None:
        """The file of a SQLite store, None for any other."""
        return Path(unquote(self.uri.removeprefix(SQLITE))) if self.uri.startswith(SQLITE) else None

    @property
    def name(self) -> str:
        """The URI without a password: what is shown and noted down."""
        return without_passwords(self.uri)

    @property
    def is_server(self) -> bool:
        return self.uri.startswith(("http://", "https://"))


def without_passwords(text: str) -> str:
    """Return `text` with `//user:password@` in any address shortened to `//user@`."""
    return re.sub(r"(//[^/@:\s]*):[^/@\s]*@", r"\1@", text)


def embedded(outputs: Path) -> Store:
    """Return the store that needs no server: a SQLite database and a folder of artifacts below `outputs`."""
    return at(outputs, _address(outputs.resolve() / "mlflow.db"))


def _address(database: Path) -> str:
    """Return the URI of a SQLite file; it is decoded when it is used."""
    return SQLITE + str(database).replace("%", "%25").replace("?", "%3F")


def at(outputs: Path, uri: str, key: str = "tracking.uri") -> Store:
    """Return the store at `uri`; runs in a database without a server keep their files below `outputs`.

    PlanError, naming `key`, for what MLflow keeps no runs in any more (a folder) or we cannot reach (databricks).
    """
    scheme, found, rest = uri.partition("://")
    if not found or scheme.partition("+")[0] not in ALLOWED or not rest.strip("/"):
        allowed = "http://HOST:PORT, sqlite:////FILE.db, postgresql://..., mysql://..., mssql://..."
        folder = scheme == "file" or (not found and uri != "databricks")
        why = "; MLflow keeps no runs in folders any more" if folder else ""
        way_out = f", or tracking.uri=... or tracking=off beside {URI}" if key == URI else ""
        raise PlanError.of(key, f"is {without_passwords(uri)!r}{why}; allowed: {allowed}{way_out}")
    if scheme in ("http", "https"):
        return Store(uri.rstrip("/"))
    if uri.startswith(SQLITE):
        uri = f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}"
    return Store(uri, str(outputs.resolve() / "mlflow-artifacts"))


def chosen(outputs: Path, uri: str | None, timeout_s: float, retries: int, deadline_s: float) -> Store:
    """Return the store at `uri`; for None the one that the environment names, or else the embedded one.

    The arguments are the keys of conf/tracking/mlflow.
    """
    named = os.environ.get(URI)
    if uri is not None:
        store = at(outputs, uri)
    elif named:
        store = replace(at(outputs, named, URI), origin=URI)
    else:
        store = embedded(outputs)
    return replace(store, timeout_s=timeout_s, retries=retries, deadline_s=deadline_s)


def prepare(store: Store, names: Iterable[str]) -> None:
    """Create the database and the experiments, where they do not exist yet. Any number of processes may call it.

    Creating the database takes seconds, and MLflow cannot do it twice at once: so it is done here, once, under
    a lock. Raises whatever MLflow raises if the store cannot be reached or written.
    """
    database = store.database
    with _alone(database) if database else nullcontext():
        api = client(store)
        if database:
            _write_ahead(database)
        for name in names:
            _known[store.uri, name] = _find_or_create(api, store, name)
        if database and (undecoded := Path(store.uri.removeprefix(SQLITE)).parent) != database.parent:
            with suppress(OSError):
                undecoded.rmdir()  # MLflow takes the address for a path, and makes its folder


def experiment_id(store: Store, name: str) -> str:
    """Return the id of the experiment called `name`, created (or brought back from the bin) if need be."""
    if (store.uri, name) not in _known:
        prepare(store, [name])
    return _known[store.uri, name]


def experiments(store: Store) -> list[Experiment]:
    """Return our experiments in the store, those that have our view, the newest first."""
    found = client(store).search_experiments(order_by=["last_update_time DESC"])
    return [experiment for experiment in found if f"{PREFIX}{RESULTS}" in experiment.tags]


def forget(store: Store) -> None:
    """Forget the experiment ids of `store`: somebody may have deleted them meanwhile."""
    for key in [key for key in _known if key[0] == store.uri]:
        del _known[key]


def client(store: Store) -> MlflowClient:
    """Return MLflow's client for the store. The first one of a process opens the database, or creates it."""
    settle(store.timeout_s, store.retries)
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)


def _alone(database: Path) -> AbstractContextManager[None]:
    waiting = f"waiting for another process that prepares {database}"
    return alone(database.with_name(f"{database.name}.lock"), waiting, limit_s=PREPARED_S)


def _find_or_create(api: MlflowClient, store: Store, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = api.get_experiment_by_name(name)
    if found is None:
        place = f"file://{quote(store.artifacts)}/{quote(name)}" if store.artifacts else None
        try:
            return str(api.create_experiment(name, artifact_location=place, tags=TAGS))
        except MlflowException:
            found = api.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        api.restore_experiment(found.experiment_id)
    for key, tag in TAGS.items():
        old = found.tags.get(key)
        if old is None:
            api.set_experiment_tag(found.experiment_id, key, tag)
    return str(found.experiment_id)


def show_columns(store: Store, experiment: str, metrics: tuple[str, ...]) -> None:
    """Let the list of an experiment's runs have these columns; what a person has changed since stays as it is."""
    key, wanted = f"{PREFIX}{RESULTS}", view("Results", metrics)
    if not metrics or _columns.get((store.uri, experiment)) == metrics:
        return
    old = client(store).get_experiment(experiment).tags.get(key)
    if old is None or (old != wanted and is_unchanged(old)):
        client(store).set_experiment_tag(experiment, key, wanted)
    _columns[store.uri, experiment] = metrics


def _write_ahead(database: Path) -> None:
    """Let readers and the writer work at the same time; halves the time a write takes. The file remembers it."""
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
