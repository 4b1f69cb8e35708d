"""The numbers of measures: formulas written out, and models asked without us."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import linalg
from transformers import (
    BertTokenizer,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    ViltConfig,
    ViltForQuestionAnswering,
    ViltImageProcessor,
    ViltProcessor,
)

from negativa import InputError, Recipe
from negativa.measures import build, difference_map
from negativa.terrarium import paint
from negativa.terrarium.reader import features
from tests.measured import ELSEWHERE, MAN, Pictures, men, noise, painted, save_clip, shots

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "is",
    "there",
    "a",
    "dog",
    "in",
    "the",
    "picture",
    "?",
    ".",
    "answer",
    "yes",
    "or",
    "no",
    "perhaps",
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_clip(tmp_path_factory.mktemp("weights") / "clip")


@pytest.fixture(scope="session")
def tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}, model_input_names=["input_ids", "attention_mask"])


SMALL = {
    "hidden_size": 32,
    "intermediate_size": 37,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": len(WORDS),
}


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory, tokenizer: BertTokenizer) -> tuple[str, list[bool]]:
    """A visual question model that picks an answer, and what it answers to six pictures of noise: three of them with yes."""
    folder = tmp_path_factory.mktemp("weights") / "vilt"
    torch.manual_seed(0)
    config = ViltConfig(**SMALL, image_size=32, patch_size=8, id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1})
    model = ViltForQuestionAnswering(config).eval()
    processor = ViltProcessor(ViltImageProcessor(size={"shortest_edge": 32}, size_divisor=8), tokenizer)
    asked = {"text": "Is there a dog in the picture?", "return_tensors": "pt"}
    with torch.no_grad():
        for _ in range(2):
            rows = [model(**processor(images=noise(i), **asked)).logits[0] for i in range(6)]
            yes = torch.stack([row[1] - row[0] for row in rows])
            answers = (yes > 0).tolist()
            model.classifier[-1].bias[0] += yes.median() + 1e-6 if len(set(answers)) == 1 else 0
    assert len(set(answers)) == 2
    processor.save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder), answers


@pytest.fixture
def writer(tmp_path: Path, tokenizer: BertTokenizer) -> Callable[[str], str]:
    """A visual language model that writes one word whatever it is asked."""

    def make(word: str) -> str:
        torch.manual_seed(0)
        special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
        vision = {name: value for name, value in SMALL.items() if name != "vocab_size"} | {"image_size": 32, "patch_size": 8}
        model = GitForCausalLM(GitConfig(**SMALL, **special, vision_config=vision))
        with torch.no_grad():
            model.output.bias[tokenizer.convert_tokens_to_ids(word)] = 50
        eyes = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        GitProcessor(eyes, tokenizer).save_pretrained(tmp_path / word)
        model.save_pretrained(tmp_path / word)
        return str(tmp_path / word)

    return make


# Formulas written out


def test_the_distance_is_frechets() -> None:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), with scipy's root of a matrix; both sets are large enough for full rank."""
    pictures = [painted(i, "house") for i in range(400, 580)]
    there = features([paint(np.random.default_rng([4, i]), "house")[0] for i in range(256)])
    here = features(pictures)
    one, other = (np.cov(rows, rowvar=False) for rows in (here, there))
    root = linalg.sqrtm(one @ other).real
    expected = ((here.mean(0) - there.mean(0)) ** 2).sum() + np.trace(one + other - 2 * root)
    assert build("distance").score(shots(pictures, Recipe("a house")))[0] == pytest.approx(expected, rel=1e-3)


