"""A record says what it ran on, and a device that is not there is refused."""

import subprocess
from pathlib import Path

import pytest
import torch

from compressbench.running.environment import checked_out, choose_device, environment, usable_device


def test_versions_and_processor_are_recorded_but_no_host_or_user() -> None:
    found = environment(torch.device("cpu"))
    assert found["torch"] == torch.__version__
    assert found.keys() - {"commit"} == {
        "compressbench",
        "python",
        "torch",
        "system",
        "processor",
        "cores",
        "threads",
        "device",
    }


def test_a_device_that_is_not_there_is_refused() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="no device"):
        choose_device("gpu")


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=b", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_checkout_is_named_by_its_commit_and_by_whether_files_were_changed(tmp_path: Path) -> None:
    assert checked_out(tmp_path) == ""
    checked_out.cache_clear()
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "one")
    commit = git(tmp_path, "rev-parse", "--short=7", "HEAD")
    git(tmp_path, "tag", "-a", "-m", "v1", "v1")
    assert checked_out(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert checked_out(tmp_path) == commit, "read once a process"
    checked_out.cache_clear()
    assert checked_out(tmp_path) == f"{commit}-dirty"


def test_what_is_installed_inside_of_somebody_elses_checkout_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "site-packages").mkdir()
    assert checked_out(tmp_path / "site-packages") == ""


def test_an_unusable_device_is_a_fault_and_the_processor_stands_in() -> None:
    device, faults = usable_device("gpu")
    assert device.type == "cpu"
    assert [fault.where for fault in faults] == ["device"]
    assert usable_device("cpu") == (torch.device("cpu"), [])


def test_threads_are_set_before_anything_is_decided() -> None:
    before = torch.get_num_threads()
    try:
        usable_device("cpu", threads=before + 1)
        assert torch.get_num_threads() == before + 1
        usable_device("cpu")
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
