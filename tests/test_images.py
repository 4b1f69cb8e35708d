"""Pictures in recipes: what they may be, what passes read of them when, and that they act as they are said to."""

from __future__ import annotations

import io
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image as pillow

import negativa
from negativa import Image, InputError, Negative, Recipe, rules
from negativa.apps.cli.images import parse_adapters, parse_image, parse_negative_image
from negativa.apps.cli.main import main
from negativa.apps.cli.settings import Away
from negativa.notices import said_of
from negativa.plain.conditions import Nothing, Shown, Words
from negativa.plain.images import LARGEST, Blank
from negativa.sampling.passes import blended
from negativa.sampling.stages import stages
from negativa.sampling.walk import Ask, walk
from tests import adapter_files as files
from tests.test_inside import insides

SHOWN, OTHER = files.picture(1), files.picture(2)
BASE = Recipe("portrait of a man", seed=7, steps=10, scale=4.0, sampler="ddim")
AWAY = Image(OTHER)


@pytest.fixture(scope="module")
def models(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unet = StableDiffusionPipeline.from_pretrained(folder).unet
    return files.models(tmp_path_factory.mktemp("adapters"), unet)


@pytest.fixture(scope="module")
def seeing(folder: Path, models: Path) -> negativa.Studio:
    return negativa.load(str(folder), adapters=[models / "base.safetensors", models / "plus.safetensors"])


def saved(path: Path, image: pillow.Image, **more) -> Path:
    image.save(path, **more)
    return path


def colours(path: Path) -> np.ndarray:
    return np.asarray(Image(path).pixels()).astype(int)


class TestPictures:
    """Whatever a file holds, upright and in RGB."""

    def test_a_turned_picture_stands_upright(self, tmp_path: Path) -> None:
        exif = pillow.Exif()
        exif[0x0112] = 6  # to be turned by a quarter
        turned = saved(tmp_path / "x.png", SHOWN.rotate(90, expand=True), exif=exif)
        assert Image(turned).digest == Image(SHOWN).digest == Image(saved(tmp_path / "y.bmp", SHOWN)).digest

    def test_what_is_clear_lies_over_white(self, tmp_path: Path) -> None:
        alpha = pillow.new("RGBA", (8, 8), (255, 0, 0, 0))
        alpha.putpixel((3, 3), (0, 0, 255, 128))
        found = colours(saved(tmp_path / "x.png", alpha))
        assert (found[0, 0] == 255).all() and abs(found[3, 3] - [127, 127, 255]).max() <= 1
        palette = alpha.convert("RGB").quantize(4)
        palette.info["transparency"] = palette.getpixel((0, 0))
        assert (colours(saved(tmp_path / "y.png", palette))[0, 0] == 255).all()
        assert (colours(saved(tmp_path / "z.png", pillow.new("LA", (8, 8), (0, 0)))) == 255).all()

    def test_sixteen_bits_are_scaled(self, tmp_path: Path) -> None:
        deep = pillow.fromarray(np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8))
        found = colours(saved(tmp_path / "x.png", deep))
        assert found.min() == 0 and found.max() == 255 and len(np.unique(found)) == 64

    @pytest.mark.parametrize(
        ("mode", "ending", "far"), [("CMYK", "jpg", 12), ("CMYK", "tif", 2), ("L", "png", 0), ("P", "gif", 0)]
    )
    def test_other_colours(self, tmp_path: Path, mode: str, ending: str, far: int) -> None:
        image = pillow.new("RGB", (16, 16), (200, 100, 50)).convert(mode)
        found = colours(saved(tmp_path / f"x.{ending}", image))
        assert found.shape == (16, 16, 3) and abs(found - np.asarray(image.convert("RGB")).astype(int)).max() <= far

    @pytest.mark.parametrize("ending", ["gif", "webp", "png"])
    def test_the_first_picture_of_an_animation(self, tmp_path: Path, ending: str) -> None:
        first, second = pillow.new("RGB", (16, 16), "red"), pillow.new("RGB", (16, 16), "blue")
        path = tmp_path / f"x.{ending}"
        first.save(path, save_all=True, append_images=[second], **({"lossless": True} if ending == "webp" else {}))
        assert (colours(path) == [255, 0, 0]).all()

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("text", "no picture, or a damaged one"),
            ("empty", "no picture, or a damaged one"),
            ("cut off", "no picture, or a damaged one"),
            ("cut off.jpg", "no picture, or a damaged one"),
            ("bomb", "absurdly large; allowed: at most 64 million pixels"),
            ("large", "9000x9000 pixels large"),
            ("slender", "1x51 pixels large; allowed: .* 50 times as long as broad"),
            ("fractions", "holds fractions"),
            ("folder", "is no file"),
            ("none", "No such file"),
            ("bad\0name", "could not be read"),
        ],
    )
    def test_what_is_no_picture_is_said(self, tmp_path: Path, how: str, words: str) -> None:
        with pytest.raises(InputError, match=words) as refusal:
            Image(self.bad(tmp_path, how))
        assert str(refusal.value).startswith("image: ")

    def bad(self, tmp_path: Path, how: str) -> Path:
        path = tmp_path / how
        if how == "folder":
            path.mkdir()
        elif how in ("text", "empty"):
            path.write_text("hello" * (how == "text"))
        elif how.startswith("cut off"):
            whole = io.BytesIO()
            SHOWN.resize((400, 400)).save(whole, "JPEG" if how.endswith("jpg") else "PNG")
            path.write_bytes(whole.getvalue()[:400])
        elif how in ("bomb", "large", "slender"):
            size = {"bomb": (60_000, 60_000), "large": (9_000, 9_000), "slender": (1, 51)}[how]
            whole = io.BytesIO()
            pillow.new("1", size if how == "slender" else (8, 8)).save(whole, "PNG")
            raw = bytearray(whole.getvalue())
            raw[16:24] = b"".join(side.to_bytes(4, "big") for side in size)
            raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
            path.write_bytes(raw)
        elif how == "fractions":
            pillow.fromarray(np.zeros((4, 4), np.float32)).save(path, "TIFF")
        return path

    def test_a_closed_file_in_memory_is_said(self, tmp_path: Path) -> None:
        image = pillow.open(saved(tmp_path / "x.png", SHOWN))
        image.close()
        with pytest.raises(InputError, match="image: "):
            Image(image)
        assert LARGEST == 64 << 20

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"weight": -1}, "image weight: -1 was given; allowed .* from 0 to 10 .*give it as a negative"),
            ({"weight": 11}, "from 0 to 10"),
            ({"weight": float("nan")}, "image weight: nan"),
            ({"start": 0.5, "stop": 0.2}, "image start and stop"),
            ({"adapter": 3}, "image adapter: 3"),
            ({"digest": "xyz"}, "image digest: 'xyz'"),
        ],
    )
    def test_numbers_out_of_range(self, given: dict, words: str) -> None:
        with pytest.raises(InputError, match=words):
            Image(SHOWN, **given)

    def test_what_is_neither_a_path_nor_a_picture(self) -> None:
        with pytest.raises(InputError, match="image: 3 was given; allowed: the path of a picture, or a PIL picture"):
            Image(3)  # type: ignore[arg-type]


