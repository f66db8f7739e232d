"""MLflow's own pages."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from compressbench.tracking.link import MODE
from compressbench.tracking.store import Store, embedded, prepare
from compressbench.tracking.ui import serve

SERVE = """
import sys
from pathlib import Path
from compressbench.tracking.store import embedded
from compressbench.tracking.ui import serve
sys.exit(serve(embedded(Path(sys.argv[1])), "127.0.0.1", int(sys.argv[2]), False))
"""


def test_a_server_needs_no_second_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve(Store("http://me:secret@host:5000"), "127.0.0.1", 5000, open_browser=False) == 0
    shown = capsys.readouterr().out
    assert "host:5000" in shown
    assert "secret" not in shown


def test_a_port_in_use_is_refused(outputs: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(ValueError, match=f"port is {port}"):
            serve(embedded(outputs), "127.0.0.1", port, open_browser=False)


def test_a_port_that_does_not_exist_is_refused(outputs: Path) -> None:
    with pytest.raises(ValueError, match="port is 99999; allowed: 1 to 65535"):
        serve(embedded(outputs), "127.0.0.1", 99999, open_browser=False)


def heed_ctrl_c() -> None:
    """Undo what a shell does to a command in the background, these tests for one: its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_the_pages_answer_and_ctrl_c_ends_every_process(outputs: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    prepare(embedded(outputs), ["table5"])
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(outputs), str(port)], stdout=subprocess.PIPE, preexec_fn=heed_ctrl_c
    )
    try:
        assert b"MLflow is at" in process.stdout.readline()
        line = process.stdout.readline().decode().strip()
        assert line == f"table5: http://127.0.0.1:{port}/#/experiments/1/runs?{MODE}&viewStateShareKey=results"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert answer.status == 200
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
    time.sleep(0.5)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=2)
