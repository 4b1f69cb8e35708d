"""The one place where model, rules and engine meet: recipes in, pictures and receipts out."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from negativa import rules
from negativa.errors import InputError
from negativa.plain.conditions import inside
from negativa.plain.passes import NOTHING, POSITIVE, WEAKER, Pass, negative
from negativa.plain.quiet import quiet
from negativa.plain.receipt import Receipt
from negativa.plain.recipe import Recipe
from negativa.plain.samplers import evaluations
from negativa.sampling.budget import FixedRows, RowBudget
from negativa.sampling.engine import Engine, Running
from negativa.sampling.steps import check_steps
from negativa.sampling.walk import Walk, asked_of, passes_of, texts_of, walk

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

    from negativa.denoisers.denoiser import Denoiser
    from negativa.exact import Mixture


#: What a model and the one it moves away from must have in common.
COMMON: Final = (
    "prediction_type",
    "beta_schedule",
    "beta_start",
    "beta_end",
    "num_train_timesteps",
    "pixels a latent",
    "channels",
)


@dataclass(frozen=True)
class Result:
    """A picture (`image`, PIL, RGB), its latents (channels, height, width, float32, CPU) and its receipt.

    `index` is the number of its recipe among those that were asked for together.
    """

    image: Image.Image
    latents: Tensor
    receipt: Receipt
    index: int = 0


@dataclass(frozen=True)
class Stepped:
    """The picture of recipe number `index` has taken `step` of `steps` evaluations of the network."""

    index: int
    step: int
    steps: int


class Studio:
    """A loaded model and the engine that runs recipes on it; `load` makes one."""

    def __init__(
        self,
        denoiser: Denoiser,
        reproducible: bool = False,
        merge: bool = True,
        opening: Callable[[str], Denoiser] | None = None,
    ) -> None:
        self.denoiser = denoiser
        self.engine = Engine(self._predict, FixedRows if reproducible else RowBudget, merge)
        self._opening = opening
        self._others: dict[str, Denoiser] = {}
        self._decoding_seconds = 0.0
        self._reproducible = reproducible
        self._check_steps = cache(lambda name, steps: check_steps(name, denoiser.scheduler, steps))

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
        complete = map(self.complete, recipes)
        if isinstance(recipes, list | tuple):
            complete = iter(list(complete))
        kept: dict[int, Recipe] = {}

        def walks() -> Iterator[tuple[int, Walk]]:
            for index, recipe in enumerate(complete):
                kept[index] = recipe
                shape = self.denoiser.shape(recipe.width or 0, recipe.height or 0)
                yield index, walk(recipe, shape, self.denoiser.scheduler)

        for running in self.engine.run(walks()):
            recipe = kept[running.key]
            yield Stepped(running.key, running.taken, evaluations(recipe.sampler, recipe.steps))
            if running.latents is not None:
                yield self._finish(running.key, kept.pop(running.key), running, running.latents)

    def complete(self, recipe: Recipe) -> Recipe:
        """The recipe with this model's name, scale and size where it leaves them open.

        Raises `InputError` for a rule, sampler, model or size that this studio does not have.
        """
        if recipe.model not in (None, self.denoiser.name):
            raise InputError(f"model: {recipe.model!r} was given; this studio has {self.denoiser.name!r}")
        mine, factor = self.denoiser, self.denoiser.factor
        scale = mine.scale if rules.has_scale(recipe) else None
        own = {"model": mine.name, "scale": scale, "width": mine.size, "height": mine.size}
        recipe = recipe.replace(**{name: value for name, value in own.items() if getattr(recipe, name) is None})
        self._check_inside(recipe)
        self._check_steps(recipe.sampler, recipe.steps)
        for field in ("width", "height"):
            if (value := getattr(recipe, field)) % factor:
                raise InputError(f"{field}: {value} was given; allowed: multiples of {factor}")
        return recipe

    def notices(self, recipe: Recipe) -> tuple[str, ...]:
        """Sentences about what in a recipe has no effect on this model, or is cut."""
        asked, named = asked_of(recipe), passes_of(recipe)
        said: list[str] = []
        for i, one in enumerate(recipe.negative):
            if negative(i) not in asked:
                said.append(f"the negative {one.condition!r} has no effect: {_why_inert(recipe, i)}")
            elif named[negative(i)] == named[POSITIVE] and len(recipe.negative) == 1 and one.weight == 1:
                said.append(f"the negative {one.condition!r} equals the prompt: where it acts, the two cancel")
        for field, text in texts_of(recipe):
            if unread := self.denoiser.unread(text):
                said.append(f"{field}: the text is longer than the model reads; cut: {_shorten(unread)}")
            for token in self.denoiser.unknown(text):
                said.append(f"{field}: the model does not know the token {token!r} and reads it as ordinary pieces")
        if recipe.weaker is not None and WEAKER not in asked:
            said.append(f"weaker: the rule {recipe.rule!r} moves away from no other model; {recipe.weaker!r} has no effect")
        if not rules.has_scale(recipe):
            said += [f"the rule {recipe.rule!r} has no scale: {what} has no effect" for what in _scaling(recipe)]
        elif named[POSITIVE] == named[NOTHING] and recipe.scale != 1 and not recipe.negative:
            said.append("the prompt is empty and there is no negative: the scale has no effect")
        return tuple(said)

    def _check_inside(self, recipe: Recipe) -> None:
        """Raise `InputError` for a pass that this model's network, or the weaker one's, cannot run."""
        asked = asked_of(recipe)
        if WEAKER in asked and recipe.weaker is None:
            raise InputError(f"weaker: none was given; the rule {recipe.rule!r} needs a model to move away from")
        for one in asked.values():
            mine = self.denoiser if one.model is None else self._other(one.model)
            for patch in one.patches:
                if patch.name not in mine.patches:
                    raise InputError(f"model: {mine.name!r} has no attention inside; allowed with {patch.name!r}: one that has")
            if len({mine.patches[patch.name].place for patch in one.patches}) < len(one.patches):
                raise InputError(f"prompt: a part has a weight below zero; allowed without a rule like {recipe.rule!r}")

    def _other(self, name: str) -> Denoiser:
        """The model to move away from. Raises `InputError` if its predictions are not of the same kind as this one's."""
        if name not in self._others:
            if self._opening is None:
                raise InputError(f"weaker: {name!r} was given; this studio was made without a way to open other models")
            other, mine = self._opening(name), self.denoiser
            kinds = [
                {**one.scheduler, "pixels a latent": one.factor, "channels": one.shape(one.size, one.size)[0]}
                for one in (mine, other)
            ]
            if differing := [field for field in COMMON if kinds[0].get(field) != kinds[1].get(field)]:
                raise InputError(f"weaker: {name!r} was given; it differs from {mine.name!r} in {', '.join(differing)}")
            self._others[name] = other
        return self._others[name]

    def _predict(self, latents: Sequence[Tensor], timesteps: Sequence[float], passes: Sequence[Pass]) -> Tensor:
        """The predictions of rows, each by its model."""
        models = {one.model for one in passes}
        if models == {None}:
            return self.denoiser.predict(latents, timesteps, passes)
        import torch

        predicted = torch.empty(len(passes), *latents[0].shape)
        for model in models:
            rows = [i for i, one in enumerate(passes) if one.model == model]
            chosen = self.denoiser if model is None else self._other(model)
            predicted[rows] = chosen.predict(
                [latents[i] for i in rows], [timesteps[i] for i in rows], [passes[i] for i in rows]
            )
        return predicted

    def _finish(self, index: int, recipe: Recipe, running: Running, latents: Tensor) -> Result:
        started = time.perf_counter()
        image = self.denoiser.decode(latents)
        self._decoding_seconds += time.perf_counter() - started
        notices = self.notices(recipe)
        if not latents.isfinite().all():
            notices += ("the network's numbers ran out of range, the picture means nothing; try float32 or a smaller scale",)
        receipt = Receipt(
            recipe=recipe,
            rows_asked=running.rows_asked,
            rows_run=running.rows_run,
            seconds=round(time.perf_counter() - running.started, 3),
            notices=notices,
            reproducible=self._reproducible,
            versions=_versions(),
            device=self.denoiser.device,
            dtype=self.denoiser.dtype,
            model_hash=self.denoiser.hash,
            latents_hash=hashlib.sha256(latents.numpy().tobytes()).hexdigest()[:16],
        )
        return Result(image, latents, receipt, index)


