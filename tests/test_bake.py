"""A negative baked into a model: what is learned, where, how it goes on after an interruption, and what comes out."""

from __future__ import annotations

import csv
import itertools
import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from typer.testing import CliRunner

import negativa
from negativa import InputError, OutputError, Recipe
from negativa.apps.cli.main import app
from negativa.training.bake import Baked, Goal, Settings, run
from negativa.training.progress import Progress
from tests import test_parity
from tests.test_sdxl import theirs_of, tiny_xl

PROMPTS = ("portrait of a man", "a house in the snow", "a hat")
MUSTACHE = Goal("negative", "mustache, glasses", 4.0)


def few(folder: Path, out: Path, /, **changes) -> Settings:
    """Small numbers of everything."""
    small = {"rank": 4, "steps": 3, "batch": 4, "walks": 3, "pictures": 2, "learning_rate": 5e-3, "like": Recipe(steps=4)}
    given = {"goal": MUSTACHE, "model": str(folder), "prompts": PROMPTS, "device": "cpu"} | small | changes
    return Settings(out=changes.get("out", out), **{name: value for name, value in given.items() if name != "out"})


def baked(settings: Settings) -> Baked:
    *_, last = run(settings)
    assert isinstance(last, Baked)
    return last


def same_weights(file: Path, other: Path) -> None:
    ours, theirs = load_file(file), load_file(other)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert any(value.any() for key, value in ours.items() if "lora_B" in key)


@pytest.fixture(scope="module")
def xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bake-xl")
    tiny_xl(path / "words").save_pretrained(path / "model")
    return path / "model"


class TestTargets:
    def test_formulas(self) -> None:
        c, n, u, e = (torch.full((2, 1, 1), float(value)) for value in (1, 2, 5, 11))
        said = {"positive": c, "negative 0": n, "nothing": u, "concept": e}
        values = [
            Goal(kind, "x", scale).target(said, 3.0).unique().tolist()
            for kind, scale in (("negative", 3.0), ("erase", None), ("slider", None))
        ]
        assert values == [[2 + 3 * (1 - 2)], [5 - (1 - 5)], [1 + (11 - 5)]]
        assert Goal("negative", "").target({"positive": c, "nothing": u}, 3.0).unique().tolist() == [5 + 3 * (1 - 5)]

    def test_weights_that_are_learned(self) -> None:
        rng = np.random.default_rng(0)
        drawn = [[goal.weight(rng) for _ in range(200)] for goal in (MUSTACHE, Goal("slider", "x"))]
        assert set(drawn[0]) == {1.0} and set(drawn[1]) == {1.0, -1.0}
        every = [replace(MUSTACHE, any_scale=True).weight(rng) for _ in range(200)]
        assert 0 < min(every) < 0.05 and 0.95 < max(every) <= 1

    def test_the_walk_is_guided_and_the_target_is_its_prediction(
        self, pipeline: StableDiffusionPipeline, tmp_path: Path
    ) -> None:
        pipeline.save_pretrained(tmp_path / "model")
        settings = few(tmp_path / "model", tmp_path / "a.safetensors", walks=1)
        baked(settings)
        rows = load_file(settings.place / "walks-000.safetensors")
        assert len(rows["latents"]) == 4
        with torch.no_grad():
            c, n = (
                pipeline.unet(rows["latents"], rows["timesteps"], states.expand(len(rows["latents"]), -1, -1)).sample
                for states in (pipeline.encode_prompt(text, "cpu", 1, False)[0] for text in (PROMPTS[0], MUSTACHE.text))
            )
        torch.testing.assert_close(rows["targets"], n + 4 * (c - n), rtol=0, atol=1e-4)
        torch.testing.assert_close(rows["alone"], c, rtol=0, atol=1e-4)


