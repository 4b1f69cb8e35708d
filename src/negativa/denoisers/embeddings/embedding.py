"""What an embedding file holds: vectors for each text encoder, and which model family they were learned for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from torch import Tensor

FAMILIES: Final = {
    (192,): "terrarium",
    (768,): "Stable Diffusion 1",
    (1024,): "Stable Diffusion 2",
    (768, 1280): "Stable Diffusion XL",
}


@dataclass(frozen=True, eq=False)
class Embedding:
    """A learned word.

    `vectors` has (n, width) for each text encoder, `clip_l` before `clip_g`; every encoder has the same n. `layout` is how
    the file is arranged, `hash` the first 12 hexadecimal digits of its SHA-256, as in the `TI hashes` of picture files;
    `notices` says what of the file was left out. `spelling` is its first token where that is not its name.
    """

    name: str
    vectors: Mapping[str, Tensor]
    layout: str
    hash: str
    path: Path
    notices: tuple[str, ...] = ()
    spelling: str = ""

    @property
    def count(self) -> int:
        """How many tokens it takes up in a prompt."""
        return len(next(iter(self.vectors.values())))

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each encoder's vectors."""
        return tuple(vectors.shape[1] for vectors in self.vectors.values())

    @property
    def family(self) -> str:
        """The model family that reads vectors of these widths."""
        return FAMILIES.get(self.widths, f"unknown family, width {'+'.join(map(str, self.widths))}")

    @property
    def bare(self) -> str:
        """The name without the angle brackets that diffusers' tokens have."""
        return self.name.removeprefix("<").removesuffix(">")

    @property
    def tokens(self) -> tuple[str, ...]:
        """The words that stand for its vectors in a tokenizer, spelled as diffusers does: <name>, <name>_1, ..."""
        first = self.spelling or f"<{self._plain}>"
        return first, *(f"{first}_{i}" for i in range(1, self.count))

    def apart(self) -> Embedding:
        """The same, spelled as no other embedding of that name is."""
        return replace(self, spelling=f"<{self._plain}-{self.hash}>")

    @property
    def _plain(self) -> str:
        return re.sub(r"[<>\s]+", "_", self.bare)