class TestRecipes:
    def test_json_both_ways(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "x.png", SHOWN)
        recipe = BASE.replace(images=(Image(path, "plus", 0.5, 0.1, 0.9), SHOWN), negative=(AWAY, "cars", Negative(AWAY, 0.3)))
        again = Recipe.from_json(recipe.to_json())
        assert again == recipe and again.hash == recipe.hash and hash(again) == hash(recipe)
        assert recipe.hash != BASE.hash and Recipe.from_json(BASE.to_json()) == BASE
        assert json.loads(recipe.to_json())["images"][0] == {
            "image": str(path),
            "adapter": "plus",
            "weight": 0.5,
            "start": 0.1,
            "stop": 0.9,
            "digest": Image(SHOWN).digest,
        }

    def test_a_picture_wherever_a_text_may_stand(self) -> None:
        assert Recipe(negative=OTHER).negative == Recipe(negative=[AWAY]).negative == (Negative(AWAY),)
        assert Negative(OTHER).condition == AWAY and Recipe(images=SHOWN).images == (Image(SHOWN),)

    def test_another_picture_under_its_name_is_refused(self, tmp_path: Path, seeing) -> None:
        path = saved(tmp_path / "x.png", SHOWN)
        line = BASE.replace(images=Image(path)).to_json()
        saved(path, OTHER)
        recipe = Recipe.from_json(line)
        with pytest.raises(InputError, match=r"x.png' is another one than the recipe's"):
            seeing.complete(recipe)
        path.unlink()
        with pytest.raises(InputError, match="could not be read: No such file"):
            recipe.images[0].pixels()

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"images": [{"image": "x.png", "wieght": 1}]}, "image: there is no field 'wieght'; did you mean 'weight'"),
            ({"images": [{"weight": 1}]}, "image: the field 'image' is missing"),
            ({"images": 3}, "image: 3 was given"),
            ({"negative": [{"condition": {"adapter": "base"}}]}, "the field 'image' is missing"),
            ({"no_image": 3}, "no_image: 3 was given"),
        ],
    )
    def test_refusals(self, fields: dict, words: str) -> None:
        with pytest.raises(InputError, match=words):
            Recipe.from_dict(fields)

    def test_a_negatives_weight_and_window_are_its_own(self) -> None:
        with pytest.raises(InputError, match="has a weight or window; allowed: those of the Negative around it"):
            Negative(Image(OTHER, weight=0.5))
        for weight in (-1, 11):
            with pytest.raises(InputError, match=f"negative weight: {weight} was given; allowed with a picture: from 0 to 10"):
                Negative(AWAY, weight)

    def test_a_picture_to_keep_is_written_and_read(self) -> None:
        recipe = Recipe(negative=(Negative(AWAY, 0.5, keep=SHOWN), "hat"))
        assert recipe.negative[0].keep == Image(SHOWN) and Recipe.from_json(recipe.to_json()) == recipe
        assert recipe.hash != Recipe(negative=(Negative(AWAY, 0.5), "hat")).hash

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (("a hat", {"keep": Image(SHOWN)}), "negative keep: it was given beside the words 'a hat'"),
            ((AWAY, {"keep": "a hat"}), "negative keep: 'a hat' was given; allowed: an Image, or a PIL picture"),
            ((AWAY, {"keep": Image(SHOWN, weight=0.5)}), "negative keep: .* has a weight or window"),
            ((AWAY, {"keep": OTHER.copy()}), "negative keep: .* shows what the negative shows"),
        ],
    )
    def test_what_cannot_be_kept(self, given: tuple, words: str) -> None:
        with pytest.raises(InputError, match=words):
            Negative(given[0], **given[1])