class TestLearning:
    def test_one_pass_comes_nearer_to_what_two_did(self, folder: Path, tmp_path: Path) -> None:
        settings = few(folder, tmp_path / "a.safetensors", steps=100, batch=8, learning_rate=1e-2)
        done = baked(settings)
        losses = [float(row["loss"]) for row in csv.DictReader((settings.place / "losses.csv").open())]
        assert len(losses) == 100 and 0.5 < np.mean(losses[:5]) < 2 and np.mean(losses[-20:]) < 0.5 * np.mean(losses[:5])
        two, one, placebo = done.figures
        assert (two.distance, two.rows, one.rows, placebo.rows) == (0, 8, 4, 4)
        assert one.distance < 0.7 * placebo.distance
        page = done.card.read_text()
        assert "two passes" in page and "placebo" in page and "seconds a picture" in page and "mustache, glasses" in page

    def test_any_scale(self, folder: Path, tmp_path: Path) -> None:
        """The weight of the LoRA is the scale: at 0.5 it comes nearer to guidance half the way than to the whole."""
        goal = replace(MUSTACHE, any_scale=True)
        done = baked(few(folder, tmp_path / "a.safetensors", goal=goal, steps=150, batch=8, learning_rate=1e-2))
        _, whole, placebo, half_way, half = done.figures
        assert (half_way.rows, half.rows) == (8, 4) and half.arm == "baked, at weight 0.5"
        assert whole.distance < 0.7 * placebo.distance and half.distance < 0.7 * half_way.distance

    def test_a_slider_goes_both_ways(self, folder: Path, tmp_path: Path) -> None:
        done = baked(few(folder, tmp_path / "a.safetensors", goal=Goal("slider", "hat"), steps=10))
        assert [one.arm for one in done.figures] == ["weight 0", "weight 1", "weight -1"]
        assert done.figures[1].distance > 0 < done.figures[2].distance

    def test_a_flow(self, folder: Path, tmp_path: Path) -> None:
        shutil.copytree(folder, tmp_path / "flow")
        scheduler = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
        (tmp_path / "flow" / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
        like = Recipe(steps=4, sampler="euler")
        done = baked(few(tmp_path / "flow", tmp_path / "a.safetensors", like=like, steps=60, learning_rate=1e-2))
        _, one, placebo = done.figures
        assert one.distance < 0.9 * placebo.distance

    def test_erasing(self, folder: Path, tmp_path: Path) -> None:
        done = baked(few(folder, tmp_path / "a.safetensors", goal=Goal("erase", "hat"), prompts=()))
        assert [one.arm for one in done.figures] == ["placebo", "erased"] and done.figures[1].distance > 0

    def test_all_weights(self, folder: Path, tmp_path: Path) -> None:
        done = baked(few(folder, tmp_path / "unet", full=True))
        trained, before = (UNet2DConditionModel.from_pretrained(path) for path in (tmp_path / "unet", folder / "unet"))
        assert not torch.equal(trained.conv_in.weight, before.conv_in.weight)
        assert [one.arm for one in done.figures] == ["two passes", "baked", "placebo"] and done.card == tmp_path / "unet.md"
        assert done.figures[1].distance != done.figures[2].distance


class TestFiles:
    @pytest.mark.parametrize("layout", ["diffusers", "kohya"])
    @pytest.mark.parametrize("family", ["sd", "xl"])
    def test_diffusers_draws_the_same(self, folder: Path, xl_folder: Path, tmp_path: Path, layout: str, family: str) -> None:
        model = folder if family == "sd" else xl_folder
        out = baked(few(model, tmp_path / "a.safetensors", layout=layout, steps=8)).out
        keys = list(load_file(out))
        assert all(key.startswith("lora_unet_" if layout == "kohya" else "unet.") for key in keys)
        pipeline = StableDiffusionPipeline.from_pretrained(folder) if family == "sd" else theirs_of(xl_folder)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.load_lora_weights(out)
        recipe = Recipe(PROMPTS[0], seed=3, steps=4, sampler="ddim", scale=4.0, loras=(out,))
        studio = negativa.load(str(model))
        found = studio.generate(recipe).latents
        torch.testing.assert_close(found, test_parity.expected(pipeline, recipe), rtol=0, atol=1e-4)
        assert not torch.equal(found, studio.generate(recipe.replace(loras=())).latents)

    def test_the_file_says_what_it_is(self, folder: Path, tmp_path: Path) -> None:
        raw = baked(few(folder, tmp_path / "a.safetensors", steps=1, walks=1, pictures=1)).out.read_bytes()
        notes = json.loads(json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]["negativa"])
        assert (notes["goal"], notes["text"], notes["scale"]) == ("negative", "mustache, glasses", 4.0)


