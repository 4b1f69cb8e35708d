"""A token for what goes wrong: pictures that the model itself makes of a list of flaws, and textual inversion of those.

After Max Woolf's articles (minimaxir.com, November 2022 and August 2023): for Stable Diffusion 1 and 2 the whole list is the
prompt, at guidance scales from 7 to 20; for XL each keyword is emphasised in turn, at scales from 8 to 13. Nobody ever
published with what numbers the token was trained; these are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from negativa.denoisers.sdxl import StableDiffusionXL
from negativa.errors import InputError
from negativa.language import pictures as files
from negativa.language.named import expand, library
from negativa.plain.knobs import number, text, whole
from negativa.plain.recipe import Recipe
from negativa.studio import Studio
from negativa.terrarium.flaws import FLAWS
from negativa.training import token
from negativa.training.progress import Progress, Trained
from negativa.training.runs import begin, check_begun, check_out, load_learner
from negativa.training.token import lora
from negativa.training.token.learner import readers_of, untrained
from negativa.training.token.running import accelerator_of, native_of
from negativa.training.token.settings import PRECISIONS

STEPS: Final = 50  # of a picture
SCALES: Final = {False: (7, 20, 4), True: (8, 13, 1)}  # lowest, highest, pictures at each; for XL
EMPHASIS: Final = "({})++++"  # compel's: 1.1 to the fourth
ROUNDING: Final = 1e-9  # of scales: 4.1 - 1.1 is a little less than 3
TOGETHER: Final = 4  # pictures that are made in each other's company, and so again after an interruption


@dataclass(frozen=True)
class Settings:
    """`learn` is what follows, from pictures that are made in its folder of pictures first.

    `words` is the list of flaws, with commas, or the name of a negative (@sd2-universal); the model's own if empty: terrarium's
    flaws, or the published list. `scales` are the lowest and highest guidance scale, in steps of 1, `each` the pictures at each
    (of XL: at each for each keyword). None is what was published. With a `rank` a LoRA learns instead of a token, for the same
    word. Raises `InputError` for values out of range.
    """

    learn: token.Settings
    words: str = ""
    scales: tuple[float, float] | None = None
    each: int | None = None
    rank: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", expand(text("words", self.words)))
        if self.each is not None:
            whole("each", self.each, 1, 10_000)
        if self.rank is not None:
            whole("rank", self.rank, 1, 1024)
        if self.scales is not None:
            low, high = (number("scales", one) for one in self.scales)
            if not 1 < low <= high <= 100:
                raise InputError(f"scales: {low:g}:{high:g} was given; allowed: LOWEST:HIGHEST, above 1, up to 100")


def run(settings: Settings) -> Iterator[token.Event]:
    """Make the pictures, each kept as it is finished, and learn the token or the LoRA; see `token.run`."""
    learn, accelerator = settings.learn, accelerator_of(settings.learn)
    check_out(learn.out, learn.place, learn.overwrite)
    if settings.rank is not None:
        lora.layout_of(learn)
    check_begun(learn.place, learn.about() if settings.rank is None else lora.decided(learn, settings.rank))
    if accelerator.is_main_process:
        yield from _pictures(settings)
    accelerator.wait_for_everyone()
    learning = token.run(learn) if settings.rank is None else lora.run(learn, settings.rank)
    for event in learning:
        if isinstance(event, Trained):
            words = settings.words or default_words(learn.model, event.about["family"] == StableDiffusionXL.family)
            event = replace(event, words=words)
        yield event


def recipes_of(settings: Settings, studio: Studio) -> list[Recipe]:
    """What is drawn."""
    large = isinstance(studio.denoiser, StableDiffusionXL)
    words = settings.words or default_words(settings.learn.model, large)
    low, high, each = SCALES[large]
    low, high = settings.scales or (low, high)
    prompts = _emphasised(words) if large else [words]
    like = Recipe(steps=STEPS, sampler="euler" if large else "euler_a", syntax="compel" if large else "plain")
    scales = [low + i for i in range(math.floor(high - low + ROUNDING) + 1)]
    some = [(prompt, scale) for prompt in prompts for scale in scales for _ in range(settings.each or each)]
    return [like.replace(prompt=p, scale=s, seed=settings.learn.seed + i) for i, (p, s) in enumerate(some)]


def default_words(model: str, large: bool) -> str:
    """The flaws that a model is known to draw."""
    return ", ".join(FLAWS) if model == "terrarium" else library()["wrong-xl" if large else "wrong-sd2"].text


def _emphasised(words: str) -> list[str]:
    keywords = [word.strip(" ()") for word in words.split(",") if word.strip(" ()")]
    return [", ".join(EMPHASIS.format(one) if one == loud else one for one in keywords) for loud in keywords]


def _pictures(settings: Settings) -> Iterator[Progress]:
    learn, folder = settings.learn, settings.learn.pictures
    studio, denoiser = load_learner(learn.model, learn.device, PRECISIONS[learn.precision])
    native_of(learn, denoiser)
    if settings.rank is None:
        learn.layout_for(len(readers_of(denoiser)))
        untrained(denoiser, learn.token, learn.vectors, learn.init)
    recipes = [studio.complete(one) for one in recipes_of(settings, studio)]
    about = {"model": learn.model, "model hash": studio.denoiser.hash, "precision": learn.precision, "seed": learn.seed}
    scales = sorted({one.scale for one in recipes if one.scale is not None})
    begin(folder, about | {"pictures": len(recipes), "prompt": recipes[0].prompt, "scales": scales})
    for first in range(0, len(recipes), TOGETHER):
        some = recipes[first : first + TOGETHER]
        places = [folder / f"{first + i:04}.png" for i in range(len(some))]
        if not all(map(_sound, places, some)):
            for made in studio.generate_many(some):
                files.save(places[made.index], made.image, made.receipt, overwrite=True)
        yield Progress("pictures", first + len(some), len(recipes))


def _sound(file: Path, recipe: Recipe) -> bool:
    """Whether a picture is there and whole."""
    try:
        return files.read(file).recipe == recipe
    except InputError:
        return False