def asks(recipe: Recipe) -> list[Ask]:
    """What the walk of a recipe asks for, answered with nothing."""
    config = {"num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    going, found = walk(recipe, (1, 2, 2), config | {"set_alpha_to_one": False, "steps_offset": 1, "clip_sample": False}), []
    try:
        found.append(next(going))
        while True:
            found.append(going.send({name: torch.zeros(1, 2, 2) for name in found[-1].passes}))
    except StopIteration:
        return found


def read_by(recipe: Recipe, name: str, step: int = 0):
    return asks(recipe)[step].passes[name].condition


class TestPasses:
    MAN, NONE = Words("portrait of a man"), Nothing("empty")

    def test_a_picture_on_either_side_makes_every_pass_look(self) -> None:
        blank = Blank("base", "black")
        follow = BASE.replace(images=Image(SHOWN, weight=0.7), no_image="black")
        assert read_by(follow, "positive") == Shown(self.MAN, ((Image(SHOWN), 0.7),))
        assert read_by(follow, "nothing") == Shown(self.NONE, ((blank, 0.7),))
        assert read_by(follow.replace(negative="hat"), "negative 0") == Shown(Words("hat"), ((blank, 0.7),))
        away = BASE.replace(negative=(Negative(AWAY, 0.4), Negative(Image(SHOWN, "plus"), 0.9), "hat"), no_image="black")
        assert read_by(away, "negative 0") == Shown(self.NONE, ((AWAY, 0.4), (Blank("plus", "black"), 0.9)))
        assert (
            read_by(away, "negative 2").pictures
            == read_by(away, "positive").pictures
            == ((blank, 0.4), (Blank("plus", "black"), 0.9))
        )

    def test_no_image_is_as_loud_as_the_prompts(self) -> None:
        recipe = BASE.replace(
            images=(Image(SHOWN, weight=0.2), Image(OTHER, weight=0.6)), negative=(Negative(AWAY, 2.0), "hat")
        )
        assert read_by(recipe, "negative 1").pictures == ((Blank("base"), 0.6),)
        assert read_by(recipe, "negative 0").pictures == ((AWAY, 2.0),)

    def test_windows_are_those_of_whole_steps(self) -> None:
        """[0, .5) of 10 steps is steps 0 to 4, for either side and for all negatives."""
        for recipe in (
            BASE.replace(negative=Negative(AWAY, 1.0, 0.0, 0.5)),
            BASE.replace(negative=AWAY, window=(0, 0.5)),
            BASE.replace(images=Image(SHOWN, stop=0.5)),
        ):
            looking = [isinstance(ask.passes["positive"].condition, Shown) for ask in asks(recipe)]
            assert looking == [True] * 5 + [False] * 5

    def test_steps_that_a_wrapper_spares_look_as_the_others_do(self) -> None:
        recipe = BASE.replace(negative=AWAY, wrappers=("reuse:every=2",))
        assert len({read_by(recipe, "positive", step) for step in range(10)}) == 1

    def test_a_rule_is_told_weight_1_and_replaces_nothing(self) -> None:
        recipe = BASE.replace(negative=Negative(AWAY, 0.3))
        assert set(asks(recipe)[0].passes) == {"positive", "negative 0"} and asks(recipe)[0].moment.negatives[0].weight == 1

    def test_what_a_negative_keeps_is_taken_off_it(self) -> None:
        """u + n - k, whatever the rule makes of it."""
        recipe = BASE.replace(negative=Negative(AWAY, 0.5, keep=Image(SHOWN)), scale=3.0)
        passes = asks(recipe)[0].passes
        assert [one.condition for one in passes.values()] == [
            Shown(self.MAN, ((Blank("base"), 0.5),)),
            Shown(self.NONE, ((AWAY, 0.5),)),
            Shown(self.NONE, ((Image(SHOWN), 0.5),)),
            Shown(self.NONE, ((Blank("base"), 0.5),)),
        ]
        stage, rule = stages(recipe, {"num_train_timesteps": 1000})[0], rules.build(recipe)
        answers = dict(zip(passes, (7.0, 5.0, 3.0, 1.0), strict=True))
        predictions = {name: blended(name, stage.passes, answers, stage.start) for name in stage.names}
        assert rule.combine(predictions, stage.moment, {}) == 3 * 7 - 2 * (1 + 5 - 3)
        inside = asks(recipe.replace(rule="nag"))[0].passes["positive"].patches[0].against
        assert inside == ((Shown(self.NONE, ((AWAY, 0.5),)), 1.0), (Shown(self.NONE, ((Image(SHOWN), 0.5),)), -1.0))

    def test_equal_pictures_are_one_pass(self) -> None:
        one, other = (BASE.replace(prompt="", images=Image(OTHER, weight=0.5, start=start)) for start in (0.0, 0.2))
        away = BASE.replace(negative=Negative(AWAY, 0.5))
        assert read_by(one, "positive", 5) == read_by(other, "positive", 5) == read_by(away, "negative 0", 5)


class TestActing:
    """On a real network of a few thousand weights."""

    def same(self, one, other) -> bool:
        return torch.equal(one.latents, other.latents)

    def test_the_weight_matters_after_the_first_step(self, seeing) -> None:
        made = [seeing.generate(BASE.replace(negative=Negative(AWAY, weight, start=0.1))) for weight in (1.0, 0.5)]
        assert not self.same(*made) and not any(one.receipt.notices for one in made)

    def test_at_scale_1_it_is_said_and_exact(self, seeing) -> None:
        made = seeing.generate(BASE.replace(negative=AWAY, scale=1.0))
        assert self.same(made, seeing.generate(BASE.replace(scale=1.0)))
        assert made.receipt.notices == (f"the negative image {AWAY.name!r} has no effect: {ALONE}",)

    def test_weight_0_is_the_run_without_bit_for_bit(self, seeing) -> None:
        for recipe in (BASE.replace(negative=Negative(AWAY, 0.0)), BASE.replace(images=Image(SHOWN, weight=0.0))):
            made, without = seeing.generate(recipe), seeing.generate(BASE)
            assert self.same(made, without) and made.receipt.rows_asked == without.receipt.rows_asked
            assert "has no effect: its weight is 0" in made.receipt.notices[0]

    def test_a_weight_near_0_is_nearly_the_run_without(self, seeing) -> None:
        made = seeing.generate(BASE.replace(negative=Negative(AWAY, 1e-5)))
        torch.testing.assert_close(made.latents, seeing.generate(BASE).latents, rtol=0, atol=1e-2)

    def test_rows_of_mixed_pictures_are_each_as_alone(self, seeing) -> None:
        mixed = [
            BASE.replace(images=Image(SHOWN, weight=0.7)),
            BASE.replace(seed=1),
            BASE.replace(negative=(Negative(AWAY, 0.4), "hat"), seed=2),
            BASE.replace(images=(Image(SHOWN, "plus"), Image(OTHER, "base", 0.3), Image(SHOWN, "base", 1.2)), seed=3),
        ]
        together = {one.index: one.latents for one in seeing.generate_many(mixed)}
        for index, recipe in enumerate(mixed):
            torch.testing.assert_close(seeing.generate(recipe).latents, together[index], rtol=0, atol=1e-3)

    def test_a_row_without_a_picture_is_bit_for_bit_what_it_is_without_an_adapter(self, seeing, studio) -> None:
        ask = asks(BASE)[0]
        latents, passes = [torch.ones(4, 16, 16)] * 2, [ask.passes["positive"], ask.passes["nothing"]]
        mixed = [passes[0], asks(BASE.replace(images=Image(SHOWN)))[0].passes["nothing"]]
        plain = studio.denoiser.predict(latents, [500.0] * 2, passes)
        found = seeing.denoiser.predict(latents, [500.0] * 2, mixed)
        assert torch.equal(found[0], plain[0]) and not torch.equal(found[1], plain[1])

    @pytest.mark.parametrize("rule", ["perp_neg", "sld", "apg", "nag", "vsf", "nasa", "ong", "negtome", "pag"])
    def test_rules_hear_it_by_weight_and_window_and_leave_the_network_as_it_was(self, seeing, rule: str) -> None:
        unet = seeing.denoiser.unet
        before, state = insides(unet), {name: value.clone() for name, value in unet.state_dict().items()}
        recipe = BASE.replace(rule=rule, steps=6)
        kept = Negative(AWAY, keep=files.picture(3))
        negatives = (Negative(AWAY), Negative(AWAY, 0.3), Negative(AWAY, 1.0, 0.15), kept, ())
        made = [seeing.generate(recipe.replace(negative=one, images=Image(SHOWN, weight=0.5))) for one in negatives]
        assert not any(self.same(a, b) for i, a in enumerate(made) for b in made[:i])
        assert not any(one.receipt.notices for one in made[:-1])
        assert insides(unet) == before and all(torch.equal(value, state[name]) for name, value in unet.state_dict().items())

    def test_a_reference_of_its_own_for_what_is_kept(self, seeing) -> None:
        recipe = BASE.replace(rule="negtome", scale=1.0, knobs={"until": 1.0})
        for negative, references in ((Negative(AWAY), 1), (Negative(AWAY, keep=Image(SHOWN)), 2), ("hat AND lawn", 2)):
            assert seeing.generate(recipe.replace(negative=negative)).receipt.rows_asked == 10 * (1 + references)

    def test_words_below_zero_beside_references(self, seeing) -> None:
        recipe = BASE.replace(prompt="a man (hat:-1)", rule="negtome", negative=AWAY, images=Image(SHOWN), steps=5)
        made = [seeing.generate(recipe.replace(prompt=prompt)) for prompt in (recipe.prompt, "a man")]
        assert not self.same(*made)

    def test_also_after_a_run_that_ends_in_the_middle_of_the_network(self, seeing) -> None:
        unet = seeing.denoiser.unet
        before, handle = insides(unet), unet.conv_norm_out.register_forward_hook(lambda *_: 1 / 0)
        try:
            with pytest.raises(ZeroDivisionError):
                seeing.generate(BASE.replace(negative=AWAY))
        finally:
            handle.remove()
        assert insides(unet) == before

    def test_merging_as_text(self, seeing) -> None:
        """A placebo shares everything: a picture that acts late costs nothing before."""
        late = BASE.replace(negative=Negative(AWAY, start=0.5))
        rows = [one.receipt.rows_run for one in seeing.generate_many([BASE, late])]
        assert sum(rows) == 2 * 10 + 2 * 5

    def test_the_receipt_names_the_adapters(self, seeing) -> None:
        made = seeing.generate(BASE.replace(negative=AWAY, images=Image(SHOWN, "plus"), steps=1))
        assert set(made.receipt.adapters) == {"base", "plus"} and all(len(one) == 10 for one in made.receipt.adapters.values())
        assert seeing.generate(BASE.replace(steps=1)).receipt.adapters == {}


ALONE = "at scale 1 the picture follows the prompt alone"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": Image(SHOWN, stop=0.0)}, "the image .* has no effect: no step of 10 lies in its window"),
        ({"negative": Negative(AWAY, 1.0, 0.31, 0.39)}, "the negative image .* no step of 10 lies in its window"),
        ({"negative": AWAY, "rule": "none", "scale": None}, "the rule 'none' takes no negatives"),
        ({"negative": AWAY, "rule": "pag", "knobs": {"share": 1.0}}, "the rule 'pag' does not hear it"),
        ({"no_image": "black"}, "no_image: no pass reads an image; 'black' has no effect"),
        ({"prompt": "", "images": Image(OTHER, weight=0.5), "negative": Negative(AWAY, 0.5)}, "equals the prompt"),
    ],
)
def test_what_has_no_effect_is_said(seeing, change: dict, words: str) -> None:
    said = said_of(seeing.complete(BASE.replace(**change)), seeing.denoiser)
    assert len(said) == 1 and re.search(words, said[0])


