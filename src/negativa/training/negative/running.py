"""Learning a negative from beginning to end: walk, follow the reward, check, write the best."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

import numpy as np

from negativa.denoisers.embeddings import write
from negativa.language.named import library
from negativa.terrarium import paint
from negativa.terrarium.captions import caption
from negativa.terrarium.flaws import FLAWS
from negativa.terrarium.painter import CLEAN
from negativa.training.log import last_step
from negativa.training.negative.rewards import ClipScore, Flawless, Reward
from negativa.training.negative.search import Search
from negativa.training.negative.settings import Settings
from negativa.training.progress import Notice
from negativa.training.runs import LOSSES, begin, check_out, learn, load_learner
from negativa.training.token import Event, Learned, Learner, Pictured
from negativa.training.token.learner import FILLING

CAPTIONS: Final = 512  # of terrarium, to learn from
HELD_OUT: Final = 5  # every so many-th of the prompts given is not learned from


def run(settings: Settings, reward: Reward | None = None) -> Iterator[Event]:
    """Learn a negative; taken up where an earlier run with the same settings stopped. The last that is told is a `Learned`.

    `reward` is one of your own, in the place of the settings'. On a CPU, a run that was interrupted ends in the vectors of one
    that was not. Raises `InputError` for a token, model or reward that cannot be used and for a folder that was begun
    otherwise, `ModelError` if the model cannot be read, `OutputError` if something cannot be written.
    """
    folder = settings.place
    check_out(settings.out, folder, settings.overwrite)
    _, denoiser = load_learner(settings.model, settings.device, "float32")
    learner = Learner(denoiser, settings.token, settings.vectors, FILLING)
    layout = settings.layout_for(len(learner.vectors))
    if reward is None:
        reader = settings.reward == "reader"
        reward = Flawless(denoiser.device) if reader else ClipScore(settings.reward, denoiser.device)
    about = settings.about(reward=reward.name, family=denoiser.family, **{"model hash": denoiser.hash})
    begin(folder, about)
    learned_from, held_out = _prompts(settings)
    search = Search(learner, denoiser, reward, settings, learned_from, held_out)
    with closing(learn("negative", search, Search.loss, settings, enough=search.is_stale)) as steps:
        for now in steps:
            yield now
            picture = search.pictured(now.step - 1)
            if picture.exists() and (now.step - 1) % settings.check == 0:
                yield Pictured(now.step - 1, picture)
    if search.is_stale():
        ended = last_step(folder / LOSSES)
        yield Notice(f"the last {settings.patience} checks were no better; learning ends at step {ended}")
    else:
        search.check(settings.steps)
    best = search.best()
    if best.step == 0:
        yield Notice("nothing better than no negative was found, and the vectors are those that say nothing")
    told = {**about, "best step": best.step, "prompts": len(settings.prompts) or "terrarium's captions"} | best.figures
    embedding = dataclasses.replace(learner.start, vectors=best.vectors)
    write(embedding, settings.out, layout, overwrite=True, notes={"negativa": json.dumps(told, ensure_ascii=False)})
    words = ", ".join(FLAWS) if settings.reward == "reader" else library()["sd2-universal"].text
    said = {"file": settings.out, "name": embedding.name, "used": settings.token, "about": told, "words": words}
    yield Learned(**said, embedding=embedding, untrained=learner.start)


def _prompts(settings: Settings) -> tuple[Sequence[str], Sequence[str]]:
    """What is learned from, and what is not."""
    if settings.prompts:
        held_out = settings.prompts[::HELD_OUT]
        return [one for one in settings.prompts if one not in held_out] or held_out, held_out
    texts = [_caption([settings.seed, i]) for i in range(CAPTIONS + settings.pictures)]
    return texts[:CAPTIONS], texts[CAPTIONS:]


def _caption(chance: list[int]) -> str:
    """A caption of a painting that names no flaw."""
    rng = np.random.default_rng(chance)
    while not (text := caption(paint(rng, **CLEAN)[1], rng)) or "extra " in text:
        pass
    return text