def load(
    model: str | Mixture = "terrarium",
    *,
    device: str | None = None,
    dtype: str | None = None,
    reproducible: bool = False,
    config: str | None = None,
) -> Studio:
    """Load a model and make a studio for it.

    `model`: "terrarium", "exact", a diffusers folder, a single .safetensors file (`config` names the diffusers folder that
    describes it), a Hugging Face id, or a mixture, whose labels are the words of its prompts and negatives. `device`:
    "cpu", "cuda", "mps" ..., the best there is if None. `dtype`: "float32", "float16" or "bfloat16"; float16 on CUDA, else
    float32, if None; "exact" and other mixtures compute on the CPU in float64 all the same. `reproducible` makes pictures
    equal bit for bit on one kind of device whatever they are generated with, at the speed of one row a call; on a CPU it
    sets torch to one thread in this process, since several share sums in an order of their own.
    Raises `ModelError` if the model cannot be read, `InputError` for a device or dtype that is not there.
    """
    import torch

    from negativa.denoisers.checkpoints import open_model

    place = device_of(device)
    dtypes = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")}
    if dtype is not None and dtype not in dtypes:
        raise InputError(f"dtype: {dtype!r} was given; allowed: {', '.join(dtypes)}")
    kind = dtypes[dtype] if dtype else torch.float16 if place.type == "cuda" else torch.float32
    if reproducible and place.type == "cpu":
        torch.set_num_threads(1)

    def opening(name: str | Mixture) -> Denoiser:
        with quiet():
            return open_model(name, place, kind, config)

    return Studio(opening(model), reproducible, opening=opening)


