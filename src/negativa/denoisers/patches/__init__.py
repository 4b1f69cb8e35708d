"""Patches by name: changes to the network's inside for one pass, and back.

`change` is what a patch does to a U-Net (see `places`), `join` what it does to a transformer of joint attention (see `call`).
"""

from __future__ import annotations

from typing import Final

from negativa.denoisers.patches.flip import Flip
from negativa.denoisers.patches.nag import Normalized
from negativa.denoisers.patches.nasa import Subtracted
from negativa.denoisers.patches.negtome import Merged
from negativa.denoisers.patches.ong import Orthogonal
from negativa.denoisers.patches.pag import Perturbed
from negativa.denoisers.patches.seg import Smoothed
from negativa.denoisers.patches.slg import Skipped

PATCHES: Final[dict[str, type]] = {
    "flip": Flip,
    "nag": Normalized,
    "nasa": Subtracted,
    "ong": Orthogonal,
    "negtome": Merged,
    "pag": Perturbed,
    "seg": Smoothed,
    "slg": Skipped,
}
