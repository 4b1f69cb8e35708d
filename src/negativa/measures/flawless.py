"""Flawless: whether terrarium's reader finds nothing wrong with a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from negativa.measures.measure import Measure, Shot
from negativa.measures.reading import found, insist
from negativa.terrarium.painter import FLAWED


@dataclass(frozen=True)
class Flawless(Measure):
    """1 where terrarium's reader finds no flaw (blur, a watermark, an extra eye and the like), 0 where it finds any."""

    name: ClassVar = "flawless"
    unit: ClassVar = "1 without flaws, 0 with"
    better: ClassVar = "more"
    needs: ClassVar = "pictures of terrarium"

    def score(self, shots: Sequence[Shot]) -> list[float]:
        insist(self, shots)
        return [float(found(shot.image).isdisjoint(FLAWED)) for shot in shots]
