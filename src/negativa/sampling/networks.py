"""The model of a studio, and those beside it that its rules move away from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from negativa.errors import InputError
from negativa.plain.files import stamp
from negativa.plain.passes import WEAKER, Pass
from negativa.plain.recipe import Recipe
from negativa.sampling.stages import asked_of, images_of, texts_of, words_of
from negativa.sampling.steps import predicts

if TYPE_CHECKING:
    from torch import Tensor

    from negativa.denoisers.denoiser import Denoiser

BETAS: Final = ("beta_schedule", "beta_start", "beta_end", "trained_betas", "rescale_betas_zero_snr")
#: What a model and the one it moves away from must have in common of their schedules.
COMMON: Final = (*BETAS, "num_train_timesteps")


class Networks:
    """`main`, and others that `opening` opens by name when a recipe first asks for them."""

    def __init__(self, main: Denoiser, opening: Callable[[str], Denoiser] | None = None) -> None:
        self._main, self._opening = main, opening
        self._others: dict[str, Denoiser] = {}
        self._stamps: dict[str, Any] = {}

    def predict(self, latents: Sequence[Tensor], timesteps: Sequence[float], passes: Sequence[Pass]) -> Tensor:
        """The predictions of rows, each by its model."""
        models = {one.model for one in passes}
        if models == {None}:
            return self._main.predict(latents, timesteps, passes)
        import torch

        predicted = torch.empty(len(passes), *latents[0].shape)
        for model in models:
            rows = [i for i, one in enumerate(passes) if one.model == model]
            chosen = self._main if model is None else self._other(model)
            predicted[rows] = chosen.predict(
                [latents[i] for i in rows], [timesteps[i] for i in rows], [passes[i] for i in rows]
            )
        return predicted

    def refresh(self) -> None:
        """Forget what was read of files that were written anew since; not while something is drawn with it."""
        for name in [name for name in self._others if stamp(name) != self._stamps[name]]:
            del self._others[name]
        for one in (self._main, *self._others.values()):
            one.refresh()

    def check(self, recipe: Recipe) -> None:
        """Raise `InputError` for a pass, image or LoRA that the main network, or the weaker one's, cannot run or read."""
        asked = asked_of(recipe, schedule_of(recipe, self._main))
        if WEAKER in asked and recipe.weaker is None:
            raise InputError(f"weaker: none was given; the rule {recipe.rule!r} needs a model to move away from")
        for field, words in texts_of(recipe):
            if not self._main.chunks(words) and words.chunks:
                raise InputError(f"{field}: weights or breaks were given; the model {self._main.name!r} allows none")
            if not self._main.chunks(words) and words.embeddings:
                raise InputError(f"embeddings: they were given with {self._main.name!r}; allowed: a model that reads words")
        for one in (one for passes in asked.values() for one in passes):
            mine = self._main if one.model is None else self._other(one.model)
            for image in images_of(one):
                mine.look_at(image)
            for file, _ in one.loras:
                mine.lora(file)
            for patch in one.patches:
                if patch.name not in mine.patches:
                    raise InputError(f"model: {mine.name!r} has no layers that {patch.name!r} changes; allowed: one that has")
            if len({mine.patches[patch.name].place for patch in one.patches}) < len(one.patches):
                raise InputError(f"prompt: a part has a weight below zero; allowed without a rule like {recipe.rule!r}")

    def room(self, recipe: Recipe) -> int:
        """How many chunks the texts that a recipe's passes read take, those of the longest, at least one."""
        models, asked = [self._main, *self._asked_beside(recipe)], asked_of(recipe, schedule_of(recipe, self._main))
        texts = dict.fromkeys(words for passes in asked.values() for one in passes for words in words_of(one))
        return max([1, *(model.chunks(words) for words in texts for model in models)])

    def weaker_hash(self, recipe: Recipe) -> str:
        """The hash of the other model that a recipe moves away from, "" if it does not."""
        return "".join(one.hash for one in self._asked_beside(recipe))

    def _asked_beside(self, recipe: Recipe) -> list[Denoiser]:
        """The other model that a recipe moves away from, if it does."""
        asked = asked_of(recipe, schedule_of(recipe, self._main)).get(WEAKER, ())
        return [self._other(name) for name in {one.model for one in asked} if name is not None]

    def _other(self, name: str) -> Denoiser:
        """The model to move away from. Raises `InputError` if its predictions are not of the same kind as this one's."""
        if name not in self._others:
            if self._opening is None:
                raise InputError(f"weaker: {name!r} was given; this studio was made without a way to open other models")
            other, mine = self._opening(name), self._main
            here, there = _kind_of(mine), _kind_of(other)
            if differing := [field for field in here if here[field] != there[field]]:
                raise InputError(f"weaker: {name!r} was given; it differs from {mine.name!r} in {', '.join(differing)}")
            self._others[name], self._stamps[name] = other, stamp(name)
        return self._others[name]


def schedule_of(recipe: Recipe, model: Denoiser) -> Mapping[str, Any]:
    """The configuration of a model's noise schedule for the picture of a complete recipe."""
    return model.schedule(recipe.width or 0, recipe.height or 0)


def _kind_of(one: Denoiser) -> dict[str, Any]:
    """What two models must have in common for the difference of their predictions to mean something."""
    own = {"prediction": predicts(one.scheduler), "channels": one.shape(one.size, one.size)[0]}
    own |= {"pixels a latent": one.factor, "scale of latents": one.scaling}
    return own | {field: one.scheduler.get(field) or None for field in COMMON}
