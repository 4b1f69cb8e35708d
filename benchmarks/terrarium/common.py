"""What all figures of the report share: seeds, drawing, reading, and a figure beside what is wanted of it."""

from __future__ import annotations

import atexit
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

import negativa
from negativa import Recipe
from negativa.denoisers.checkpoints import BUILT_IN
from negativa.experiments.sheet import sheet
from negativa.experiments.workers import Processes
from negativa.language import pictures
from negativa.terrarium import read_many
from negativa.terrarium.captions import PLACES, article
from negativa.terrarium.painter import SCENES
from negativa.terrarium.scene import Attribute, Scene

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
KEPT = ROOT / "terrarium-report"  # every picture drawn, so that a report goes on where it was stopped
WORKERS = os.cpu_count() or 1
FIRST_SEED = 1000  # seeds from here on are fresh: no tuning looked at them
STEPS = 30
Readings = list[dict[str, float]]


@dataclass(frozen=True)
class Bar:
    """Something measured beside what is wanted of it; `wanted` None is reported only."""

    name: str
    measured: float
    wanted: float | None
    unit: str = "%"
    most: bool = False

    @property
    def met(self) -> bool:
        if self.wanted is None:
            return True
        return self.measured <= self.wanted if self.most else self.measured >= self.wanted

    def __str__(self) -> str:
        said = "" if self.wanted is None else f"at {'most' if self.most else 'least'} {self.wanted:g} {self.unit}"
        return f"| {self.name} | {self.measured:.1f} {self.unit} | {said}{'' if self.met else ' (**missed**)'} |"


@cache
def studio() -> negativa.Studio:
    """The shipped model in this process."""
    return negativa.load(device="cpu")


@cache
def makers() -> Processes:
    """As many processes as there are cores, each with the shipped model."""
    found = Processes(WORKERS, device="cpu")
    atexit.register(found.close)
    return found


@cache
def kept() -> Path:
    """The folder of the pictures that the weights which ship now have drawn."""
    digest = hashlib.sha256()
    for name in ("unet", "text_encoder", "vae", "ip_adapter"):
        for file in sorted((BUILT_IN["terrarium"] / name).glob("*.safetensors")):
            digest.update(file.read_bytes())
    folder = KEPT / digest.hexdigest()[:10]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def draw(recipes: Sequence[Recipe], what: str = "") -> list[Image.Image]:
    """Pictures of recipes, in their order, of which those drawn before are read."""
    paths = [kept() / f"{named(recipe)}.png" for recipe in recipes]
    missing = list({path: recipe for path, recipe in zip(paths, recipes, strict=True) if not path.exists()}.items())
    if missing:
        for made in track(makers()([recipe for _, recipe in missing]), what or recipes[0].prompt, len(missing)):
            if made.image is None or made.receipt is None:
                raise RuntimeError(made.failure)
            pictures.save(missing[made.index][0], made.image, made.receipt, overwrite=True)
    return [Image.open(path).convert("RGB") for path in paths]


def named(recipe: Recipe) -> str:
    """A name of all that decides a picture: the recipe says where its LoRAs lie, and not what is in them."""
    contents = b"".join(hashlib.sha256(Path(file).read_bytes()).digest() for file, _ in recipe.loras)
    return studio().complete(recipe).hash + (hashlib.sha256(contents).hexdigest()[:10] if contents else "")


def write_sheet(name: str, rows: Mapping[str, Sequence[Image.Image]]) -> str:
    """Write labelled rows of pictures into docs; returns the file's name."""
    file = f"{name}.jpg"
    sheet([*rows.values()], [*rows]).save(DOCS / file, quality=88)
    return file


def seeded(recipe: Recipe, count: int, scale: float | None = None) -> list[Recipe]:
    """The recipe with the report's seeds and steps, at this scale or else the model's own."""
    return [recipe.replace(seed=FIRST_SEED + i, scale=scale, steps=STEPS) for i in range(count)]


def read(images: list[Image.Image]) -> Readings:
    return [reading for i in range(0, len(images), 50) for reading in read_many(images[i : i + 50])]


def share(readings: Readings, name: str) -> float:
    """Percentage of pictures that have the attribute."""
    return 100 * float(np.mean([reading[name] > 0.5 for reading in readings]))


def subject(scene: Scene) -> str:
    """What a prompt for this kind of picture calls it."""
    return f"photo of {article(scene.subjects[0] if scene.subjects else scene.name)}"


def asked_for(scene: Scene, attribute: Attribute) -> str:
    """A prompt that asks for the attribute."""
    if attribute.name in scene.subjects:
        return f"photo of {article(attribute.name)}"
    return f"{subject(scene)}{' ' if attribute.phrase.startswith(PLACES) else ' with '}{attribute.phrase}"


def every_attribute() -> Iterator[tuple[Scene, Attribute]]:
    for scene in SCENES.values():
        for attribute in scene.attributes:
            yield scene, attribute
