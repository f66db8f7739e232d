"""Where data lies: the places to look in, what to say when it is in none of them, how to fetch and read it."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from compressbench.core.data import Dataset
from compressbench.core.errors import PlanError
from compressbench.core.temporary import prefix, sweep

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
    where = ", ".join(f"{place}{_closed(place)}" for place in looked)
    fetch = ", or fetch it with dataset.download=true" if downloads else ""
    return (
        f"{name} is not there: looked for {expected} in {where}. "
        f"Say where it is with dataset.root=FOLDER or the environment variable {VARIABLE}{fetch}."
    )


def _closed(place: Path) -> str:
    try:
        os.listdir(place)
    except PermissionError:
        return " (permission denied)"
    except OSError:
        pass
    return ""


def require(missing: str | None) -> None:
    """Raise PlanError with what a dataset's `missing()` says, if it says anything."""
    if missing:
        raise PlanError.of("dataset", missing)


def fingerprint(dataset: Dataset, files: Iterable[str]) -> str:
    """Return the start of the SHA-256 of some of the dataset's sources, unpacked. PlanError if there are none (yet)."""
    if not dataset.sources():
        require(dataset.missing())
        raise PlanError.of("dataset", f"{dataset.name} has not been downloaded yet")
    found = hashlib.sha256()
    for file in files:
        found.update(content_of(Path(file)))
    return found.hexdigest()[:16]


def fetch(name: str, download: Callable[[str], object], produced: str, target: Path) -> None:
    """Call `download(folder)` on a new folder and move the files it `produced` there into `target`.

    What lies in `target` under the same names is replaced. PlanError if that fails; no half file is left behind.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent, ".download", deep=False)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix(".download")) as folder:
            download(folder)
            target.mkdir(exist_ok=True)
            for file in (Path(folder) / produced).iterdir():
                os.replace(file, target / file.name)
    except (OSError, RuntimeError, ValueError) as error:
        what = (
            f"downloading {name} to {target} failed: {' '.join(str(error).split())}. "
            f"Is there a network? Else say where the files are with dataset.root=FOLDER or {VARIABLE}."
        )
        raise PlanError.of("dataset.download", what) from error


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
        raise PlanError.of(str(file), f"cannot be read: {error}") from error
