"""Measures: one contract for all of them, and painted truth."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPModel,
    CLIPProcessor,
)

from negativa import InputError, Recipe
from negativa.measures import MEASURES, Measure, Shot, build
from negativa.terrarium import ATTRIBUTES, paint, read
from negativa.terrarium.painter import CLEAN, SCENES
from tests.measured import ELSEWHERE, MAN, Pictures, blurred, men, noise, painted, resaved, save_clip, shots


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_clip(tmp_path_factory.mktemp("weights") / "clip")


# The contract of all measures


def worse_and_better(name: str, clip: str) -> tuple[str, list[Shot], list[Shot]]:
    """How a measure is written, pictures, and pictures that it must find better, or more if neither way is good."""
    people, clean = men(6, True), men(6, False)
    grayed = [Image.blend(image, Image.new("RGB", image.size, (128,) * 3), 0.5) for image in people]
    copies = [resaved(people[0])] * 3 + people[:3]
    loud = [image.point([min(255, v * 2) for v in range(256)] * 3) for image in people]
    pairs = {True: shots(people, MAN, people), False: shots(people, MAN, clean[::-1])}
    asked = Recipe("portrait of a man with a mustache")
    photos = CLIPModel.from_pretrained(clip), CLIPProcessor.from_pretrained(clip)
    cases: dict[str, tuple[str, list[Shot], list[Shot]]] = {
        "presence": ("presence:mustache", shots(clean), shots(people)),
        "kept": ("kept", pairs[False], pairs[True]),
        "ssim": ("ssim", pairs[False], pairs[True]),
        "clip_kept": (f"clip_kept:{clip}", pairs[False], pairs[True]),
        "lpips": ("lpips", pairs[False], pairs[True]),
        "sharpness": ("sharpness", shots(list(map(blurred, people))), shots(people)),
        "contrast": ("contrast", shots(grayed), shots(people)),
        "saturation": ("saturation", shots(grayed), shots(people)),
        "clipping": ("clipping", shots(loud), shots(people)),
        "flawless": (
            "flawless",
            shots([painted(i, blurry=True) for i in range(6)]),
            shots(people),
        ),
        "clip_iqa": (f"clip_iqa:{clip}", *map(shots, by_logit(*photos, [noise(i) for i in range(6)]))),
        "distance": ("distance", shots(list(map(blurred, clean))), shots(clean)),
        "variety": ("variety", shots(copies), shots(people)),
        "spread": ("spread", shots(copies), shots(people)),
        "collapse": ("collapse", shots(copies), shots(people)),
        "obedience": ("obedience", shots(clean, asked), shots(people, asked)),
    }
    return cases[name]


def by_logit(model: CLIPModel, processor: CLIPProcessor, images: Pictures) -> tuple[Pictures, Pictures]:
    """The pictures in two halves, those further from "Good photo." first."""
    texts = {"text": ["Good photo.", "Bad photo."], "return_tensors": "pt", "padding": True}
    with torch.no_grad():
        good = [float(model(**processor(images=image, **texts)).logits_per_image.softmax(-1)[0, 0]) for image in images]
    order = [images[i] for i in np.argsort(good)]
    return order[: len(order) // 2], order[len(order) // 2 :]


def scores(measure: Measure, given: list[Shot]) -> list[float]:
    """The scores, or a skip where the measure says that something it needs is not there."""
    try:
        return measure.score(given)
    except InputError as error:
        if measure.name == "lpips":
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_says_what_it_is_and_keeps_its_word(name: str, clip: str) -> None:
    text, worse, better = worse_and_better(name, clip)
    measure = build(text)
    assert measure.name == name and measure.label == text and build(measure.label) == measure
    assert measure.unit and type(measure).__doc__ and measure.over in ("picture", "pair", "arm")
    low, high = scores(measure, worse), scores(measure, better)
    if measure.better == "less":
        low, high = high, low
    assert np.mean(low) < np.mean(high) and np.isfinite([*low, *high]).all()
    count = 1 if measure.over == "arm" else len(worse)
    assert len(measure.score(worse)) == count and measure.score(worse) == scores(build(text), worse)
    mixed = [*worse, *better]
    order = random.Random(1).sample(range(len(mixed)), len(mixed))
    shuffled = measure.score([mixed[i] for i in order])
    if measure.over == "arm":
        assert shuffled == pytest.approx(measure.score(mixed))
    else:
        alone = [measure.score([shot])[0] for shot in mixed]
        assert shuffled == [alone[i] for i in order], "no picture's score depends on its neighbours"


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_refuses_what_it_cannot_score_in_a_sentence(name: str, clip: str) -> None:
    text, *_ = worse_and_better(name, clip)
    measure = build(text)
    if measure.over == "pair":
        with pytest.raises(InputError, match=f"{name}: the picture of seed 0 has none without the negative beside it"):
            measure.score(shots(men(1, True)))
        with pytest.raises(InputError, match=f"{name}: pictures of 64x64 and 128x128 were given; allowed: two of one size"):
            measure.score(shots(men(1, True), MAN, [noise(0)]))
    if measure.over == "arm":
        with pytest.raises(InputError, match=f"{name}: 1 pictures were given; allowed: two or more"):
            measure.score(shots(men(1, True)))
    if text in ("presence:mustache", "obedience", "distance", "flawless"):
        for recipe, image in ((MAN, noise(0)), (ELSEWHERE, men(1, True)[0])):
            with pytest.raises(InputError, match=f"{name}: a picture of .* was given; allowed: terrarium's, 128x128"):
                measure.score(shots([image] * 2, recipe))
    asked = [field.name for field in fields(measure)]  # type: ignore[arg-type]
    if "weights" in asked:
        concept = "presence:a dog@" if name == "presence" else f"{name}:"
        for weights in ("/nowhere/at/all", "vqa=/nowhere/at/all") if name == "presence" else ("/nowhere/at/all",):
            with pytest.raises(
                InputError, match=r"weights: '/nowhere/at/all' cannot be read .*; allowed: a folder or a Hugging"
            ):
                build(concept + weights).score(shots(men(1, True), MAN, men(1, True)))


@pytest.mark.parametrize(
    ("answer", "score"), [("Yes\n\nThere is", 1.0), (' "No," I think', 0.0), ("**Yes**", 1.0), ("no.\tIt", 0.0), (" \n", None)]
)
def test_the_first_word_of_an_answer_decides(answer: str, score: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negativa.measures.questions.question_model", lambda weights: lambda image, question: answer)
    asked = build("presence:a dog@vqa=any")
    if score is None:
        with pytest.raises(InputError, match=r"weights: 'any' answered .* allowed: a model that says yes or no"):
            asked.score(shots([noise(0)], ELSEWHERE))
    else:
        assert asked.score(shots([noise(0)], ELSEWHERE)) == [score]


def test_measures_are_written_by_name() -> None:
    assert build(" presence : long hair ").label == "presence:long hair"
    assert build("presence:a dog@vqa=a/b").label == "presence:a dog@vqa=a/b"
    assert build("obedience").label == "obedience" and build("obedience:a/b@c").label == "obedience:a/b@c"
    for text, sentence in {
        "presense:hat": "measures: there is no measure 'presense'; did you mean 'presence'",
        "presence": "'presence' was given; allowed: presence:CONCEPT@WEIGHTS",
        "presence:": "'presence:' was given; allowed: presence:CONCEPT@WEIGHTS",
        "presence:hat@": "'presence:hat@' was given; allowed: presence:CONCEPT@WEIGHTS",
        "presence:mustach": "does not know 'mustach'; did you mean 'mustache'.*presence:mustach@WEIGHTS",
        "clip_iqa": "'clip_iqa' was given; allowed: clip_iqa:WEIGHTS",
        "obedience:": "'obedience:' was given; allowed: obedience alone or obedience:WEIGHTS",
        "kept:hair": "'kept:hair' was given; kept takes nothing after its name",
    }.items():
        with pytest.raises(InputError, match=sentence):
            build(text)


# Painted truth


def test_presence_is_what_was_painted() -> None:
    truth = [bool(i % 2) for i in range(48)]
    pictures = [painted(i, man=True, mustache=there) for i, there in enumerate(truth)]
    found = build("presence:mustache").score(shots(pictures))
    assert set(found) <= {0.0, 1.0}
    assert sum(bool(one) == there for one, there in zip(found, truth, strict=True)) >= 47


def test_what_is_there_is_more_likely_than_not() -> None:
    """From a painting with a mustache to the same without: the reader's answer turns at one half."""
    with_, without = (painted(3, man=True, mustache=there) for there in (True, False))
    between = [Image.blend(without, with_, share) for share in np.linspace(0, 1, 60)]
    likely = [read(image)["mustache"] for image in between]
    assert [p for p in likely if 0.02 < p < 0.5] and [p for p in likely if 0.5 < p < 0.98]
    assert build("presence:mustache").score(shots(between)) == [float(p > 0.5) for p in likely]


