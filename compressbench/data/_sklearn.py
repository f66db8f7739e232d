"""Files of the small real datasets that come with scikit-learn, found without importing it, which takes a second."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.data import _location

if TYPE_CHECKING:
    from numpy.typing import NDArray


def file_of(name: str) -> Path:
    """Return where a file of scikit-learn's data lies, or would lie."""
    found = importlib.util.find_spec("sklearn")
    folder = Path(found.origin).parent if found and found.origin else Path("sklearn")
    return folder / "datasets" / "data" / name


def missing(dataset: str, *names: str) -> str | None:
    """Return None if the dataset's files are there, else a message that says what was looked for."""
    absent = [str(file_of(name)) for name in names if not file_of(name).is_file()]
    if not absent:
        return None
    return f"{dataset} is not there: looked for {', '.join(absent)}, a part of scikit-learn; pip install scikit-learn."


def sources(*names: str) -> list[str]:
    """Return those of the files that are there."""
    return [str(file_of(name)) for name in names if file_of(name).is_file()]


def table(name: str, dtype: Any, delimiter: str | None = None) -> NDArray[Any]:
    """Return the numbers of a file, unpacked, a row a line."""
    import numpy

    lines = _location.content_of(file_of(name)).decode().splitlines()
    return numpy.loadtxt(lines, delimiter=delimiter, dtype=dtype)
