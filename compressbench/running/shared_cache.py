"""Stage results behind a URI that other machines share: looked at where the local folder lacks one, written after."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from compressbench.core.atomic import write_atomically
from compressbench.core.errors import PlanError

Got = TypeVar("Got")


def check_uri(uri: str) -> None:
    """Raise PlanError for a URI of no known kind, or of one whose package is not installed."""
    from fsspec.core import url_to_fs

    try:
        url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise PlanError.of(
            "cache", f"is {uri!r}: {error}; allowed: file://, s3:// and gs:// with their extras"
        ) from error
    except Exception:  # it cannot be reached now, which whoever uses it says
        return


class SharedCache:
    """Files of stages below a URI. What goes wrong is said once; then it is done without, for this process."""

    def __init__(self, uri: str):
        self.uri, self.is_down = uri.rstrip("/"), False

    def fetch(self, folder: Path, names: tuple[str, ...]) -> bool:
        """Return whether the stage that belongs into `folder` was there; then its files lie there, in this order."""

        def work() -> bool:
            if not self._files.exists(self._at(folder, names[-1])):
                return False
            for name in names:
                place = self._at(folder, name)
                if self._files.exists(place):
                    write_atomically(folder / name, self._files.cat_file(place))
            return True

        return bool(self._guarded(work))

    def store(self, folder: Path, names: tuple[str, ...]) -> None:
        """Write the files of a stage, in this order: it counts as there from the moment the last one is."""

        def work() -> None:
            self._files.makedirs(self._at(folder, ""), exist_ok=True)
            for name in names:
                if (folder / name).exists():
                    self._files.pipe_file(self._at(folder, name), (folder / name).read_bytes())

        self._guarded(work)

    @cached_property
    def _files(self) -> Any:
        from fsspec.core import url_to_fs

        return url_to_fs(self.uri)[0]

    def _at(self, folder: Path, name: str) -> str:
        return f"{self.uri}/stages/{folder.name}/{name}"

    def _guarded(self, work: Callable[[], Got]) -> Got | None:
        if self.is_down:
            return None
        try:
            return work()
        except Exception as error:  # of whatever library; a shared cache never costs a run
            self.is_down = True
            why = (str(error) or type(error).__name__).splitlines()[0][:200]
            warnings.warn(f"the shared cache {self.uri} cannot be used ({why}); going on without", stacklevel=4)
            return None
