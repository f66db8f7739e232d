"""glibc's allocator, told to keep the memory it was given.

By default it hands every large activation back to the kernel after each step and asks for it again,
which costs thousands of page faults a step. This changes speed only.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Numbers of the parameters in glibc's malloc.h."""


@cache
def keep_memory() -> bool:
    """Set the thresholds once a process. Returns whether they were set: False where there is no glibc."""
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    values = (
        (M_MMAP_THRESHOLD, 1 << 25),  # the largest glibc accepts: 32 MiB
        (M_TRIM_THRESHOLD, 2**31 - 1),
        (M_TOP_PAD, 1 << 27),
    )
    accepted = [mallopt(parameter, value) == 1 for parameter, value in values]
    return all(accepted)
