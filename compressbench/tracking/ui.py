"""MLflow's own pages on the store in use."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser

from compressbench.tracking.link import address, list_link
from compressbench.tracking.mlflow_env import settle
from compressbench.tracking.send import within
from compressbench.tracking.store import OPENING_S, Store, experiments, prepare

START_S = 60
STOP_S = 10


def serve(store: Store, host: str, port: int, open_browser: bool) -> int:
    """Serve the pages until Ctrl-C; return an exit code. A server's own store needs none: says so and returns 0.

    By default MLflow starts ten processes and takes 2.2 GB; without its job runner and with one worker it
    takes two and 490 MB. ValueError for a port that does not exist or that something listens on already.
    """
    if store.is_server:
        print(f"This store is a server with pages of its own: {store.name}")
        if open_browser:
            webbrowser.open(store.uri)
        return 0
    if not 0 < port < 65536:
        raise ValueError(f"port is {port}; allowed: 1 to 65535")
    if _listens(host, port):
        raise ValueError(f"port is {port}; something listens there on {host} already: choose another")
    within(OPENING_S, lambda: prepare(store, []))
    found = within(OPENING_S, lambda: experiments(store))
    lists = {each.name: list_link(address(store, host, port), each.experiment_id) for each in found}
    settle(store.timeout_s, store.retries)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store.uri, "--workers", "1"]
    command += ["--host", host, "--port", str(port)]
    if store.artifacts:
        command += ["--default-artifact-root", store.artifacts]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    threading.Thread(target=_greet, args=(process, host, port, lists, open_browser), daemon=True).start()
    previous = signal.signal(signal.SIGTERM, _interrupt) if _main_thread() else None
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stop(process)
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers: they form a group of their own, so that nothing else is hit."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, name)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue


def _greet(process: subprocess.Popen[bytes], host: str, port: int, lists: dict[str, str], open_browser: bool) -> None:
    """Say where the pages are, and each experiment's run list with our columns, as soon as they answer."""
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        if _listens(host, port):
            print(f"MLflow is at http://{host}:{port} (Ctrl-C stops it)")
            print("".join(f"  {name}: {link}\n" for name, link in lists.items()), end="", flush=True)
            if open_browser:
                webbrowser.open(next(iter(lists.values()), f"http://{host}:{port}"))
            return
        time.sleep(0.2)


def _listens(host: str, port: int) -> bool:
    where = "127.0.0.1" if host in ("0.0.0.0", "") else host
    try:
        with socket.create_connection((where, port), timeout=2):
            return True
    except OSError:
        return False


def _main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
