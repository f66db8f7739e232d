"""What MLflow reads from the environment: short waits, no telemetry, no chatter. Set before it is imported."""

from __future__ import annotations

import logging
import math
import os

NOISY = ("alembic", "mlflow", "urllib3", "sqlalchemy")


def settle(timeout_s: float, retries: int) -> None:
    """Make MLflow's own waiting short and its logging silent, for this process and those it starts.

    By default a call to a dead server blocks for four minutes. What goes wrong reaches us as an exception,
    and we say it in one line, so its log lines would only say it again.
    """
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES=str(retries),
        MLFLOW_HTTP_REQUEST_TIMEOUT=str(max(1, math.ceil(timeout_s))),
        MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="0",
        MLFLOW_HTTP_REQUEST_BACKOFF_JITTER="0",
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    )
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow.tracking  # noqa: F401  (it sets the level of its loggers, so ours comes after)

    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
