"""Tell MLflow about a run. Whatever goes wrong with the tracker, the result is on disk and the work goes on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from compressbench.core.lock import alone
from compressbench.core.record import RunRecord
from compressbench.tracking import journal
from compressbench.tracking.content import Content, content, name_of
from compressbench.tracking.mlflow_env import settle
from compressbench.tracking.store import OPENING_S, Store, experiment_id, forget, without_passwords
from compressbench.tracking.write import Going, write

Got = TypeVar("Got")
AGAIN_S = 300.0
"""After a failure nothing is sent there for so long: the runs of a sweep would each wait for the same dead server."""
_failed: dict[str, float] = {}
"""When a store failed last, by its name, in seconds of the monotonic clock."""


def send(record: RunRecord, folder: Path, store: Store, going: Going | None = None) -> str | None:
    """Write `record`, whose files lie in `folder`, as one MLflow run and return the run's id.

    Sending it again changes nothing. If the store is down or slow, one line says so on stderr and the answer
    is None, within `store.deadline_s` (MLflow's own import, and creating the embedded database, come on top).
    going: the run that showed it while it went on.
    """
    journal.intend(folder, store.name)
    return guarded(name_of(record), lambda: deliver_record(record, folder, store, going), store)


def deliver_record(record: RunRecord, folder: Path, store: Store, going: Going | None = None) -> str:
    """As `send`, but raises what went wrong."""
    digest = journal.content_of(record)
    return deliver(lambda: content(record, folder, digest), digest, folder, store, going)


def deliver(
    describe: Callable[[], Content], digest: str, folder: Path, store: Store, going: Going | None = None
) -> str:
    """Write what `describe` returns, unless the journal in `folder` says that it was; return the run's id.

    Raises TimeoutError after `store.deadline_s`, OSError, or whatever MLflow raises.
    """
    entry = journal.read(folder)
    if entry and (entry.uri, entry.content) == (store.name, digest):
        return entry.run_id
    told = describe()
    settle(store.timeout_s, store.retries)
    if store.database:
        within(OPENING_S, lambda: experiment_id(store, told.experiment))  # may create it, which takes seconds once

    def work() -> str:
        with alone(folder / "tracked.lock"):
            experiment, run = write(told, store, going)
            journal.write(folder, journal.Entry(store.name, experiment, run, digest))
        return run

    return within(store.deadline_s, work)


def within(seconds: float, work: Callable[[], Got]) -> Got:
    """Return what `work` returns; TimeoutError once `seconds` have passed (it is then left to itself)."""
    results: list[Got] = []
    errors: list[Exception] = []

    def target() -> None:
        try:
            results.append(work())
        except Exception as error:  # handed to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=target, name="tracking", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]


def guarded(what: str, work: Callable[[], str], store: Store) -> str | None:
    """Return what `work` returns, or None, after one line on stderr, whatever it raises.

    If the store is down, it is not even tried for a while.
    """
    if is_down(store):
        said(what, f"it failed {time.monotonic() - _failed[store.name]:.0f} s ago", store)
        return None
    try:
        return work()
    except Exception as error:  # a tracker never costs a result
        forget(store)
        if store.database is None or isinstance(error, TimeoutError):
            _failed[store.name] = time.monotonic()
        said(what, reason(error), store)
        return None


def is_down(store: Store) -> bool:
    """Return whether a store has failed a moment ago."""
    return time.monotonic() - _failed.get(store.name, -AGAIN_S) < AGAIN_S


def said(what: str, why: str, store: Store) -> None:
    """Say on stderr, in one line, that something is not in MLflow, and what to do."""
    print(
        f"tracking: {what} is safe on disk but not in MLflow at {store.name} ({why}); "
        "`compressbench sync` sends it later.",
        file=sys.stderr,
    )


def reason(error: Exception) -> str:
    """Return the first line of an error, short enough for one line of ours: of a chain of causes the last."""
    text = without_passwords(str(error).strip() or type(error).__name__).splitlines()[0]
    text = text.rpartition("(Caused by ")[2]
    return text if len(text) <= 160 else f"{text[:157]}..."
