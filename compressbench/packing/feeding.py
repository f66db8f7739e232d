"""What a packed file notes of its network's inputs and answers, so that it can be fed: short to write, checked to read.

A note may hold anything. What is not noted in exactly this way is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from compressbench.core.preprocessing import INTERPOLATIONS, MODES, Preprocessing

MOST_NAMES = 1000
"""Class names that are noted; of more than so many classes none is. ImageNet's take 3.9 kB, 1 % of the
smallest file of a network that tells them apart."""
MOST_CLASSES = 1 << 17
"""Classes that are called by their numbers, of which a few bytes can say any number."""
LARGEST_SIDE = 4096
"""Pixels of a picture's side that a file may ask for."""


def noted(preprocessing: Preprocessing | None, names: list[str] | None) -> dict[str, Any]:
    """Return the part of a note from which `preprocessing_of` and `classes_of` read these again.

    What is usual or not known (None) is left out; classes that are called by their numbers are noted as how many there
    are.
    """
    found: dict[str, Any] = {}
    if preprocessing is not None:
        given = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(preprocessing).items()
        }
        usual = {"crop": given["size"], "resize": given["crop"], "repeat": 1, "interpolation": "bilinear"}
        found["preprocessing"] = {name: value for name, value in given.items() if usual.get(name) != value}
    if names is not None and names == _numbers(len(names)):
        found["classes"] = len(names)
    elif names is not None and len(names) <= MOST_NAMES:
        found["classes"] = names
    return found


def preprocessing_of(note: dict[str, Any]) -> Preprocessing:
    """Return how a file's network is fed. ValueError, saying what is wrong, if the note does not say, or nonsense."""
    given = note.get("preprocessing")
    if given is None:
        what = "its note has no `preprocessing` (files written by older versions have none)"
        raise ValueError(f"the packed file does not say how pictures become what its network takes: {what}")
    if not isinstance(given, dict):
        raise _unusable("it is no JSON object")
    if unknown := given.keys() - {field.name for field in fields(Preprocessing)}:
        raise _unusable(f"there is no such step as {min(unknown)!r:.100}")
    channels = _value(given, "channels", lambda value: type(value) is int and value in MODES, "1 or 3")
    size = _value(given, "size", _is_sides, SIDES)
    crop = _value(given, "crop", _is_sides, SIDES, size)
    resize = _value(given, "resize", _is_sides, SIDES, crop)
    repeat = _value(given, "repeat", _is_side, "a whole number, 1 or more", 1)
    if any(repeat * part > whole for part, whole in zip(crop, size, strict=True)):
        raise _unusable("`crop`, repeated, is larger than `size`")
    if any(part > whole for part, whole in zip(crop, resize, strict=True)):
        raise _unusable("`crop` is larger than `resize`")
    named = ", ".join(INTERPOLATIONS)
    interpolation = _value(given, "interpolation", lambda value: value in INTERPOLATIONS, named, "bilinear")
    each = f"{channels} numbers"
    mean = _value(given, "mean", lambda value: _are_numbers(value, channels), each)
    positive = f"{each}, more than 0"
    std = _value(given, "std", lambda value: _are_numbers(value, channels) and min(value) > 0, positive)
    return Preprocessing(
        channels, tuple(size), tuple(crop), tuple(resize), tuple(mean), tuple(std), repeat, interpolation
    )


def classes_of(note: dict[str, Any], architecture: dict[str, Any]) -> list[str] | None:
    """Return what the classes are called, None if the note does not say, or not of as many as the network has.

    architecture: the arguments it is built with, which may say how many classes it has.
    """
    given = note.get("classes")
    if type(given) is int and 1 <= given <= MOST_CLASSES:
        given = _numbers(given)
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        return None
    return given if architecture.get("classes", len(given)) == len(given) else None


SIDES = f"[height, width], each 1 to {LARGEST_SIDE}"


def _value(given: dict[str, Any], key: str, is_right: Callable[[Any], bool], expected: str, usual: Any = None) -> Any:
    value = given.get(key, usual)
    if not is_right(value):
        raise _unusable(f"`{key}` should be {expected}")
    return value


def _unusable(why: str) -> ValueError:
    return ValueError(f"what the packed file says of its network's inputs cannot be used: {why}")


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_SIDE


def _is_sides(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_side, value))


def _are_numbers(value: Any, count: int) -> bool:
    """Return whether it is a list of so many numbers, none of them so large that arithmetic would overflow."""
    right = isinstance(value, list) and len(value) == count and all(type(each) in (int, float) for each in value)
    return right and all(abs(each) <= 1e9 for each in value)  # neither infinite nor NaN


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]
