"""MLflow's pages on what was run, and sending what it does not have yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from compressbench.app.run import store_of
from compressbench.core.errors import PlanError

if TYPE_CHECKING:
    from compressbench.planning.settings import Settings
    from compressbench.tracking.sync import Sent


def serve_pages(overrides: Sequence[str], host: str, port: int, open_browser: bool) -> int:
    """Serve the pages of the store in use until Ctrl-C; return an exit code. PlanError for a port that cannot be."""
    from compressbench.tracking.ui import serve

    store = store_of(_settings(overrides))
    try:
        return serve(store, host, port, open_browser)
    except ValueError as error:
        raise PlanError.of("--port", str(error)) from error


def send_missing(overrides: Sequence[str] = ()) -> tuple[list[Sent], str | None]:
    """Send what could not be sent when it ended; return what became of it, by store, and the store if one is named.

    What is meant for other stores goes to the named one too.
    """
    from compressbench.tracking.sync import sync

    given = _settings(overrides)
    store, named = store_of(given), given.tracking.uri is not None
    return sync(given.folder, store, everything=named), store.name if named else None


def _settings(overrides: Sequence[str]) -> Settings:
    from compressbench.planning.compose import compose
    from compressbench.planning.settings import settings

    given = settings(compose(overrides))
    if not given.tracking.enabled:
        raise PlanError.of("tracking", "is off, so there is no store; allowed: mlflow")
    return given
