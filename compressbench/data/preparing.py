"""From any picture to what a network takes: the same pixels, bit for bit, as in the split of the dataset."""

from __future__ import annotations

import os
from typing import Any

import numpy
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from compressbench.core.preprocessing import MODES, Preprocessing
from compressbench.data._decoding import central, open_image
from compressbench.data.in_memory import Normalise

PICTURES = "a path, a PIL picture, a uint8 array (H, W) or (H, W, C), a uint8 tensor (C, H, W), or a list of them"
CHANNELS = (1, 3, 4)
"""Grey; red, green, blue; with opacity, which is left out, as in image folders."""
MORE_THAN_A_BYTE = ("I", "F")
"""How PIL's modes begin whose pixels have no range that everybody means."""


def prepared(pictures: Any, how: Preprocessing) -> Tensor:
    """Return pictures as float32 (N, channels, H, W) on the CPU.

    pictures: one of `PICTURES`, or a uint8 array (N, H, W, C) or tensor (N, C, H, W). ValueError for anything else, and
    for a file that is no picture; nothing is guessed.
    """
    many = isinstance(pictures, list | tuple) or (isinstance(pictures, numpy.ndarray | Tensor) and pictures.ndim == 4)
    given = list(pictures) if many else [pictures]
    if not given:
        raise ValueError(f"there is no picture; expected {PICTURES}")
    mode = MODES[how.channels]
    found = [central(_picture(each, mode), how.resize, how.crop, how.interpolation) for each in given]
    pixels = numpy.stack([numpy.asarray(each).reshape(*how.crop, how.channels) for each in found])
    return Normalise(how.mean, how.std)(framed(torch.from_numpy(pixels).permute(0, 3, 1, 2), how))


def framed(pixels: Tensor, how: Preprocessing) -> Tensor:
    """Return uint8 (N, C, *how.crop) as (N, C, *how.size): every pixel repeated, black around it."""
    for axis in (2, 3) if how.repeat > 1 else ():
        pixels = pixels.repeat_interleave(how.repeat, axis)
    (top, bottom), (left, right) = how.padding
    return functional.pad(pixels, (left, right, top, bottom))


def _picture(given: Any, mode: str) -> Image.Image:
    if isinstance(given, str | os.PathLike):
        return open_image(os.fspath(given), lambda image: _converted(image, mode))
    if isinstance(given, Tensor):
        given = _rows(given)
    if isinstance(given, numpy.ndarray):
        given = Image.fromarray(_checked(given))
    if not isinstance(given, Image.Image):
        raise ValueError(f"a {type(given).__name__} is no picture; expected {PICTURES}")
    try:
        return _converted(given, mode)
    except (OSError, SyntaxError) as error:  # PIL reads pixels only now
        raise ValueError(f"a picture cannot be read: {error}") from error


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith(MORE_THAN_A_BYTE):
        what = "which may mean anything; convert it to 8 bits a channel (mode L or RGB) first"
        raise ValueError(f"a picture has the mode {image.mode}: pixels of 16 or 32 bits, {what}")
    if not all(image.size):
        raise ValueError(f"a picture has no pixels: its size is {image.width} x {image.height}")
    return image.convert(mode)


def _rows(tensor: Tensor) -> numpy.ndarray[Any, Any]:
    """Return a tensor (C, H, W) or (H, W) as an array (H, W, C) or (H, W)."""
    if tensor.ndim == 3 and tensor.shape[0] not in CHANNELS:
        raise _wrong_shape("tensor", tensor.shape, "(C, H, W) or (N, C, H, W)")
    array: numpy.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    return array.transpose(1, 2, 0) if array.ndim == 3 else array


def _checked(array: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """Return pixels (H, W) or (H, W, 3 or 4), one after the other in memory."""
    if array.dtype != numpy.uint8:
        what = "expected uint8 from 0 to 255, as in a file, neither scaled nor normalised"
        raise ValueError(f"pixels are {array.dtype}; {what}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in CHANNELS) or not all(array.shape):
        raise _wrong_shape("array", array.shape, "(H, W), (H, W, C) or (N, H, W, C)")
    return numpy.ascontiguousarray(array[..., 0] if array.shape[2:] == (1,) else array)


def _wrong_shape(kind: str, shape: Any, expected: str) -> ValueError:
    channels = "C 1 (grey), 3 (red, green, blue) or 4 (and opacity, which is left out)"
    return ValueError(f"one of the pictures is of shape {tuple(shape)}; expected {expected} for a {kind}, {channels}")
