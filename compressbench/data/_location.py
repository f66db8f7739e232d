"""Where data lies: the places to look in, what to say when it is in none of them, how to fetch and read it."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from compressbench.core.faults import Fault, PlanError

VARIABLE = "COMPRESSBENCH_DATA"


def data_root(root: str | None) -> Path:
    """Return the folder to look in: `root`, else the environment variable COMPRESSBENCH_DATA, else ./data."""
    return Path(root or os.environ.get(VARIABLE) or "data").expanduser().absolute()


def places(root: str | None, subfolders: Iterable[str]) -> list[Path]:
    """Return where to look: the usual subfolders of the data folder first, then the folder itself."""
    folder = data_root(root)
    return [*(folder / subfolder for subfolder in subfolders), folder]


def absent(name: str, expected: str, looked: Iterable[Path], downloads: bool) -> str:
    """Return the message for data that is in none of the places."""
    where = ", ".join(str(place) for place in looked)
    fetch = ", or fetch it with dataset.download=true" if downloads else ""
    return (
        f"{name} is not there: looked for {expected} in {where}. "
        f"Say where it is with dataset.root=FOLDER or the environment variable {VARIABLE}{fetch}."
    )


def fetch(name: str, download: Callable[[str], object], produced: str, target: Path) -> None:
    """Call `download(folder)` on a new folder and move what it `produced` there to `target`, whole or not at all.

    PlanError if that fails; nothing is left behind then.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
            download(folder)
            if not target.exists():  # another process may have been faster
                os.rename(Path(folder) / produced, target)
    except (OSError, RuntimeError) as error:
        raise PlanError(
            [
                Fault(
                    "dataset.download",
                    f"downloading {name} to {target} failed: {error}. "
                    f"Is there a network? Else say where the files are with dataset.root=FOLDER or {VARIABLE}.",
                )
            ]
        ) from error


def content_of(file: Path) -> bytearray:
    """Return the bytes of a file, unpacked; writable, so that torch can share them without a warning."""
    try:
        if file.suffix == ".gz":
            return bytearray(gzip.decompress(file.read_bytes()))
        content = bytearray(file.stat().st_size)
        with file.open("rb") as stream:
            stream.readinto(content)
        return content
    except (OSError, EOFError, zlib.error) as error:
        raise PlanError([Fault(str(file), f"cannot be read: {error}")]) from error
