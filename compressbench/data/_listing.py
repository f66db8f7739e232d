"""Which files an image folder holds, split by split, and what can be wrong with it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compressbench.core.errors import Fault, PlanError, suggestion

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
SPLITS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
EXPECTED = "a folder with train/<class>/<image> and test/<class>/<image> (or val/, validation/)"
SHOWN = 10
"""Faults of one kind named in one message."""


@dataclass(frozen=True)
class Listing:
    """The images of a split, class by class, names sorted. labels: position of each one's class among the folders.

    files: plain strings, because ImageNet has 1.3 million of them.
    """

    folder: Path
    files: list[str]
    labels: list[int]


def split_folders(places: Iterable[Path]) -> dict[str, Path]:
    """Return the folder of each split in the first place that has one. `val` alone is the test split.

    A split folder without class folders does not count: ImageNet's `test/` holds unlabelled files.
    """
    for place in places:
        found = {
            split: place / name for split, names in SPLITS.items() for name in names if class_folders(place / name)
        }
        if "test" not in found and "validation" in found:
            found["test"] = found.pop("validation")
        if found:
            return found
    return {}


def class_folders(split: Path) -> list[Path]:
    return [split / entry.name for entry in _entries(split) if entry.is_dir()]


def check_classes(folders: dict[str, Path], classes: int) -> None:
    """Raise PlanError, with all faults, unless there is a test split and every split has the same class folders."""
    faults = []
    first, *others = folders
    names = {split: [folder.name for folder in class_folders(folders[split])] for split in folders}
    if "test" not in folders:
        what = f"has {', '.join(folders)} but neither test/ nor val/ with class folders; expected {EXPECTED}"
        faults.append(Fault(str(folders[first].parent), what))
    if len(names[first]) != classes:
        faults.append(
            Fault(str(folders[first]), f"has {len(names[first])} class folders; dataset.classes is {classes}")
        )
    for other in others:
        for name in sorted(set(names[other]) ^ set(names[first]))[:SHOWN]:
            has, lacks = (other, first) if name in names[other] else (first, other)
            what = f"is a class folder that {folders[lacks]} lacks; {suggestion(name, names[lacks])}"
            faults.append(Fault(str(folders[has] / name), what))
    refuse(faults)


def list_splits(folders: dict[str, Path]) -> dict[str, Listing]:
    """Return what the folder of each split holds. PlanError, naming them, for class folders without images."""
    listings, faults = {}, []
    for split, folder in folders.items():
        files: list[str] = []
        labels: list[int] = []
        for label, class_folder in enumerate(class_folders(folder)):
            names = [entry.name for entry in _entries(class_folder) if entry.name.lower().endswith(SUFFIXES)]
            files += [f"{class_folder}/{name}" for name in names]
            labels += [label] * len(names)
            if not names:
                what = f"holds no image; expected files ending in {', '.join(SUFFIXES)}"
                faults.append(Fault(str(class_folder), what))
        listings[split] = Listing(folder, files, labels)
    refuse(faults)
    return listings


def state_of(file: str) -> os.stat_result:
    """Return a file's size and times. PlanError for a link that leads nowhere, and for what would never end."""
    try:
        state = os.stat(file)
    except OSError as error:
        raise PlanError.of(file, f"cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(state.st_mode):
        raise PlanError.of(file, "is no file but a pipe, a device or a folder; expected an image")
    return state


def refuse(faults: list[Fault]) -> None:
    """Raise PlanError with the first of the faults and how many more there are, if there are any."""
    if len(faults) > SHOWN:
        faults = [*faults[:SHOWN], Fault("", f"and {len(faults) - SHOWN} more of the kind")]
    if faults:
        raise PlanError(faults)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder, sorted by name, hidden files left out; nothing if it is no folder."""
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if entry.name[0] != "."), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise PlanError.of(str(folder), f"cannot be read: {error.strerror}") from error


def digest(listings: dict[str, Listing], taken: float) -> str:
    """Return the start of the SHA-256 over every file's split, class, name and size.

    taken: the share of the test images that is for calibrating.
    """
    found = hashlib.sha256(f"{taken}".encode() if taken else b"")
    for split, listing in listings.items():
        for file in listing.files:
            name = file.removeprefix(str(listing.folder))
            found.update(os.fsencode(f"{split}{name} {state_of(file).st_size}\n"))
    return found.hexdigest()[:16]