class TestInterrupted:
    @pytest.fixture(scope="class")
    def whole(self, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
        """A run that was not interrupted."""
        settings = few(folder, tmp_path_factory.mktemp("whole") / "a.safetensors", walks=33, steps=4)
        baked(settings)
        return settings

    @pytest.mark.parametrize("after", [1, 6, 10, 13])
    def test_a_run_ends_where_an_unbroken_one_does(self, whole: Settings, tmp_path: Path, after: int) -> None:
        broken = replace(whole, out=tmp_path / "broken.safetensors")
        events = run(broken)
        assert len(list(itertools.islice(events, after))) == after
        events.close()
        same_weights(baked(broken).out, whole.out)
        for settings in (whole, broken):
            rows = list(csv.DictReader((settings.place / "losses.csv").open()))
            assert [row["step"] for row in rows] == ["1", "2", "3", "4"]

    def test_two_unets_of_one_stem_do_not_share_a_folder(self) -> None:
        first, second = (few(Path("model"), Path(name), full=True) for name in ("v1.5", "v1.6"))
        assert (first.place, second.place) == (Path("v1.5-training"), Path("v1.6-training"))
        assert few(Path("model"), Path("a.b.safetensors")).place == Path("a.b-training")

    def test_a_finished_run_is_measured_again(self, folder: Path, tmp_path: Path) -> None:
        settings = few(folder, tmp_path / "a.safetensors", pictures=1)
        before = baked(settings).out.rename(tmp_path / "before.safetensors")
        same_weights(baked(settings).out, before)
        assert baked(settings).out.is_file()  # over the file that is its own

    def test_all_weights_are_measured_again(self, folder: Path, tmp_path: Path) -> None:
        """Stopped in the comparison, when the weights are written: what is there then is the run's own."""
        settings = few(folder, tmp_path / "unet", full=True, pictures=1)
        for now in (events := run(settings)):
            if isinstance(now, Progress) and now.part == "compare":
                events.close()
                break
        weights = settings.out / "diffusion_pytorch_model.safetensors"
        before = load_file(weights)
        assert baked(settings).card.is_file()
        assert all(torch.equal(value, before[name]) for name, value in load_file(weights).items())
        assert {file.name for file in tmp_path.iterdir()} == {"unet", "unet.md", "unet-training"}

    def test_otherwise_begun(self, folder: Path, xl_folder: Path, tmp_path: Path) -> None:
        settings = few(folder, tmp_path / "a.safetensors")
        next(run(settings))
        for changes, said in (
            ({"model": str(xl_folder)}, "family 'Stable Diffusion 1.x or 2.x', now 'Stable Diffusion XL'|begun with model"),
            ({"goal": replace(MUSTACHE, scale=3.0)}, "begun with scale 4.0, now 3.0"),
            ({"steps": 9}, "begun with steps 3, now 9"),
            ({"dtype": "bfloat16"}, "begun with dtype 'float32', now 'bfloat16'"),
            ({"prompts": PROMPTS[:1]}, "begun with prompts"),
        ):
            with pytest.raises(InputError, match=said):
                list(run(replace(settings, **changes)))
        (settings.place / "begun.json").write_text("{")
        with pytest.raises(InputError, match="damaged"):
            list(run(settings))


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"rank": 0}, "rank: 0"),
            ({"steps": 0}, "steps: 0"),
            ({"batch": True}, "batch: True"),
            ({"walks": 10**6}, "walks"),
            ({"learning_rate": 0.0}, "learning_rate"),
            ({"minutes": -1.0}, "minutes"),
            ({"layout": "a1111"}, "layout: 'a1111'"),
            ({"out": Path("a.pt")}, "ends in .safetensors"),
            ({"prompts": ()}, "prompts: none"),
            ({"goal": Goal("erase", "hat")}, "learns from the concept alone"),
            ({"goal": Goal("slider", "hat"), "full": True}, "full: given for a slider"),
            ({"goal": replace(MUSTACHE, any_scale=True), "full": True}, "full: given with any_scale"),
            ({"prompts": ("a AND b",)}, "prompts: 'a AND b' is more than one condition"),
            ({"goal": Goal("negative", "[a:b:0.5]", 3.0)}, "negative: .* is more than one condition"),
            ({"goal": Goal("negative", PROMPTS[2], 3.0), "prompts": PROMPTS[2:]}, "changes nothing"),
            ({"model": "exact"}, "has nothing that could learn"),
            ({"device": "abacus"}, "device"),
            ({"dtype": "float16"}, "dtype: 'float16'"),
        ],
    )
    def test_settings(self, folder: Path, tmp_path: Path, changes: dict, said: str) -> None:
        with pytest.raises(InputError, match=said):
            list(run(few(folder, tmp_path / "a.safetensors", **changes)))
        assert not list(tmp_path.glob("*.safetensors"))

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            (("erase", " "), "erase: "),
            (("slider", "x", 3.0), "scale: 3 was given"),
            (("negative", "x", 1.0), "prompt alone"),
            (("slider", "x", None, True), "any_scale"),
        ],
    )
    def test_goals(self, values: tuple, said: str) -> None:
        with pytest.raises(InputError, match=said):
            Goal(*values)
        with pytest.raises(InputError, match="from -1000 to 1000"):
            Goal("negative", "x", 1e4)

    def test_places_that_cannot_be_written(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "there.safetensors").write_text("mine")
        (tmp_path / "file").write_text("")
        for out, place, said in (
            (tmp_path / "none" / "a.safetensors", None, "there is no folder"),
            (tmp_path / "there.safetensors", None, "is there already"),
            (tmp_path / "a.safetensors", tmp_path / "file", "folder: .* cannot be written"),
        ):
            with pytest.raises(OutputError, match=said):
                list(run(few(folder, out, folder=place)))
        assert (tmp_path / "there.safetensors").read_text() == "mine"

    @pytest.mark.parametrize(("name", "full"), [("a.safetensors", False), ("v1.5", True)])
    def test_a_page_that_is_there_is_not_lost(self, folder: Path, tmp_path: Path, name: str, full: bool) -> None:
        settings = few(folder, tmp_path / name, full=full, walks=1, pictures=1)
        page = tmp_path / ("v1.5.md" if full else "a.md")
        page.write_text("mine")
        with pytest.raises(OutputError, match=r"\.md' is there already; allowed: a new name, or --overwrite"):
            list(run(settings))
        assert page.read_text() == "mine" and [one.name for one in tmp_path.iterdir()] == [page.name]
        assert baked(replace(settings, overwrite=True)).card == page and page.read_text() != "mine"
        baked(settings)  # over the page that is its own

    def test_places_that_no_unet_can_have(self, folder: Path, tmp_path: Path) -> None:
        settings = few(folder, tmp_path / "unet", full=True, walks=1, pictures=1)
        (tmp_path / "file").write_text("mine")
        settings.out.mkdir()
        (settings.out / "config.json").write_text("{}")
        for changes, said in (
            ({"out": tmp_path / "none" / "unet"}, "there is no folder"),
            ({}, "is there already; allowed: a new name, or --overwrite"),
            ({"out": tmp_path / "file", "overwrite": True}, "is a file; allowed: a folder"),
            ({"out": tmp_path, "overwrite": True}, "holds more than a U-Net"),
        ):
            with pytest.raises(OutputError, match=said):
                list(run(replace(settings, **changes)))
        assert baked(replace(settings, overwrite=True)).out == settings.out
        UNet2DConditionModel.from_pretrained(settings.out)

    @pytest.mark.parametrize("room", [100, 150_000])
    def test_no_room_for_a_unet_leaves_the_earlier_one(self, folder: Path, tmp_path: Path, room: int) -> None:
        settings, limits = few(folder, tmp_path / "unet", full=True, pictures=1), resource.getrlimit(resource.RLIMIT_FSIZE)
        baked(settings)
        before = {file.name: file.read_bytes() for file in settings.out.iterdir()}
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            with pytest.raises(OutputError, match=r"out: .* could not be written"):
                list(run(settings))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert {file.name: file.read_bytes() for file in settings.out.iterdir()} == before
        assert {file.name for file in tmp_path.iterdir()} == {"unet", "unet.md", "unet-training"}

    def test_a_full_disk(self, folder: Path, tmp_path: Path) -> None:
        settings, limits = few(folder, tmp_path / "a.safetensors"), resource.getrlimit(resource.RLIMIT_FSIZE)
        for room in (2_000, 200_000):  # for the walks, then for what is learned
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
            try:
                with pytest.raises(OutputError, match=r"folder: .* could not be written: "):
                    list(run(settings))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert baked(settings).out.is_file()


