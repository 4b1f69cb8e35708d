"""Flawless: whether terrarium's reader finds nothing wrong with a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from negativa.errors import InputError
from negativa.measures.measure import Measure, Shot
from negativa.measures.reading import found, insist
from negativa.terrarium import painter


@dataclass(frozen=True)
class Flawless(Measure):
    """1 where terrarium's reader finds no flaw (blur, watermark and the like), 0 where it finds any."""

    name: ClassVar = "flawless"
    unit: ClassVar = "1 without flaws, 0 with"
    better: ClassVar = "more"
    needs: ClassVar = "pictures of terrarium, with a reader that knows flaws"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        flaws = set(getattr(painter, "FLAWS", ()))
        if not flaws:
            raise InputError("flawless: this terrarium's reader knows no flaws; allowed: sharpness, contrast, distance")
        insist(self, shots)
        return [float(not found(shot.image) & flaws) for shot in shots]
