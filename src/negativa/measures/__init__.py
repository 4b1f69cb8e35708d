"""Measures: what a picture, a pair of pictures or a whole arm of an experiment is worth in numbers."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Final

from negativa.errors import InputError, nearest
from negativa.measures.clip_iqa import ClipIQA
from negativa.measures.clip_kept import ClipKept
from negativa.measures.clipping import Clipping
from negativa.measures.collapse import Collapse
from negativa.measures.contrast import Contrast
from negativa.measures.difference import difference_map
from negativa.measures.distance import Distance
from negativa.measures.flawless import Flawless
from negativa.measures.kept import Kept
from negativa.measures.lpips import LPIPS
from negativa.measures.measure import Measure, Shot
from negativa.measures.obedience import Obedience
from negativa.measures.presence import Presence
from negativa.measures.saturation import Saturation
from negativa.measures.sharpness import Sharpness
from negativa.measures.spread import Spread
from negativa.measures.ssim import SSIM
from negativa.measures.variety import Variety

#: The measures by name.
MEASURES: Final[dict[str, type[Measure]]] = {
    "presence": Presence,
    "kept": Kept,
    "ssim": SSIM,
    "clip_kept": ClipKept,
    "lpips": LPIPS,
    "sharpness": Sharpness,
    "contrast": Contrast,
    "saturation": Saturation,
    "clipping": Clipping,
    "flawless": Flawless,
    "clip_iqa": ClipIQA,
    "distance": Distance,
    "variety": Variety,
    "spread": Spread,
    "collapse": Collapse,
    "obedience": Obedience,
}


def build(text: str) -> Measure:
    """The measure that a text names: "kept", "presence:mustache", "presence:a dog@openai/clip-vit-base-patch32".

    Raises `InputError` for an unknown name, and for something after the colon that is missing or not wanted.
    """
    name, colon, rest = (part.strip() for part in text.partition(":"))
    if name not in MEASURES:
        raise InputError(f"measures: there is no measure {name!r}; {nearest(name, MEASURES)}")
    kind = MEASURES[name]
    asked = fields(kind)  # type: ignore[arg-type]
    wanted = "@".join(field.name.upper() for field in asked)
    given = [part.strip() for part in rest.split("@", max(0, len(asked) - 1))] if colon else []
    least = sum(field.default is MISSING for field in asked)
    if not asked and colon:
        raise InputError(f"measures: {text!r} was given; {name} takes nothing after its name")
    if not all(given) or not least <= len(given) <= len(asked):
        alone = f"{name} alone or " if not least else ""
        raise InputError(f"measures: {text!r} was given; allowed: {alone}{name}:{wanted}")
    return kind(*given)


__all__ = ["MEASURES", "Measure", "Shot", "build", "difference_map"]
