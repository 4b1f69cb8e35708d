"""LoRA and embedding files of a recipe: as diffusers loads them, in one pass and not in the next, or a sentence why not."""

from __future__ import annotations

import json
import pickle
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from typer.testing import CliRunner

import negativa
from negativa import InputError, Recipe
from negativa.apps.cli.main import app
from negativa.denoisers.loras import rack
from negativa.language import infotext
from tests import lora_files, test_parity
from tests.conftest import tiny_pipeline
from tests.test_sdxl import theirs_of, tiny_xl

BASE = Recipe("portrait of a man", "mustache", seed=7, steps=3, scale=4.0, sampler="ddim")


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def pair(pipeline: StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory):
    """Our studio and diffusers' pipeline on the same files."""
    path = tmp_path_factory.mktemp("lora") / "model"
    pipeline.save_pretrained(path)
    theirs = StableDiffusionPipeline.from_pretrained(path)
    theirs.set_progress_bar_config(disable=True)
    return negativa.load(str(path)), theirs


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("lora-xl")
    tiny_xl(path / "words").save_pretrained(path / "model")
    return negativa.load(str(path / "model")), theirs_of(path / "model")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of both networks of the small pipelines, which have one shape."""
    state = lora_files.of(tiny_pipeline("epsilon"), ["unet", "text_encoder"])
    return lora_files.write(tmp_path_factory.mktemp("files") / "style.safetensors", state)


def check_parity(pair, recipe: Recipe) -> None:
    """Equal to diffusers with the same files, and not to the picture without."""
    studio, pipeline = pair
    for i, (path, _) in enumerate(recipe.loras):
        pipeline.load_lora_weights(path, adapter_name=f"lora-{i}")
    pipeline.set_adapters([f"lora-{i}" for i in range(len(recipe.loras))], [weight for _, weight in recipe.loras])
    try:
        wanted = test_parity.expected(pipeline, recipe)
    finally:
        pipeline.unload_lora_weights()
    found = studio.generate(recipe).latents
    same(found, wanted)
    assert (found - studio.generate(recipe.replace(loras=())).latents).abs().max() > 0.01


class TestParity:
    @pytest.mark.parametrize("parts", [["unet"], ["text_encoder"], ["unet", "text_encoder"]])
    @pytest.mark.parametrize("alpha", [None, 1.5])
    def test_latents_equal_the_pipelines(self, pair, tmp_path: Path, parts: list[str], alpha: float | None) -> None:
        path = lora_files.write(tmp_path / "a.safetensors", lora_files.of(pair[1], parts), alpha)
        check_parity(pair, BASE.replace(loras=((path, 0.7),)))

    def test_several_and_weights_below_zero(self, pair, file: Path, tmp_path: Path) -> None:
        other = lora_files.write(tmp_path / "b.safetensors", lora_files.of(pair[1], ["unet"], rank=2, seed=1), 4.0)
        check_parity(pair, BASE.replace(loras=((file, 0.5), (other, -0.8))))

    @pytest.mark.parametrize("alpha", [None, 2])
    def test_xl(self, xl, tmp_path: Path, alpha: float | None) -> None:
        state = lora_files.of(xl[1], ["unet", "text_encoder", "text_encoder_2"])
        path = lora_files.write(tmp_path / "a.safetensors", state, alpha)
        check_parity(xl, BASE.replace(loras=((path, 0.6),)))

    def test_the_scale_that_peft_writes(self, pair, tmp_path: Path) -> None:
        config = {"r": 3, "lora_alpha": 6.0, "target_modules": list(lora_files.UNET), "use_dora": False, "lora_bias": False}
        config |= {"alpha_pattern": {"attn1.to_q": 1.5}, "rank_pattern": {}}
        state = lora_files.of(pair[1], ["unet"])
        metadata = {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in config.items()})}
        path = lora_files.write(tmp_path / "a.safetensors", state, metadata=metadata)
        check_parity(pair, BASE.replace(loras=path))


class TestRuns:
    def test_the_network_is_what_it_was(self, studio, file: Path) -> None:
        denoiser = studio.denoiser
        networks = (denoiser.unet, denoiser.text_encoder)
        before = [{key: value.clone() for key, value in one.state_dict().items()} for one in networks]
        studio.generate(BASE.replace(loras=(file,)))
        after = [one.state_dict() for one in networks]
        for old, new in zip(before, after, strict=True):
            assert old.keys() == new.keys() and all(torch.equal(old[key], new[key]) for key in old)

    def test_changed_weights_lie_in_memory_as_the_others_do(self, studio, file: Path) -> None:
        unet, loras = studio.denoiser.unet, studio.denoiser.loras
        before = {name: (one.detach(), one.stride()) for name, one in unet.named_parameters()}
        with loras.put(((str(file), 1.0),)):
            now = dict(unet.named_parameters())
            assert any(not torch.equal(now[name], one) for name, (one, _) in before.items())
            assert all(now[name].stride() == stride for name, (_, stride) in before.items())

    @pytest.mark.parametrize(("parts", "again"), [(["unet"], False), (["unet", "text_encoder"], True)])
    def test_texts_are_encoded_again_where_their_encoder_changes(self, studio, tmp_path: Path, parts, again: bool) -> None:
        file = lora_files.write(tmp_path / "a.safetensors", lora_files.of(tiny_pipeline("epsilon"), parts))
        studio.generate(BASE)
        read: list[int] = []
        counting = studio.denoiser.text_encoder.register_forward_hook(lambda *_: read.append(1))
        studio.generate(BASE.replace(loras=(file,)))
        counting.remove()
        assert bool(read) == again

    def test_weight_0_is_the_run_without(self, studio, file: Path) -> None:
        without, zero = studio.generate(BASE), studio.generate(BASE.replace(loras=((file, 0),)))
        assert torch.equal(without.latents, zero.latents)
        assert zero.receipt.notices == (f"the LoRA {str(file)!r} has no effect: its weight is 0",)
        assert zero.receipt.loras == {}

    def test_recipes_with_and_without_run_side_by_side(self, studio, file: Path) -> None:
        recipes = [BASE.replace(loras=loras) for loras in ((), ((file, 0.5),), ((file, 0.5),), ((file, 1.0),))]
        alone = [studio.generate(one).latents for one in recipes]
        together = sorted(studio.generate_many(recipes), key=lambda one: one.index)
        for one, wanted in zip(together, alone, strict=True):
            same(one.latents, wanted)
        assert [one.receipt.rows_run for one in together] == [6, 6, 0, 6]

    @pytest.mark.parametrize("rule", ["nag", "pag", "none"])
    def test_with_rules_that_change_the_network_too(self, studio, file: Path, rule: str) -> None:
        recipe = BASE.replace(loras=(file,), rule=rule)
        found = studio.generate(recipe).latents
        assert (found - studio.generate(recipe.replace(loras=())).latents).abs().max() > 0.01
        assert torch.equal(found, studio.generate(recipe).latents)

    def test_receipt_infotext_and_recipe_say_it(self, studio, file: Path) -> None:
        receipt = studio.generate(BASE.replace(loras=((file, -1.5),))).receipt
        assert receipt.recipe.loras == ((str(file), -1.5),) and list(receipt.loras) == [str(file)]
        assert infotext.read(infotext.write(receipt)).settings["Lora hashes"] == f"style: {receipt.loras[str(file)]}"
        assert Recipe.from_json(receipt.recipe.to_json()) == receipt.recipe
        assert Recipe(loras={"a.safetensors": 2}) == Recipe(loras=[["a.safetensors", 2.0]]) != Recipe(loras="a.safetensors")

    def test_the_receipt_holds_each_of_two_files_of_one_name(self, studio, file: Path, tmp_path: Path) -> None:
        other = lora_files.write(tmp_path / file.name, lora_files.of(tiny_pipeline("epsilon"), ["unet"], seed=1))
        receipt = studio.generate(BASE.replace(loras=(file, other))).receipt
        assert [*receipt.loras] == [str(file), str(other)] and len(set(receipt.loras.values())) == 2


class TestMemory:
    @pytest.fixture
    def merged(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """One entry for every pair of matrices that is put into a weight, where there is no room to keep any."""
        counted, product = list[int](), rack._product
        monkeypatch.setattr(rack, "KEPT", 0)
        monkeypatch.setattr(rack, "_product", lambda *given: counted.append(1) or product(*given))
        return counted

    def test_what_is_too_large_to_be_kept_is_made_once_for_all_steps(self, merged, folder: Path, file: Path) -> None:
        studio = negativa.load(str(folder))
        each = len(load_file(file)) // 2
        with_it, without = BASE.replace(loras=(file,)), BASE
        list(studio.generate_many([with_it, without]))
        assert len(merged) == each
        away = BASE.replace(rule="autoguidance", loras=(file,), weaker=((file, 0.5),))
        studio.generate(away)
        assert len(merged) == 2 * each
        studio.generate(BASE.replace(loras=((file, 0.7),)))
        studio.generate(away)
        assert 3 * each < len(merged) <= 5 * each  # there is no room for three

    def test_weights_are_changed_one_after_another(self, folder: Path, file: Path) -> None:
        class Watched(TorchDispatchMode):
            """Counts the bytes of float32 that are held, and the most there were."""

            held = most = 0

            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                made = func(*args, **(kwargs or {}))
                if isinstance(made, Tensor) and made.dtype == torch.float32:
                    self.held += made.nbytes
                    self.most = max(self.most, self.held)
                    weakref.finalize(made, self.dropped, made.nbytes)
                return made

            def dropped(self, size: int) -> None:
                self.held -= size

        denoiser = negativa.load(str(folder), dtype="bfloat16").denoiser
        denoiser.lora(str(file))
        layers = [one for part in (denoiser.unet, denoiser.text_encoder) for one in part.modules()]
        largest = max(one.weight.numel() for one in layers if isinstance(one, nn.Linear | nn.Conv2d))
        with Watched() as watched, denoiser.loras.put(((str(file), 1.0),)):
            pass
        assert 0 < watched.most <= 6 * 4 * largest


class TestRefused:
    @pytest.mark.parametrize(
        ("loras", "sentence"),
        [
            ((("a", 11),), "from -10 to 10"),
            ((("a", "b", "c"),), "a file and its weight"),
            (5, "files, each with its weight"),
            (((3, 1.0),), "path of a file"),
        ],
    )
    def test_recipes(self, loras, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            Recipe(loras=loras)

    def refused(self, studio, path: Path, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence) as caught:
            studio.generate(BASE.replace(loras=(path,)))
        assert str(caught.value).startswith("lora: ") and "\n" not in str(caught.value)

    def test_files(self, studio, file: Path, tmp_path: Path) -> None:
        self.refused(studio, tmp_path / "none.safetensors", "no file here")
        (tmp_path / "a.pt").write_bytes(pickle.dumps({}))
        self.refused(studio, tmp_path / "a.pt", "pickle")
        (tmp_path / "a.txt").write_text("")
        self.refused(studio, tmp_path / "a.txt", "ends in .safetensors")
        (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-40])
        self.refused(studio, tmp_path / "cut.safetensors", "damaged")

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"foo.bar": torch.ones(2, 2)}, "'foo.bar', which is no LoRA's"),
            ({"unet.conv_in.lora_A.weight": torch.ones(2, 4, 3, 3)}, "not one of a pair"),
            ({"unet.x.lora_A.weight": torch.ones(1, 4), "unet.x.lora_B.weight": torch.ones(4, 1)}, "unet.x.*not there"),
            ({"unet.conv_in.lora_magnitude_vector": torch.ones(4)}, "DoRA"),
            ({"unet.conv_in.lora_A.weight": torch.full((2, 4, 3, 3), torch.nan)}, "no finite numbers"),
            (
                {"text_encoder_2.a.lora_A.weight": torch.ones(1, 4), "text_encoder_2.a.lora_B.weight": torch.ones(4, 1)},
                "another",
            ),
        ],
    )
    def test_what_is_inside(self, studio, file: Path, tmp_path: Path, changes: dict[str, Tensor], sentence: str) -> None:
        save_file(load_file(file) | changes, tmp_path / "a.safetensors")
        self.refused(studio, tmp_path / "a.safetensors", sentence)

    def test_another_family(self, studio, xl, file: Path, tmp_path: Path) -> None:
        path = lora_files.write(tmp_path / "xl.safetensors", lora_files.of(xl[1], ["unet"]))
        self.refused(studio, path, "for another model.*Stable Diffusion 1.x or 2.x")
        with pytest.raises(InputError, match=r"for another model.*Stable Diffusion XL"):
            xl[0].generate(BASE.replace(loras=(file,)))
        with pytest.raises(InputError, match="has no weights"):
            negativa.load("exact").generate(Recipe("north", steps=2, loras=(file,)))


class TestEmbeddings:
    @pytest.fixture
    def words(self, tmp_path: Path) -> list[Path]:
        """Two files that give the same word other vectors."""
        files = [tmp_path / "wrong.safetensors", tmp_path / "placebo.safetensors"]
        for i, path in enumerate(files):
            save_file({"<wrong>": torch.randn(2, 32, generator=torch.Generator().manual_seed(i))}, path)
        return files

    def test_each_recipe_reads_its_own(self, studio, words: list[Path]) -> None:
        base = BASE.replace(negative="<wrong>")
        arms = [base, *(base.replace(embeddings=(one,)) for one in words)]
        made = sorted(studio.generate_many(arms), key=lambda one: one.index)
        for one, arm in zip(made, arms, strict=True):
            fresh = negativa.load(studio.denoiser.name)
            same(one.latents, fresh.generate(arm.replace(model=None)).latents)
        assert len({one.receipt.embeddings.get("wrong") for one in made}) == 3
        assert len({one.receipt.latents_hash for one in made}) == 3

    def test_a_file_whose_word_is_not_said(self, studio, words: list[Path]) -> None:
        notices = studio.generate(BASE.replace(embeddings=(words[0],))).receipt.notices
        assert notices == (f"embeddings: no text says a word of {str(words[0])!r}; it has no effect",)

    def test_refused(self, studio, words: list[Path], tmp_path: Path) -> None:
        with pytest.raises(InputError, match="there is no"):
            studio.generate(BASE.replace(embeddings=(tmp_path / "none.safetensors",)))
        with pytest.raises(InputError, match="a model that reads words"):
            negativa.load("exact").generate(Recipe("north", steps=2, embeddings=(words[0],)))
        with pytest.raises(InputError, match="path of a file"):
            Recipe(embeddings=(3,))


class TestWrittenAnew:
    """A studio that lives on reads again what was trained again meanwhile."""

    def check(self, studio, recipe: Recipe, folder: Path, rewrite: Callable[[], object], **loading: Any) -> None:
        before = studio.generate(recipe)
        rewrite()
        after, fresh = studio.generate(recipe), negativa.load(str(folder), **loading).generate(recipe)
        same(after.latents, fresh.latents)
        assert (after.latents - before.latents).abs().max() > 0.01
        assert (after.receipt.loras, after.receipt.embeddings) == (fresh.receipt.loras, fresh.receipt.embeddings)

    @pytest.mark.parametrize("parts", [["unet"], ["text_encoder"]])
    def test_a_lora(self, folder: Path, tmp_path: Path, parts: list[str]) -> None:
        first, second = (lora_files.of(tiny_pipeline("epsilon"), parts, seed=seed) for seed in range(2))
        path = lora_files.write(tmp_path / "a.safetensors", first)
        self.check(negativa.load(str(folder)), BASE.replace(loras=path), folder, lambda: lora_files.write(path, second))

    @pytest.mark.parametrize("own", [True, False])
    def test_an_embedding(self, folder: Path, tmp_path: Path, own: bool) -> None:
        def write(seed: int) -> None:
            vectors = torch.randn(2, 32, generator=torch.Generator().manual_seed(seed))
            save_file({"<wrong>": vectors}, tmp_path / "wrong.safetensors")

        write(0)
        loading = {} if own else {"embeddings": tmp_path}
        recipe = BASE.replace(negative="<wrong>", embeddings=(tmp_path / "wrong.safetensors",) if own else ())
        self.check(negativa.load(str(folder), **loading), recipe, folder, lambda: write(1), **loading)

    def test_a_walk_ends_with_what_it_began_with(self, folder: Path, tmp_path: Path) -> None:
        first, second = (lora_files.of(tiny_pipeline("epsilon"), ["unet"], seed=seed) for seed in range(2))
        path, studio = lora_files.write(tmp_path / "a.safetensors", first), negativa.load(str(folder))
        recipe = BASE.replace(loras=path)
        before, drawing = studio.generate(recipe), studio.stream([recipe])
        next(drawing)
        lora_files.write(path, second)
        studio.complete(recipe.replace(seed=1))  # as another thread, or a later recipe, does meanwhile
        (made,) = (event for event in drawing if isinstance(event, negativa.Result))
        assert torch.equal(made.latents, before.latents) and made.receipt.loras == before.receipt.loras
        after = studio.generate(recipe)
        assert (after.latents - before.latents).abs().max() > 0.01 and after.receipt.loras != before.receipt.loras

    def test_another_model(self, folder: Path, tmp_path: Path) -> None:
        weaker = Path(shutil.copytree(folder, tmp_path / "weaker"))
        (file,) = (weaker / "unet").glob("*.safetensors")
        recipe, changed = BASE.replace(rule="autoguidance", weaker=str(weaker)), load_file(file)
        changed["conv_out.weight"] = changed["conv_out.weight"] * 0.9
        self.check(negativa.load(str(folder)), recipe, folder, lambda: save_file(changed, file))


class TestMovingAway:
    """Autoguidance away from the same model with other LoRAs, or with the same at another weight."""

    @pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (1.0, 0.4)])
    def test_it_moves_away_from_this_model_with_other_loras(self, studio, file: Path, weights: tuple[float, float]) -> None:
        mine, theirs = (((str(file), weight),) for weight in weights)
        recipe = BASE.replace(rule="autoguidance", knobs={"share": 1.0}, steps=1, loras=mine, weaker=theirs)
        plain = recipe.replace(rule="none", knobs=(), weaker=None)
        strong, weak = (studio.generate(plain.replace(loras=one)).latents for one in (mine, theirs))
        made = studio.generate(recipe)
        same(made.latents, weak + 4.0 * (strong - weak))  # DDIM's step is affine
        assert made.receipt.rows_asked == 2 and [*made.receipt.loras] == [str(file)]

    def test_a_recipe_keeps_it(self, file: Path) -> None:
        recipe = BASE.replace(rule="autoguidance", weaker={file: 0.5})
        assert recipe.weaker == ((str(file), 0.5),) == Recipe.from_json(recipe.to_json()).weaker
        with pytest.raises(InputError, match="lora weight: 11"):
            BASE.replace(weaker=((file, 11.0),))

    def test_on_the_command_line(self, studio, file: Path, tmp_path: Path) -> None:
        out = tmp_path / "a.png"
        call = ["generate", "a hat", "--rule", "autoguidance", "--weaker", f"lora={file}:0.5", "--steps", "2"]
        said = CliRunner().invoke(app, [*call, "--model", studio.denoiser.name, "--out", str(out), "--device", "cpu"])
        assert said.exit_code == 0, said.output
        assert negativa.read(out).recipe.weaker == ((str(file), 0.5),)


class TestCommands:
    def test_generate_and_check(self, studio, file: Path, tmp_path: Path) -> None:
        settings = ["--model", studio.denoiser.name, "--rule", "none", "--lora", f"{file}:-0.5", "--lora", str(file)]
        out = tmp_path / "a.png"
        call = ["generate", "a hat", *settings, "--steps", "2", "--seed", "1", "--out", str(out), "--device", "cpu"]
        said = CliRunner().invoke(app, call)
        assert said.exit_code == 0, said.output
        assert negativa.read(out).recipe.loras == ((str(file), -0.5), (str(file), 1.0))
        said = CliRunner().invoke(app, ["check", "a hat", *settings, "--device", "cpu"])
        assert f"lora: {str(file)!r}, weight -0.5" in said.output
