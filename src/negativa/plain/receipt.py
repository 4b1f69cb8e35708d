"""A receipt: what a picture was made of, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from negativa.plain.recipe import Recipe

OUT_OF_RANGE: Final = "the network's numbers ran out of range, the picture means nothing; try float32 or a smaller scale"


@dataclass(frozen=True)
class Receipt:
    """What was done for one picture.

    `recipe` is the one that was carried out, sizes filled in. `rows_asked` counts the network rows the picture needed,
    `rows_run` those run for it first (a row that several pictures share is counted for one of them). `seconds` is the
    time from its first step to its picture. `notices` are sentences about what had no effect or was cut. `embeddings` are
    the learned words that it read from files, each with the first twelve digits of the file's hash, `adapters` what read its
    images, with the first ten; `loras` the LoRAs that changed its network, by the paths of the recipe, with the first twelve
    digits of what they hold. `weaker_hash` is the `model_hash` of another model that its rule moved away from, "" if there is
    none.
    """

    recipe: Recipe
    rows_asked: int
    rows_run: int
    seconds: float
    notices: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    dtype: str = "float32"
    model_hash: str = ""
    latents_hash: str = ""
    reproducible: bool = False
    embeddings: Mapping[str, str] = field(default_factory=dict)
    adapters: Mapping[str, str] = field(default_factory=dict)
    loras: Mapping[str, str] = field(default_factory=dict)
    weaker_hash: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the recipe's hash beside it."""
        values = {name: value for name, value in asdict(self).items() if name != "recipe"}
        return {"recipe": self.recipe.to_dict(), "recipe_hash": self.recipe.hash, **values, "notices": list(self.notices)}

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)
