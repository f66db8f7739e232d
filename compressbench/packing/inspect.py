"""What a packed file spends its bytes on, tensor by tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compressbench.packing.container import FIXED
from compressbench.packing.entry import Entry
from compressbench.packing.levels import Array, Levels
from compressbench.packing.modules import fresh_network
from compressbench.packing.needs import missing, needs_in
from compressbench.packing.packed_file import architecture_of, content_of, entries


@dataclass(frozen=True)
class Summary:
    """A whole file. header_bytes: what it takes to build the network, with the checksum and the lengths. data_bytes:
    the tensors. dense_bytes: four for each parameter of the network before any technique changed it, as reports count;
    None where that needs a plugin which nobody asked for. architecture: how that was built, changed: names of the
    layers that are others now. plugins: those it needs, in words. note: see `packed_file.note`."""

    file_bytes: int
    header_bytes: int
    note_bytes: int
    data_bytes: int
    dense_bytes: int | None
    architecture: dict[str, Any]
    changed: list[str]
    plugins: list[str]
    note: dict[str, Any]

    @property
    def times_smaller(self) -> float | None:
        """How many times smaller the file is than the parameters of the network before compression, in fp32."""
        return None if self.dense_bytes is None else self.dense_bytes / self.file_bytes


def summary(path: Path) -> Summary:
    """Return what a file takes in all. Raises PackedFileError."""
    content = content_of(path)
    header, data = FIXED + content.header_bytes, len(content.data)
    architecture = architecture_of(path)
    unknown = missing(content.header)
    dense = None if unknown else 4 * sum(each.numel() for each in fresh_network(architecture).parameters())
    return Summary(
        file_bytes=header + content.note_bytes + data,
        header_bytes=header,
        note_bytes=content.note_bytes,
        data_bytes=data,
        dense_bytes=dense,
        architecture={"target": architecture.target, **architecture.arguments},
        changed=list(content.header["modules"]),
        plugins=list(map(str, needs_in(content.header))),
        note=content.note,
    )


def tensor_table(path: Path) -> list[dict[str, Any]]:
    """Return one row a tensor: `name`, `shape`, `elements`, `format`, `coder`, `bytes`, `bits_per_weight`,
    `entropy_bytes`.

    entropy_bytes: the order-0 entropy of its symbols, zeros included, and its side arrays: what a coder that knows only
    how often each symbol occurs cannot go below; None where the coder is in a plugin that nobody asked for. JSON-able.
    Raises PackedFileError.
    """
    return [_row(entry, levels) for entry, levels in entries(path)]


def entropy_bytes(symbols: Array) -> float:
    """Return the order-0 entropy of symbols, all of them together, in bytes."""
    counts = np.bincount(symbols)
    counts = counts[counts > 0]
    return float(counts @ np.log2(len(symbols) / counts)) / 8 if len(symbols) else 0.0


def _row(entry: Entry, levels: Levels) -> dict[str, Any]:
    taken, elements = entry.side_bytes + entry.coded_bytes, math.prod(entry.shape)
    bound = entropy_bytes(levels.symbols) if levels.symbols is not None else 0.0
    undecoded = bool(entry.coder) and levels.symbols is None
    return {
        "name": entry.name,
        "shape": list(entry.shape),
        "elements": elements,
        "format": entry.format_text,
        "coder": entry.coder,
        "bytes": taken,
        "bits_per_weight": round(8 * taken / elements, 4) if elements else 0.0,
        "entropy_bytes": None if undecoded else round(bound + entry.side_bytes, 1),
    }
