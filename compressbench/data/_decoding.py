"""From image files to pixels: decoding with PIL, and decoded images kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import io
import math
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import PIL
from PIL import Image

from compressbench.core.atomic import write_atomically
from compressbench.core.errors import Fault, PlanError, RunError
from compressbench.core.paths import machine_cache
from compressbench.core.preprocessing import Sides
from compressbench.core.sealed import file_digest, sealed, stamp, unsealed
from compressbench.data._listing import refuse, state_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[numpy.uint8]


def three_colours(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def open_image(file: str, convert: Callable[[Image.Image], Image.Image] = three_colours) -> Image.Image:
    """Return the picture, converted. PlanError, naming the file, if it is none or damaged."""
    state_of(file)
    try:
        with Image.open(file) as image:
            return convert(image)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        what = f"cannot be read as an image ({error}); expected a complete JPEG, PNG or the like"
        raise PlanError.of(file, what) from error


def central(image: Image.Image, resize: Sides, crop: Sides, interpolation: str = "bilinear") -> Image.Image:
    """Return the centre of the picture, resized in proportion, antialiased, until it just covers `resize`."""
    sides = (image.height, image.width)
    least, side = max(zip(resize, sides, strict=True), key=lambda pair: pair[0] / pair[1])
    if side != least:
        height, width = (max(wanted, int(each * least / side)) for wanted, each in zip(resize, sides, strict=True))
        image = image.resize((width, height), Image.Resampling[interpolation.upper()])
    height, width = crop
    if image.size == (width, height):
        return image
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def decode(files: Sequence[str], resize: int, image_size: int, threads: int) -> Pixels:
    """Return the pictures (N, 3, S, S). PlanError naming the first unreadable files, or if they are too many."""
    shape = (len(files), 3, image_size, image_size)
    try:
        pixels = numpy.empty(shape, dtype=numpy.uint8)
    except (MemoryError, ValueError) as error:
        what = f"is true, but the images take {math.prod(shape):,} bytes, more than there is memory; allowed: false"
        raise PlanError.of("dataset.in_memory", what) from error

    covered, crop = (resize, resize), (image_size, image_size)

    def read(number: int) -> Fault | None:
        try:
            pixels[number] = numpy.asarray(central(open_image(files[number]), covered, crop)).transpose(2, 0, 1)
        except PlanError as error:
            return error.faults[0]
        return None

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        refuse([fault for fault in pool.map(read, range(len(files))) if fault])
    return pixels


def decoded(files: Sequence[str], resize: int, image_size: int, threads: int) -> Pixels:
    """Return `decode(...)`, from the cache folder if these files were decoded before.

    The cache entry's name covers every file's path, size and time of change, so it is never out of date. An
    entry that is damaged, or of which no digest is noted, is made anew, and one that cannot be written is done
    without; with a warning.
    """
    key = hashlib.sha256(f"{resize} {image_size} {PIL.__version__}\n".encode())
    for file in files:
        state = state_of(file)
        key.update(os.fsencode(f"{file} {state.st_size} {state.st_mtime_ns}\n"))
    entry = machine_cache() / "decoded" / f"{key.hexdigest()[:16]}.npy"
    shape = (len(files), 3, image_size, image_size)
    try:
        return _kept(entry, shape)
    except (FileNotFoundError, NotADirectoryError):
        pass  # never decoded, or the cache folder is no folder, which writing will say
    except (OSError, ValueError, EOFError, KeyError) as error:
        warnings.warn(f"{entry} is damaged ({error}); decoding the images again", stacklevel=2)
    pixels = decode(files, resize, image_size, threads)
    try:
        content = io.BytesIO()
        numpy.save(content, pixels)
        digest = hashlib.sha256(content.getbuffer()).hexdigest()
        write_atomically(_note(entry), sealed({"sha256": digest, "state": None}))
        write_atomically(entry, content.getvalue())
    except RunError as error:
        warnings.warn(f"the decoded images are not kept: {error}", stacklevel=2)
    return pixels


def _kept(entry: Path, shape: tuple[int, ...]) -> Pixels:
    """Return a cache entry, compared with its digest unless it has not been touched since that was done last.

    ValueError or KeyError if it is damaged, FileNotFoundError if it or its note is not there.
    """
    note = unsealed(_note(entry).read_bytes())
    if note["state"] != (state := stamp(entry)):
        if file_digest(entry) != note["sha256"]:
            raise ValueError("its digest is another one")
        with suppress(RunError):
            write_atomically(_note(entry), sealed({**note, "state": state}))
    found: Pixels = numpy.load(entry)
    if found.shape != shape or found.dtype != numpy.uint8:
        raise ValueError("it holds other images")
    return found


def _note(entry: Path) -> Path:
    return entry.with_suffix(".json")