def test_kept_counts_what_was_painted_differently_but_for_what_the_negative_names() -> None:
    def changed(back: bool = False, **attributes: bool) -> float:
        whole = {"man": True, "mustache": True, "glasses": True, "smile": True}
        before, after = ([painted(i, "portrait", **given) for i in range(40)] for given in (whole, whole | attributes))
        return float(np.mean(build("kept").score(shots(before, MAN, after) if back else shots(after, MAN, before))))

    theirs = {name: {one.name for one in scene.attributes} for name, scene in SCENES.items()}
    elsewhere = set().union(*(names for scene, names in theirs.items() if scene != "portrait")) - theirs["portrait"]
    others = len(ATTRIBUTES) - len(elsewhere) - 1  # what a portrait has, but the mustache, which the negative names
    slack = 0.2 / others  # the reader's own errors: one in five pictures
    assert changed() == 1
    assert changed(mustache=False) == pytest.approx(1, abs=slack)
    assert changed(glasses=False) == pytest.approx(1 - 1 / others, abs=slack)
    assert changed(glasses=False) == changed(back=True, glasses=False), "what comes is a change like what goes"
    assert changed(glasses=False, smile=False, mustache=False) == pytest.approx(1 - 2 / others, abs=slack)


def test_the_words_of_a_negative_are_found_whole_and_anywhere() -> None:
    before = shots([painted(i, man=True, glasses=True, hat=True) for i in range(12)])
    after = [painted(i, man=True, glasses=False, hat=False) for i in range(12)]

    def kept(negative: str | list[str]) -> float:
        recipe = Recipe("portrait of a man", negative)
        return float(np.mean(build("kept").score(shots(after, recipe, [shot.image for shot in before]))))

    named = kept("(Glasses:1.2), hat")
    assert named > kept("glasses") > kept("") and kept("glasses, that, hats, women") == pytest.approx(kept("glasses"))
    assert kept(["glasses", "hat"]) == named
    beside = [
        replace(shot, compared=("hat, zorblat", "glasses")) for shot in shots(after, MAN, [shot.image for shot in before])
    ]
    assert np.mean(build("kept").score(beside)) == kept("mustache, hat, glasses")


