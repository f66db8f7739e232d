"""How many bytes the saved weights take."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.measurement import Measurement, Specimen


@dataclass(frozen=True)
class Size:
    """`size_bytes`: the length of the file the network is saved in. OSError if there is none."""

    def measure(self, specimen: Specimen) -> list[Measurement]:
        return [Measurement("size_bytes", specimen.file.stat().st_size, "bytes", higher_is_better=False)]