def test_variety_of_pictures_that_have_nothing_in_common_is_their_number() -> None:
    """Stripes of two widths, upright and level, black as often as white: cosines of 0."""
    stripes = [np.indices((16, 16))[axis] // width % 2 * 255 for axis in (0, 1) for width in (1, 2)]
    images = [Image.fromarray(stripe.astype(np.uint8)) for stripe in stripes]
    assert build("variety").score(shots(images, ELSEWHERE)) == [pytest.approx(4)]
    assert build("spread").score(shots(images, ELSEWHERE)) == [pytest.approx(1)]
    assert build("variety").score(shots([images[0]] * 4, ELSEWHERE)) == [pytest.approx(1)]
    assert build("spread").score(shots([images[0]] * 4, ELSEWHERE)) == [pytest.approx(0, abs=1e-12)]
    uneven = [images[0]] * 3 + [images[1]]
    assert build("variety").score(shots(uneven, ELSEWHERE)) == [
        pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    ]
    assert build("spread").score(shots(uneven, ELSEWHERE)) == [pytest.approx(3 / 6)]


def test_variety_of_terrarium_is_in_what_the_reader_sees() -> None:
    rows = features(pictures := men(8, True))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T
    shares = linalg.svdvals(rows / math.sqrt(8)) ** 2
    assert build("variety").score(shots(pictures)) == [pytest.approx(math.exp(-sum(s * math.log(s) for s in shares)))]
    off = cosines[~np.eye(8, dtype=bool)]
    assert build("spread").score(shots(pictures)) == [pytest.approx(1 - off.mean())]


def test_pixels_by_hand() -> None:
    half = np.zeros((8, 8, 3), np.uint8)
    half[:, 4:] = 255
    black_white = shots([Image.fromarray(half)])
    assert build("contrast").score(black_white) == [pytest.approx(0.5)]
    assert build("clipping").score(black_white) == [1.0] and build("saturation").score(black_white) == [0.0]
    # the Laplacian is 255 left of the edge, -255 right of it, else 0: a quarter of all pixels
    assert build("sharpness").score(black_white) == [pytest.approx(255**2 / 4)]
    red = np.full((8, 8, 3), 100, np.uint8)
    red[..., 0], red[:2, :, 2] = 200, 0
    assert build("saturation").score(shots([Image.fromarray(red)])) == [pytest.approx((0.75 * 100 + 0.25 * 200) / 255)]
    assert build("clipping").score(shots([Image.fromarray(red)])) == [0.25]


def test_ssim_by_hand() -> None:
    """Of two plain grays only the first factor is left: (2 a b + (0.01 · 255)²) / (a² + b² + (0.01 · 255)²)."""
    one, other = (Image.new("RGB", (32, 32), (value,) * 3) for value in (90, 120))
    expected = (2 * 90 * 120 + 2.55**2) / (90**2 + 120**2 + 2.55**2)
    assert build("ssim").score(shots([other], MAN, [one])) == [pytest.approx(expected)]
    assert build("kept").score(shots([other], ELSEWHERE, [one])) == [pytest.approx(expected)], "not terrarium's: SSIM"
    with pytest.raises(InputError, match="ssim: a picture of 8x8 was given; allowed: at least 11x11"):
        build("ssim").score(shots([one.resize((8, 8))], MAN, [one.resize((8, 8))]))


def test_the_difference_map_shows_where() -> None:
    before = painted(1, man=True, mustache=True)
    after = before.copy()
    after.paste((0, 0, 0), (10, 20, 30, 25))
    shown = np.asarray(difference_map(before, after))
    expected = np.zeros((128, 128), np.uint8)
    expected[20:25, 10:30] = np.asarray(before)[20:25, 10:30].max(axis=2)
    assert shown.shape == (128, 128) and (shown == expected).all()
    assert (np.asarray(difference_map(after, before)) == shown).all()
    with pytest.raises(InputError, match="difference map: pictures of 128x128 and 64x64"):
        difference_map(before, noise(0))


def test_lpips_says_what_is_missing() -> None:
    pair = shots(men(1, True), MAN, men(1, False))
    try:
        assert build("lpips").score(pair)[0] > 0
    except InputError as error:
        assert "lpips: it needs torchmetrics, and the torchvision" in str(error) or "no AlexNet weights at" in str(error)


# CLIP and question models


def test_clip_scores_are_those_of_the_model(clip: str) -> None:
    model, processor = CLIPModel.from_pretrained(clip), CLIPProcessor.from_pretrained(clip)
    images = [noise(i) for i in range(4)]
    texts = ["a picture of a dog", "Good photo.", "Bad photo."]
    with torch.no_grad():
        said = model(**processor(text=texts, images=images, return_tensors="pt", padding=True))
    cosines = said.logits_per_image / model.logit_scale.exp()
    prompted = build(f"obedience:{clip}").score(shots(images, ELSEWHERE))
    assert prompted == pytest.approx((100 * cosines[:, 0]).clamp(min=0).tolist(), abs=1e-3)
    quality = said.logits_per_image[:, 1:].softmax(-1)[:, 0].tolist()
    assert build(f"clip_iqa:{clip}").score(shots(images, ELSEWHERE)) == pytest.approx(quality, abs=1e-5)
    alike = said.image_embeds @ said.image_embeds[0]
    assert build(f"clip_kept:{clip}").score(shots(images, ELSEWHERE, [images[0]] * 4)) == pytest.approx(
        alike.tolist(), abs=1e-5
    )
    long = shots(images[:1], Recipe("a dog " * 200, model="another"))
    assert np.isfinite(build(f"obedience:{clip}").score(long)).all(), "what is longer than the model reads is cut"


def margins(clip: str, images: Pictures) -> np.ndarray:
    """How much nearer each picture is to "a picture of a dog" than to "a picture"."""
    model, processor = CLIPModel.from_pretrained(clip), CLIPProcessor.from_pretrained(clip)
    texts = ["a picture of a dog", "a picture"]
    with torch.no_grad():
        logits = model(**processor(text=texts, images=images, return_tensors="pt", padding=True)).logits_per_image
        return ((logits[:, 0] - logits[:, 1]) / model.logit_scale.exp()).numpy()


def test_zero_shot_presence_takes_its_threshold_from_the_pictures_without_the_negative(clip: str) -> None:
    presence = build(f"presence:a dog@{clip}")
    colours = [Image.new("RGB", (64, 64), tuple(rgb)) for rgb in np.random.default_rng(0).integers(0, 256, (80, 3)).tolist()]
    shown = margins(clip, colours)
    side = shown > 0 if (shown > 0).sum() >= 40 else shown < 0
    order = [i for i in np.argsort(shown) if side[i]]
    without, with_ = ([colours[i] for i in part] for part in (order[:6], order[-6:]))
    plain = [float(shown[order[0]] > 0)] * 12
    assert presence.score(shots([*with_, *without], ELSEWHERE, [*without, *with_])) == [1] * 6 + [0] * 6
    assert presence.score(shots([*with_, *without], ELSEWHERE)) == plain, "without a picture to go by the threshold is 0"
    few = [*without[:3], *with_[:4]] + with_[:1] * 5
    assert presence.score(shots([*with_, *without], ELSEWHERE, few)) == plain, "seven different ones are too few to go by"
    anything = [noise(i) for i in range(12)]
    plain = [float(margin > 0) for margin in margins(clip, anything)]
    assert presence.score(shots(anything, ELSEWHERE, anything)) == plain, "one group only: the threshold is 0"


def test_a_question_model_that_picks_an_answer(classifier: tuple[str, list[bool]]) -> None:
    weights, answers = classifier
    found = build(f"presence:a dog@vqa={weights}").score(shots([noise(i) for i in range(6)], ELSEWHERE))
    assert found == [float(answer) for answer in answers]


def test_a_question_model_that_writes(writer: Callable[[str], str], clip: str) -> None:
    for word, score in (("yes", 1.0), ("no", 0.0)):
        assert build(f"presence:a dog@vqa={writer(word)}").score(shots([noise(0)], ELSEWHERE)) == [score]
    with pytest.raises(
        InputError, match=r"answered ' ?perhaps.* to 'Is there a dog in the picture\?'; allowed: a model that says"
    ):
        build(f"presence:a dog@vqa={writer('perhaps')}").score(shots([noise(0)], ELSEWHERE))
    with pytest.raises(InputError, match=r"cannot be read \(it is a CLIPModel, which answers no questions\)"):
        build(f"presence:a dog@vqa={clip}").score(shots([noise(0)], ELSEWHERE))
    with pytest.raises(InputError, match=r"cannot be read \(it is of the family 'git'\); allowed: .* of a CLIP model"):
        build(f"clip_iqa:{writer('yes')}").score(shots([noise(0)], ELSEWHERE))
