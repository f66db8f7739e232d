"""What is wrong with a person's input, said all at once.

A `Fault` is one sentence with the place it belongs to; `PlanError` carries every fault of a recipe,
so that nobody has to start a run five times to find five typos.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from compressbench.core.record import RunRecord


class Fault(NamedTuple):
    """One thing that is wrong: `where` is the key or file, `what` says the value and what is allowed."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class PlanError(ValueError):
    """Input that cannot be run, with all its faults. The command line prints it and exits with 2."""

    def __init__(self, faults: Iterable[Fault]):
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[PlanError], tuple[tuple[Fault, ...]]]:
        """Cross a process boundary with the faults, not with their text."""
        return type(self), (self.faults,)

    @classmethod
    def of(cls, where: str, what: str) -> PlanError:
        """Return the error for a single fault."""
        return cls([Fault(where, what)])


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """Return what to add after an unknown name: the nearest allowed one, or all of them if they are few."""
    import difflib  # a millisecond that only mistakes should cost

    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not allowed:
        return "nothing is allowed here"
    shown = ", ".join(allowed[:20]) + (", ..." if len(allowed) > 20 else "")
    return f"allowed: {shown}"


def out_of_range(key: str, value: object, allowed: str) -> ValueError:
    """Return the error for a value outside its range; `allowed` says the range in words."""
    return ValueError(f"{key} is {value!r}; allowed: {allowed}")


class RunError(Exception):
    """A run that cannot go on, or that has missed its budget; then `record` is what it came to.

    The message is for people; the command line prints it and exits with 1.
    """

    def __init__(self, message: str = "", record: RunRecord | None = None):
        super().__init__(message)
        self.record = record


NO_MEMORY = (
    "failed to map segment",
    "cannot allocate memory",
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "could not create a primitive",
    "can't start new thread",
)
"""What the loader, torch and its kernels say, in exceptions of many kinds, where memory is too little."""


LEAST_MEMORY_BYTES = 800_000_000
"""Of address space, that importing torch takes; with less it may end the process without an exception."""


def check_memory() -> None:
    """Raise RunError if this process may not have the memory that importing torch takes."""
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed != resource.RLIM_INFINITY and allowed < LEAST_MEMORY_BYTES:
        raise RunError(
            f"there is not enough memory: a limit (ulimit -v) allows {allowed:,} bytes; "
            f"importing torch takes {LEAST_MEMORY_BYTES:,}"
        )


def lack_of_memory(error: BaseException) -> RunError | None:
    """Return the error to show if another one only says that there is too little memory."""
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text.lower() for words in NO_MEMORY):
        first = f" ({text.strip().splitlines()[0][:200]})" if text.strip() else ""
        return RunError(f"there is not enough memory{first}; a limit on it (ulimit -v) may be too tight")
    return None