class TestCommand:
    def call(self, *given: object):
        return CliRunner().invoke(app, ["bake", *map(str, given)])

    def test_bake(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "prompts.txt").write_text("portrait of a man\n\na hat\n")
        small = ["--steps", 2, "--walks", 2, "--rank", 2, "--batch", 2, "--pictures", 1, "--device", "cpu", "--model", folder]
        what = [
            "--negative",
            "mustache",
            "--scale",
            3,
            "--prompts",
            tmp_path / "prompts.txt",
            "--out",
            tmp_path / "a.safetensors",
        ]
        said = self.call(*what, *small, "--layout", "kohya")
        assert said.exit_code == 0, said.output
        assert "| baked |" in said.output and (tmp_path / "a.safetensors").is_file() and (tmp_path / "a.md").is_file()

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ([], "none was given; allowed: one of"),
            (["--negative", "a", "--erase", "b"], "negative and erase"),
            (["--negative", "a", "--full", "--rank", "3"], "full: given with rank"),
            (["--negative", "a", "--steps", "3", "--minutes", "1"], "minutes: given with steps"),
            (["--negative", "a:0.5"], "'a:0.5' has a weight, or a window"),
            (["--negative", "a:1:0.2:0.8"], "'a:1:0.2:0.8' has a weight, or a window"),
            (["--negative", "a", "--scale", "1"], "prompt alone"),
            (["--slider", "a", "--scale", "3"], "scale: 3 was given"),
            (["--negative", "a", "--prompts", "nowhere.txt"], "could not be read"),
            (["--negative", "a", "--prompts", "{empty}"], "holds none"),
        ],
    )
    def test_refused(self, tmp_path: Path, given: list[str], said: str) -> None:
        (tmp_path / "empty.txt").write_text("\n \n")
        given = [str(tmp_path / "empty.txt") if one == "{empty}" else one for one in given]
        found = self.call(*given, "--out", tmp_path / "a.safetensors")
        assert isinstance(found.exception, InputError) and said in str(found.exception), found.exception
