"""The idx format of the original MNIST files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.core.faults import Fault, PlanError
from compressbench.data._location import content_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray


def read_idx(file: Path) -> NDArray[numpy.uint8]:
    """Return the array of bytes in an idx file, plain or gzipped.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as
    four bytes, most significant first, then the values. PlanError naming the file if that is not what it holds.
    """
    import numpy

    content = content_of(file)
    dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if content[:3] != b"\0\0\x08" or len(content) < start:
        raise PlanError([Fault(str(file), f"is no idx file of bytes: it begins with {content[:4]!r}")])
    shape = tuple(int(size) for size in numpy.frombuffer(content, dtype=">u4", count=dimensions, offset=4))
    if len(content) - start != math.prod(shape):
        what = f"is cut off or damaged: {len(content) - start} bytes of values, expected {math.prod(shape)}"
        raise PlanError([Fault(str(file), what)])
    return numpy.frombuffer(content, dtype=numpy.uint8, offset=start).reshape(shape)