def device_of(name: str | None) -> torch.device:
    """The device of that name, or the best there is. Raises `InputError` if this machine does not have it."""
    import torch

    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        place = torch.device(name or best)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {name!r} was given; this machine has {best!r} (or 'cpu')") from error
    return place


@cache
def _versions() -> dict[str, str]:
    packages = ("negativa", "torch", "diffusers", "transformers")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _why_inert(recipe: Recipe, index: int) -> str:
    one, (start, stop) = recipe.negative[index], recipe.window
    if recipe.rule == "none":
        return "the rule 'none' takes no negatives"
    if one.weight == 0:
        return "its weight is 0"
    if recipe.scale == 1 and rules.has_scale(recipe):
        return "at scale 1 the picture follows the prompt alone"
    start, stop = max(start, one.start), min(stop, one.stop)
    if any(inside(step, recipe.steps, start, stop) for step in range(recipe.steps)):
        return f"the rule {recipe.rule!r} does not hear it, as its knobs and wrappers stand"
    return f"no step of {recipe.steps} lies in its window [{start:g}, {stop:g})"


def _scaling(recipe: Recipe) -> Iterator[str]:
    """What a person set in a recipe that acts on a rule's scale."""
    if recipe.scale is not None:
        yield f"the scale {recipe.scale:g}"
    if any(written.partition(":")[0] == "ramp" for written in recipe.wrappers):
        yield "the wrapper 'ramp'"


def _shorten(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else text[: most - 1] + "…")
