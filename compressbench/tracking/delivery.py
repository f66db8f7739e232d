"""What the process of a `Worker` does: `python -m compressbench.tracking.delivery`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO

from compressbench.core.record import RunRecord
from compressbench.tracking.live import Live
from compressbench.tracking.mlflow_env import settle
from compressbench.tracking.send import send
from compressbench.tracking.store import OPENING_S, Store, experiment_id

Messages = SimpleQueue[dict[str, Any] | None]
"""What standard input says, a line a message; None at its end."""


def main() -> None:
    """Open the store, then do what standard input says until it ends. A run that goes on then is marked as killed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    opening = json.loads(sys.stdin.readline())
    store, messages = Store(**opening["store"]), Messages()
    threading.Thread(target=_read, args=(messages, store), daemon=True).start()
    with contextlib.suppress(Exception):  # it goes wrong again, and is said, when something is sent
        settle(store.timeout_s, store.retries)
        if store.database:
            experiment_id(store, opening["experiment"])
    _answer(answers, "ready")
    live = _deliver(messages, store, answers)
    if live is not None:
        with contextlib.suppress(Exception):
            live.give_up("KILLED")
    os._exit(0)  # whatever thread still waits for the store


def _read(messages: Messages, store: Store) -> None:
    """Take what is said at once, so that nobody waits for us; when it ends, end within limits too."""
    for line in sys.stdin:
        messages.put(json.loads(line))
    messages.put(None)
    threading.Event().wait(OPENING_S + 2 * store.deadline_s)
    os._exit(1)


def _deliver(messages: Messages, store: Store, answers: TextIO) -> Live | None:
    """Do what the messages say, and write what a run has reached when nothing else is to do.

    Return the run that goes on when they end.
    """
    live: Live | None = None
    while True:
        try:
            message = messages.get(timeout=live.pause() if live else None)
        except Empty:
            assert live is not None
            live.write()
            continue
        if message is None:
            return live
        if "started" in message:
            live = Live.of(RunRecord.from_json(message["started"]), Path(message["folder"]), store)
        elif "reached" in message:
            if live is not None:
                live.reached(message["reached"], message["figures"], message["when"])
        elif "failed" in message:
            with contextlib.suppress(Exception):
                if live is not None:
                    live.give_up("FAILED", message["failed"])
            live = None
        else:
            folder = Path(message["folder"])
            record, going = RunRecord.read(folder / "record.json"), live.going if live else None
            _answer(answers, send(record, folder, store, going))
            live = None


def _answer(answers: TextIO, what: str | None) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(what), file=answers, flush=True)


if __name__ == "__main__":
    main()