def test_nothing_is_said_of_pictures_that_act(seeing) -> None:
    assert said_of(seeing.complete(BASE.replace(prompt="", images=Image(SHOWN))), seeing.denoiser) == ()
    assert said_of(seeing.complete(BASE.replace(prompt="", negative=AWAY)), seeing.denoiser) == ()


class TestCommands:
    def run(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
        monkeypatch.setattr("sys.argv", ["negativa", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0

    def test_as_it_is_written(self, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("x.png", "a=b.png", "at 10:30"):
            SHOWN.save(name, "PNG")
        assert parse_image("x.png") == Image("x.png")
        assert parse_image("plus=x.png:0.8") == Image("x.png", "plus", 0.8)
        assert parse_image("x.png:0.8:0:0.5") == Image("x.png", weight=0.8, start=0.0, stop=0.5)
        assert parse_image("a=b.png") == Image("a=b.png") and parse_image("at 10:30") == Image("at 10:30")
        assert parse_image("plus=at 10:30") == Image("at 10:30", "plus")
        assert parse_negative_image("plus=x.png:0.8:0:0.5") == Negative(Image("x.png", "plus"), 0.8, 0.0, 0.5)
        both = (Negative("a"), Negative(Image("x.png")))
        assert Away().beside(None) is None and Away(negative_image=["x.png"]).beside(both[:1]) == both
        for text, words in (("x.png:1:0.5", "allowed: .*PATH"), ("none.png", "No such file"), ("x.png:-1", "from 0 to 10")):
            with pytest.raises(InputError, match=words):
                parse_negative_image(text)

    def test_pictures_to_keep_are_one_for_each_negative_one(self, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        for name, picture in (("x.png", SHOWN), ("y.png", OTHER)):
            picture.save(name, "PNG")
        away = Negative(Image("x.png"), 0.5, keep=Image("y.png"))
        assert Away(negative_image=["x.png:0.5"], keep_image=["y.png"]).beside(None) == (away,)
        for images, keeps, words in (
            (None, ["y.png"], "1 beside 0 of --negative-image were given; allowed: one for each of them, or none"),
            (["x.png", "x.png"], ["y.png"], "1 beside 2"),
            (["x.png"], ["y.png:0.5"], "its weight is that of its negative image"),
        ):
            with pytest.raises(InputError, match=f"keep image: .*{words}"):
                Away(negative_image=images, keep_image=keeps).beside(None)

    def test_adapters_as_they_are_written(self) -> None:
        assert parse_adapters(None) == [] and parse_adapters(["a/b.bin"]) == ["a/b.bin"]
        assert parse_adapters(["mine=a.bin", "x=b.bin"]) == {"mine": "a.bin", "x": "b.bin"}
        with pytest.raises(InputError, match="NAME=PATH for all of them, or for none"):
            parse_adapters(["mine=a.bin", "b.bin"])

    def test_generate_read_and_like(self, monkeypatch, capsys, folder: Path, models: Path, tmp_path: Path) -> None:
        SHOWN.save(tmp_path / "shown.png")
        OTHER.save(tmp_path / "other.png")
        out, again = tmp_path / "out.png", tmp_path / "again.png"
        model = ("--model", str(folder), "--adapter", str(models / "base.safetensors"))
        words = ("--image", f"{tmp_path / 'shown.png'}:0.7:0:0.5", "--negative-image", f"{tmp_path / 'other.png'}:0.5")
        words = (*words, "--keep-image", str(tmp_path / "shown.png"))
        self.run(monkeypatch, "generate", *words, "-n", "hat", "--no-image", "black", "--steps", "2", "--out", str(out), *model)
        recipe = negativa.read(out).recipe
        assert recipe.images == (Image(tmp_path / "shown.png", weight=0.7, stop=0.5),) and recipe.no_image == "black"
        kept = Image(tmp_path / "shown.png")
        assert recipe.negative == (Negative("hat"), Negative(Image(tmp_path / "other.png"), 0.5, keep=kept))
        self.run(monkeypatch, "generate", "--like", str(out), "--out", str(again), *model[2:])
        assert np.array_equal(np.asarray(pillow.open(again)), np.asarray(pillow.open(out)))
        capsys.readouterr()
        (tmp_path / "shown.png").unlink()
        self.run(monkeypatch, "read", str(out))
        said = capsys.readouterr().out
        assert "shown.png  (weight 0.7, from 0 to 0.5)" in said and "shown.png'  (weight 0.5)" in said and "that keeps" in said

    def test_check(self, monkeypatch, capsys, folder: Path, models: Path, tmp_path: Path) -> None:
        path = saved(tmp_path / "x.png", SHOWN)
        model = ("--model", str(folder), "--adapter", f"mine={models / 'plus.safetensors'}")
        self.run(
            monkeypatch,
            "check",
            "a man",
            "--negative-image",
            f"mine={path}",
            "--image",
            f"mine={path}:0",
            "--scale",
            "1",
            *model,
        )
        said = capsys.readouterr().out
        assert f"image: {str(path)!r}, weight 0" in said and f"negative: image {str(path)!r}, weight 1" in said
        assert said.count("has no effect") == 2

    def test_experiments_show_pictures_too(self, monkeypatch, folder: Path, models: Path, tmp_path: Path) -> None:
        shown, other = saved(tmp_path / "shown.png", SHOWN), saved(tmp_path / "other.png", OTHER)
        common = (
            "--image",
            f"{shown}:0.7",
            "--steps",
            "2",
            "--model",
            str(folder),
            "--adapter",
            str(models / "base.safetensors"),
        )
        grid, swept = tmp_path / "grid", tmp_path / "swept"
        self.run(monkeypatch, "grid", "a man", "--row", "none=", "--row", "hat=hat", "--seed", "1", *common, "--out", str(grid))
        away = ("--negative-image", str(other), "--axis", "negative-weight=0.5,1", "--seed", "1")
        self.run(monkeypatch, "sweep", "a man", *away, *common, "--out", str(swept))
        recipes = [[negativa.read(one).recipe for one in out.glob("pictures/*.png")] for out in (grid, swept)]
        assert [len(some) for some in recipes] == [2, 2]
        assert all(one.images == (Image(shown, weight=0.7),) for some in recipes for one in some)
        assert {one.negative for one in recipes[1]} == {(Negative(Image(other), weight),) for weight in (0.5, 1.0)}

    @pytest.mark.parametrize("verb", ["generate", "sweep", "check"])
    def test_a_picture_to_keep_needs_one_to_stay_away_from(self, monkeypatch, capsys, tmp_path: Path, verb: str) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["negativa", verb, "a man", "--keep-image", str(saved(tmp_path / "x.png", SHOWN))])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2 and "keep image: 1 beside 0" in capsys.readouterr().err
        assert [file.name for file in tmp_path.iterdir()] == ["x.png"]

    def test_a_study_shows_them_through_a_given_adapter(self, monkeypatch, capsys, folder, models, tmp_path: Path) -> None:
        shown, out, plan = saved(tmp_path / "shown.png", SHOWN), tmp_path / "out", tmp_path / "plan.toml"
        arms = f'[[arms]]\nlabel = "shown"\nimages = ["{shown}"]\n[[arms]]\nlabel = "away"\n'
        arms += f'negative = [{{condition = {{image = "{shown}"}}}}]\n'
        plan.write_text(f'prompts = "a man"\nseeds = "2"\nsteps = 2\nmodels = ["{folder}"]\nmeasures = "kept"\n{arms}')
        adapter = ("--adapter", str(models / "base.safetensors"), "--device", "cpu")
        self.run(monkeypatch, "study", str(plan), "--out", str(out), *adapter)
        assert "away: " in capsys.readouterr().out
        receipts = [negativa.read(one).receipt for one in out.glob("pictures/*.png")]
        assert len(receipts) == 6 and sum("base" in one["adapters"] for one in receipts) == 4
