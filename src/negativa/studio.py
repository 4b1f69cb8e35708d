"""The one place where model, rules and engine meet: recipes in, pictures and receipts out."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from os import PathLike, fspath
from typing import TYPE_CHECKING, TypedDict

from negativa import rules
from negativa.errors import InputError
from negativa.notices import said_of
from negativa.plain.conditions import EMPHASIS
from negativa.plain.quiet import quiet
from negativa.plain.receipt import Receipt
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import USUAL, evaluations
from negativa.sampling.budget import FixedRows, RowBudget
from negativa.sampling.engine import Engine, Running
from negativa.sampling.networks import Networks, schedule_of
from negativa.sampling.stages import asked_of, images_of, texts_of
from negativa.sampling.steps import check_steps, is_flow
from negativa.sampling.walk import Walk, walk

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

    from negativa.denoisers.adapters import Given
    from negativa.denoisers.denoiser import Denoiser
    from negativa.exact import Mixture


class Loading(TypedDict, total=False):
    """Arguments of `load` beside the model."""

    device: str | None
    dtype: str | None
    reproducible: bool
    config: str | None
    embeddings: str | PathLike[str] | None
    adapters: Given
    image_encoder: str | PathLike[str] | None


@dataclass(frozen=True)
class Result:
    """A picture (`image`, PIL, RGB), its latents (channels, height, width, float32, CPU) and its receipt.

    `index` is the number of its recipe among those that were asked for together.
    """

    image: Image.Image
    latents: Tensor
    receipt: Receipt
    index: int = 0

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> None:
        """Write the picture with its recipe and receipt inside, as `negativa.save` does."""
        from negativa.language import pictures

        pictures.save(path, self.image, self.receipt, overwrite)


@dataclass(frozen=True)
class Stepped:
    """The picture of recipe number `index` has taken `step` of `steps` evaluations of the network."""

    index: int
    step: int
    steps: int


class Studio:
    """A loaded model and the engine that runs recipes on it; `load` makes one. Threads may share it: calls take turns."""

    def __init__(
        self,
        denoiser: Denoiser,
        reproducible: bool = False,
        merge: bool = True,
        opening: Callable[[str], Denoiser] | None = None,
    ) -> None:
        self.denoiser = denoiser
        self._networks = Networks(denoiser, opening)
        self.engine = Engine(self._networks.predict, FixedRows if reproducible else RowBudget, merge)
        self._decoding_seconds = 0.0
        self._reproducible = reproducible
        self._check_steps = cache(lambda name, steps, *size: check_steps(name, denoiser.schedule(*size), steps))

    @property
    def network_seconds(self) -> float:
        """Seconds spent inside the model's networks so far."""
        return self.engine.network_seconds + self._decoding_seconds

    def generate(self, recipe: Recipe) -> Result:
        """The picture of one recipe. Raises `InputError` if this model cannot carry it out."""
        return next(self.generate_many([recipe]))

    def generate_many(self, recipes: Iterable[Recipe]) -> Iterator[Result]:
        """The pictures of many recipes, as they finish; equal work is done once, the rest side by side.

        A list or tuple is checked before work begins. Raises `InputError` for a recipe that cannot be carried out.
        """
        return (event for event in self.stream(recipes) if isinstance(event, Result))

    def stream(self, recipes: Iterable[Recipe]) -> Iterator[Stepped | Result]:
        """Like `generate_many`, and tells of every step on the way."""
        if not isinstance(recipes, Iterable):
            raise InputError(f"recipes: {recipes!r:.80} was given; allowed: several, as [recipe]")
        complete = map(self.complete, recipes)
        if isinstance(recipes, list | tuple):
            complete = iter(list(complete))
        kept: dict[int, Recipe] = {}

        def walks() -> Iterator[tuple[int, Walk]]:
            for index, recipe in enumerate(complete):
                kept[index] = recipe
                size = recipe.width or 0, recipe.height or 0
                yield index, walk(recipe, self.denoiser.shape(*size), self.denoiser.schedule(*size), self.room(recipe))

        for running in self.engine.run(walks()):
            recipe = kept[running.key]
            yield Stepped(running.key, running.taken, evaluations(recipe.sampler or USUAL, recipe.steps))
            if running.latents is not None:
                with self.engine.alone:
                    made = self._finish(running.key, kept.pop(running.key), running, running.latents)
                yield made

    def complete(self, recipe: Recipe) -> Recipe:
        """The recipe with this model's name, scales, nothing, sampler and size where it leaves them open.

        Raises `InputError` for a rule, sampler, model or size that this studio does not have.
        """
        if not isinstance(recipe, Recipe):
            raise InputError(f"recipe: {recipe!r:.80} was given; allowed: a Recipe")
        if recipe.model not in (None, self.denoiser.name):
            raise InputError(f"model: {recipe.model!r} was given; this studio has {self.denoiser.name!r}")
        mine, multiple = self.denoiser, self.denoiser.multiple
        scale = mine.scale if rules.has_scale(recipe) else None
        own = {"model": mine.name, "scale": scale, "nothing": mine.nothing, "width": mine.size, "height": mine.size}
        own |= {"emphasis": EMPHASIS[recipe.syntax], "sampler": self._sampler(recipe), "distilled_scale": mine.distilled_scale}
        recipe = recipe.replace(**{name: value for name, value in own.items() if getattr(recipe, name) is None})
        self._check_steps(recipe.sampler or USUAL, recipe.steps, recipe.width, recipe.height)
        with self.engine.alone:
            self._networks.check(recipe)
        for field in ("width", "height"):
            if (value := getattr(recipe, field)) % multiple:
                raise InputError(f"{field}: {value} was given; allowed: multiples of {multiple}")
            if value > mine.largest:
                raise InputError(f"{field}: {value} was given; allowed with {mine.name!r}: at most {mine.largest}")
        return recipe

    def _sampler(self, recipe: Recipe) -> str:
        """What samples a recipe that leaves it open: the usual one of noise or of flows, or the first that its rule has."""
        usual = "euler" if is_flow(self.denoiser.scheduler) else USUAL
        allowed = rules.samplers_of(recipe)
        return usual if usual in allowed else allowed[0]

    def room(self, recipe: Recipe) -> int:
        """How many chunks of the encoder's own length the texts of a complete recipe take, those of the longest."""
        with self.engine.alone:
            return self._networks.room(recipe)

    def _finish(self, index: int, recipe: Recipe, running: Running, latents: Tensor) -> Result:
        started = time.perf_counter()
        image = self.denoiser.decode(latents)
        self._decoding_seconds += time.perf_counter() - started
        notices = said_of(recipe, self.denoiser)
        if not latents.isfinite().all():
            notices += ("the network's numbers ran out of range, the picture means nothing; try float32 or a smaller scale",)
        receipt = Receipt(
            recipe=recipe,
            rows_asked=running.rows_asked,
            rows_run=running.rows_run,
            seconds=round(time.perf_counter() - running.started, 3),
            notices=notices,
            reproducible=self._reproducible,
            embeddings={name: digest for _, words in texts_of(recipe) for name, digest in self.denoiser.learned(words).items()},
            adapters=self._adapters(recipe),
            loras={
                file: self.denoiser.lora(file).hash for file, weight in (*recipe.loras, *recipe.weaker_loras) if weight != 0
            },
            weaker_hash=self._networks.weaker_hash(recipe),
            versions=_versions(),
            device=self.denoiser.device,
            dtype=self.denoiser.dtype,
            model_hash=self.denoiser.hash,
            latents_hash=hashlib.sha256(latents.numpy().tobytes()).hexdigest()[:16],
        )
        return Result(image, latents, receipt, index)

    def _adapters(self, recipe: Recipe) -> dict[str, str]:
        """The adapters that a recipe's images were read through, with the hashes of their files."""
        asked = asked_of(recipe, schedule_of(recipe, self.denoiser)).values()
        passes = (one for passes in asked for one in passes if one.model is None)
        names = dict.fromkeys(image.adapter for one in passes for image in images_of(one))
        return {name: self.denoiser.adapters[name].hash for name in names}


