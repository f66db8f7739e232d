"""Which files an image folder holds, split by split, and what can be wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compressbench.core.faults import Fault, PlanError, suggestion

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
SPLITS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
EXPECTED = "a folder with train/<class>/<image> and test/<class>/<image> (or val/, validation/)"


@dataclass(frozen=True)
class Listing:
    """The images of a split, class by class, names sorted. labels: position of each one's class among `classes`.

    files: plain strings, because ImageNet has 1.3 million of them.
    """

    folder: Path
    classes: list[str]
    files: list[str]
    labels: list[int]


def split_folders(places: Iterable[Path]) -> dict[str, Path]:
    """Return the folder of each split in the first place that has one. `val` alone is the test split.

    A split folder without class folders does not count: ImageNet's `test/` holds unlabelled files.
    """
    for place in places:
        found = {
            split: place / name
            for split, names in SPLITS.items()
            for name in names
            if next(iter(class_folders(place / name)), None)
        }
        if "test" not in found and "validation" in found:
            found["test"] = found.pop("validation")
        if found:
            return found
    return {}


def class_folders(split: Path) -> list[Path]:
    if not split.is_dir():
        return []
    return sorted(folder for folder in split.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def list_split(folder: Path) -> Listing:
    """Return what the folder of a split holds; a class folder without images is kept, with none."""
    classes: list[str] = []
    files: list[str] = []
    labels: list[int] = []
    for label, class_folder in enumerate(class_folders(folder)):
        names = [name for name in os.listdir(class_folder) if name.lower().endswith(SUFFIXES) and name[0] != "."]
        classes.append(class_folder.name)
        files += [f"{class_folder}/{name}" for name in sorted(names)]
        labels += [label] * len(names)
    return Listing(folder, classes, files, labels)


def check(listings: dict[str, Listing], classes: int) -> None:
    """Raise PlanError, with all faults, unless there is a test split and every split has the same, filled classes."""
    faults = []
    first = next(iter(listings.values()))
    if "test" not in listings:
        what = f"has {', '.join(listings)} but neither test/ nor val/ with class folders; expected {EXPECTED}"
        faults.append(Fault(str(first.folder.parent), what))
    if len(first.classes) != classes:
        what = f"has {len(first.classes)} class folders; dataset.classes is {classes}"
        faults.append(Fault(str(first.folder), what))
    for listing in listings.values():
        filled = {listing.classes[label] for label in set(listing.labels)}
        faults += [
            Fault(str(listing.folder / name), f"holds no image; expected files ending in {', '.join(SUFFIXES)}")
            for name in listing.classes
            if name not in filled
        ]
        for name in sorted(set(listing.classes) ^ set(first.classes)):
            has, lacks = (listing, first) if name in listing.classes else (first, listing)
            what = f"is a class folder that {lacks.folder} lacks; {suggestion(name, lacks.classes)}"
            faults.append(Fault(str(has.folder / name), what))
    if faults:
        raise PlanError(faults)