def test_obedience_is_the_share_of_what_was_asked_for() -> None:
    prompt = "portrait of a man with glasses and a hat"  # portrait, man, glasses, hat
    for given, share in (((True, True), 1.0), ((True, False), 0.75), ((False, False), 0.5)):
        pictures = [painted(i, man=True, glasses=given[0], hat=given[1]) for i in range(12)]
        assert np.mean(build("obedience").score(shots(pictures, Recipe(prompt)))) == pytest.approx(share, abs=0.03)
    with pytest.raises(InputError, match="the prompt 'something' names nothing"):
        build("obedience").score(shots(men(1, True), Recipe("something")))


def test_flawless_counts_what_was_done_to_a_painting_and_what_it_has_too_many_of() -> None:
    for flaw in ("blurry", "watermark", "extra_eye"):
        pictures = [painted(i, "portrait", **{flaw: True}) for i in range(40)]
        assert np.mean(build("flawless").score(shots(pictures))) < 0.5, flaw
    assert np.mean(build("flawless").score(shots([painted(i, "portrait", extra_eye=False) for i in range(40)]))) > 0.9


def test_collapse_finds_planted_twins_and_nothing_else() -> None:
    _, truth = paint(np.random.default_rng(1), "portrait", man=True, photo=True, **CLEAN)
    same = {name.replace(" ", "_"): there for name, there in truth.items() if name != "portrait"}
    pictures = [painted(i, "portrait", **same) for i in range(60)]  # alike in every attribute, and yet each its own
    collapse = build("collapse")
    assert collapse.score(shots(pictures)) == [0.0]
    shifted = Image.blend(pictures[9], Image.fromarray(np.roll(np.asarray(pictures[9]), 1, axis=1)), 0.5)  # by half a pixel
    twins = [resaved(pictures[3]), shifted, pictures[5], pictures[5]]
    assert collapse.score(shots([*pictures, *twins])) == [pytest.approx(7 / 64)]
    sizes = [pictures[0].resize((64, 64)), pictures[0], pictures[1]]
    assert collapse.score(shots(sizes, ELSEWHERE)) == [pytest.approx(2 / 3)]


def test_the_distance_to_paintings_is_small_for_paintings_of_what_was_asked_for() -> None:
    def ours(count: int, kind: str = "portrait", **given: bool) -> Pictures:
        """Paintings with all that the painter likes to add: styles and flaws too."""
        return [paint(np.random.default_rng([7, i]), kind, **given)[0] for i in range(count)]

    distance = build("distance")
    clean = distance.score(shots(ours(80, man=True, mustache=False)))[0]
    assert clean < distance.score(shots(ours(80, man=True, mustache=True)))[0], (
        "the negative names the mustache: the painter leaves it out"
    )
    houses = ours(80, "house")
    assert clean < 0.2 * distance.score(shots(houses))[0]
    assert distance.score(shots(houses, Recipe("a house")))[0] < 0.2 * distance.score(shots(houses))[0]
    unpaintable = Recipe("a house with glasses")
    assert distance.score(shots(houses, unpaintable)) == distance.score(shots(houses, Recipe("a house")))
    mixed = MAN.replace(negative="lawn, mustache, something else")
    assert distance.score(shots(ours(80, man=True, mustache=False), mixed)) == [clean], "a portrait has no lawn to leave out"