def load(
    model: str | PathLike[str] | Mixture = "terrarium",
    *,
    device: str | None = None,
    dtype: str | None = None,
    reproducible: bool = False,
    config: str | None = None,
    embeddings: str | PathLike[str] | None = None,
    adapters: Given = (),
    image_encoder: str | PathLike[str] | None = None,
) -> Studio:
    """Load a model and make a studio for it.

    `model`: "terrarium", "exact", a diffusers folder, a single .safetensors file (`config` names the diffusers folder that
    describes it), a Hugging Face id, or a mixture, whose labels are the words of its prompts and negatives. `device`:
    "cpu", "cuda", "mps" ..., the best there is if None. `dtype`: "float32", "float16" or "bfloat16"; float16 on CUDA, else
    float32, if None; "exact" and other mixtures compute on the CPU in float64 all the same. `reproducible` makes pictures
    equal bit for bit on one kind of device whatever they are generated with, at the speed of one row a call; on a CPU it
    sets torch to one thread in this process, since several share sums in an order of their own.
    `embeddings` is a folder or file of embeddings, whose names are words of prompts and negatives then. `adapters` read the
    images of recipes: IP-Adapter files by name, or a list of files, each known by its name without the ending and the first of
    a kind also as "base", "plus", "full" or "face"; `image_encoder` is the folder of the CLIP, or SigLIP, that they look
    through, where it is not beside them.
    Raises `ModelError` if the model cannot be read, `InputError` for a device, dtype or folder that is not there.
    """
    import torch

    from negativa.denoisers.checkpoints import open_model
    from negativa.denoisers.embeddings import Shelf
    from negativa.exact import Mixture

    model = fspath(model) if isinstance(model, PathLike) else model
    if not isinstance(model, str | Mixture):
        raise InputError(f"model: {model!r:.80} was given; allowed: a name, a folder, a file, a hub id, or a Mixture")
    place = device_of(device)
    dtypes = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")}
    if dtype is not None and dtype not in dtypes:
        raise InputError(f"dtype: {dtype!r} was given; allowed: {', '.join(dtypes)}")
    kind = dtypes[dtype] if dtype else torch.float16 if place.type == "cuda" else torch.float32
    if reproducible and place.type == "cpu":
        torch.set_num_threads(1)

    shelf = None if embeddings is None else Shelf(embeddings)

    def opening(name: str | Mixture) -> Denoiser:
        with quiet():
            return open_model(name, place, kind, config, shelf, adapters, image_encoder)

    return Studio(opening(model), reproducible, opening=opening)


def device_of(name: str | None) -> torch.device:
    """The device of that name, or the best there is. Raises `InputError` if this machine does not have it."""
    import torch

    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        place = torch.device(name or best)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {name!r} was given; allowed here: {', '.join(dict.fromkeys((best, 'cpu')))}") from error
    return place


@cache
def _versions() -> dict[str, str]:
    packages = ("negativa", "torch", "diffusers", "transformers", "peft")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
