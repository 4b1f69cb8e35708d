"""Texts as the encoder reads them: chunks, weights, clauses and schedules, against the encoder called by hand."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor

import negativa
from negativa import InputError, Negative, Recipe, Studio
from negativa.denoisers.emphasis import weighed
from negativa.denoisers.exact import Exact
from negativa.exact import COMPASS
from negativa.language import infotext
from negativa.plain.conditions import Words
from negativa.sampling.passes import passes_of
from negativa.sampling.walk import walk

BASE = Recipe("portrait of a man", seed=3, steps=4, sampler="ddim", scale=5.0)


def encoded(studio: Studio, tokens: list[int]) -> Tensor:
    """One chunk by hand: start, tokens, end, filled up."""
    known = studio.denoiser.tokenizer
    row = [known.bos_token_id, *tokens, known.eos_token_id]
    row += [known.pad_token_id] * (77 - len(row))
    with torch.no_grad():
        return studio.denoiser.text_encoder(torch.tensor([row])).last_hidden_state[0]


def tokens(studio: Studio, text: str) -> list[int]:
    return studio.denoiser.tokenizer(text, add_special_tokens=False).input_ids


def states(studio: Studio, text: str, emphasis=None, room: int = 1) -> Tensor:
    """What the model makes of a prompt."""
    recipe = Recipe(text, emphasis=emphasis)
    ((one, _),) = passes_of(recipe)["positive"]
    return studio.denoiser.told([one.condition], room, (16, 16))[0][0]


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


class TestChunks:
    def test_a_long_text_is_read_to_its_end(self, studio) -> None:
        text = " ".join(["hat", "man"] * 60)
        ids = tokens(studio, text)
        assert 75 < len(ids) <= 150 and not studio.generate(BASE.replace(prompt=text)).receipt.notices
        close(states(studio, text), torch.cat([encoded(studio, ids[:75]), encoded(studio, ids[75:])]))

    @pytest.mark.parametrize(("before", "near"), [(60, True), (50, False)])
    def test_a_cut_moves_back_to_a_comma_that_is_near(self, studio, before: int, near: bool) -> None:
        (hat,), (comma,) = tokens(studio, "hat")[-1:], tokens(studio, ",")
        text = "hat " * before + ", " + "hat " * 40
        ids = tokens(studio, text)
        place = ids.index(comma) + 1 if near else 75
        assert ids.count(hat) == before + 40
        close(states(studio, text), torch.cat([encoded(studio, ids[:place]), encoded(studio, ids[place:])]))

    def test_break_begins_a_chunk(self, studio) -> None:
        parts = [encoded(studio, tokens(studio, text)) for text in ("hat", "man")]
        close(states(studio, "hat BREAK man"), torch.cat(parts))

    def test_the_shorter_text_is_filled_up_with_the_empty_one(self, studio) -> None:
        close(states(studio, "hat", room=2), torch.cat([encoded(studio, tokens(studio, "hat")), encoded(studio, [])]))

    def test_long_and_short_recipes_run_side_by_side(self, studio) -> None:
        mixed = [BASE, BASE.replace(negative="hat " * 100), BASE.replace(prompt="hat BREAK man BREAK house", negative="hat")]
        together = {one.index: one.latents for one in studio.generate_many(mixed)}
        for index, recipe in enumerate(mixed):
            torch.testing.assert_close(studio.generate(recipe).latents, together[index], rtol=0, atol=1e-3)

    def test_what_even_sixteen_chunks_do_not_hold_is_said(self, studio) -> None:
        notice = studio.generate(BASE.replace(prompt="hat " * 1300, steps=1)).receipt.notices[0]
        assert notice.startswith("prompt: the text is longer than the model reads; cut: 'hat hat")


class TestWeights:
    @pytest.fixture(scope="class")
    def lifted(self, folder: Path) -> Studio:
        """An encoder whose last norm has learned a bias, as those of trained models have: what it says has a mean."""
        studio = negativa.load(str(folder), device="cpu")
        studio.denoiser.text_encoder.final_layer_norm.bias.data += 0.1
        return studio

    def test_one_is_bitwise_no_weight(self, studio) -> None:
        assert torch.equal(states(studio, "a man, (hat:1.0)"), states(studio, "a man, hat"))
        one, other = (studio.generate(BASE.replace(negative=text)).latents for text in ("(hat:1)", "hat"))
        assert torch.equal(one, other)

    def test_three_kinds_by_hand(self, lifted) -> None:
        ids = [tokens(lifted, text) for text in ("a man,", "hat")]
        z, empty = encoded(lifted, ids[0] + ids[1]), encoded(lifted, [])
        weights = torch.ones(77, 1)
        weights[1 + len(ids[0]) : 1 + len(ids[0]) + len(ids[1])] = 1.4
        close(states(lifted, "a man, (hat:1.4)", "no-norm"), z * weights)
        close(states(lifted, "a man, (hat:1.4)"), z * weights * z.mean() / (z * weights).mean())
        close(states(lifted, "a man, (hat:1.4)", "comfy"), empty + weights * (z - empty))

    @pytest.mark.parametrize("at", [0.0, 1.0])
    def test_nothing_jumps(self, studio, lifted, at: float) -> None:
        """Nor where the mean that is to be restored is zero but for rounding, as that of an untrained encoder."""
        for emphasis, model in itertools.product(("original", "no-norm", "comfy"), (studio, lifted)):
            near, there = (states(model, f"man (hat:{weight})", emphasis) for weight in (at + 1e-4, at))
            assert (near - there).abs().max() < 1e-2

    def test_the_syntax_decides_what_weights_do(self, studio) -> None:
        recipe = BASE.replace(prompt="man (hat:1.4)")
        by_syntax = {syntax: studio.generate(recipe.replace(syntax=syntax)) for syntax in ("a1111", "comfy", "plain")}
        assert [one.receipt.recipe.emphasis for one in by_syntax.values()] == ["original", "comfy", "original"]
        assert all(not torch.equal(a.latents, b.latents) for a, b in itertools.combinations(by_syntax.values(), 2))

    def test_a_model_without_weights_refuses_them(self) -> None:
        with pytest.raises(InputError, match=r"prompt: weights or breaks were given; the model .* allows none"):
            Studio(Exact(COMPASS)).generate(Recipe("(north:1.2)"))


class TestClauses:
    def ends(self, studio, **change) -> Tensor:
        return studio.generate(BASE.replace(steps=1, **change)).latents  # DDIM's one step is affine in the prediction

    def test_and_adds_what_each_clause_adds_to_the_baseline(self, studio) -> None:
        together = self.ends(studio, prompt="man:0.7 AND hat:0.8", negative="house")
        first, second = (self.ends(studio, prompt=text, negative="house") for text in ("man", "hat"))
        base = self.ends(studio, prompt="house", rule="none")
        close(together, base + 0.7 * (first - base) + 0.8 * (second - base))

    @pytest.mark.parametrize(
        "change", [{"scale": 1.0}, {"rule": "none"}, {"window": (0, 0)}, {"wrappers": ("interval:low=1e5:high=1e6",)}]
    )
    def test_where_no_negative_acts_it_is_measured_from_nothing(self, studio, change: dict[str, Any]) -> None:
        recipe = BASE.replace(prompt="man AND hat", **change)
        alone, made = studio.generate(recipe), studio.generate(recipe.replace(negative="house"))
        assert torch.equal(alone.latents, made.latents) and alone.receipt.rows_asked == made.receipt.rows_asked
        assert "the negative 'house' has no effect" in " ".join(made.receipt.notices)

    def test_a_rule_from_nothing_adds_its_clauses_to_nothing(self, studio) -> None:
        together = self.ends(studio, prompt="man:0.7 AND hat:0.8", negative="house", rule="composable", scale=2.0)
        first, second, away, u = (self.ends(studio, prompt=text, rule="none") for text in ("man", "hat", "house", ""))
        close(together, u + 2 * (0.7 * (first - u) + 0.8 * (second - u)) - 2 * (away - u))

    def test_in_a_negative_it_is_measured_from_nothing(self, studio) -> None:
        together = studio.generate(BASE.replace(negative="glasses AND hat:0.5"))
        apart = studio.generate(BASE.replace(negative=("glasses", Negative("hat", 0.5))))
        torch.testing.assert_close(together.latents, apart.latents, rtol=0, atol=1e-3)
        assert together.receipt.rows_asked == 4 * BASE.steps

    def test_clauses_whose_weights_sum_to_one_cost_no_baseline(self, studio) -> None:
        made = studio.generate(BASE.replace(prompt="man:0.5 AND hat:0.5", rule="none"))
        assert made.receipt.rows_asked == 2 * BASE.steps

    def test_inside_attention_every_clause_hears_the_negative(self, studio) -> None:
        recipe = BASE.replace(prompt="man:0.5 AND hat:0.5", rule="nag", scale=1.0)
        plain, steered = studio.generate(recipe), studio.generate(recipe.replace(negative="house AND mustache:0.5"))
        assert steered.receipt.rows_asked == plain.receipt.rows_asked and not torch.equal(plain.latents, steered.latents)


class TestSchedules:
    def asked(self, recipe: Recipe) -> list[set[str]]:
        """The texts of every step."""
        asks = walk(recipe, (4, 4, 4), {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012})
        ask, found = next(asks), []
        try:
            while True:
                found.append({one.condition.text for one in ask.passes.values() if isinstance(one.condition, Words)})
                ask = asks.send(dict.fromkeys(ask.passes, torch.zeros(4, 4, 4)))
        except StopIteration:
            return found

    def test_every_step_has_its_text(self) -> None:
        recipe = BASE.replace(prompt="[oak:pine:0.5]", negative="[hat|man]")
        assert self.asked(recipe) == [{"oak", "hat"}, {"oak", "man"}, {"pine", "hat"}, {"pine", "man"}]

    def test_what_texts_have_in_common_runs_once(self, studio) -> None:
        recipes = [BASE.replace(prompt=text) for text in ("oak", "[oak:pine:0.5]")]
        made = sorted(studio.generate_many(recipes), key=lambda one: one.index)
        assert made[1].receipt.rows_run == 1 + 2  # "pine" in the third step, where nothing is still shared; both in the fourth
        assert not torch.equal(made[0].latents, made[1].latents)

    def test_plain_takes_every_sign_as_it_stands(self) -> None:
        assert self.asked(BASE.replace(prompt="[oak:pine:0.5] AND (x:2)", syntax="plain", scale=1.0))[0] == {
            "[oak:pine:0.5] AND (x:2)"
        }


class TestEmbeddings:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """Three vectors in the layout of most published negatives."""
        path = tmp_path / "embeddings" / "badhat.safetensors"
        path.parent.mkdir()
        save_file({"emb_params": torch.randn(3, 32, generator=torch.Generator().manual_seed(1))}, path)
        return path

    def test_a_file_is_a_word_of_negatives_and_equals_diffusers(self, file: Path, folder: Path) -> None:
        recipe = BASE.replace(negative="badhat, glasses")
        made = negativa.load(str(folder), embeddings=file.parent).generate(recipe)
        pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
        pipeline.load_textual_inversion(str(file), token="badhat")
        pipeline.set_progress_bar_config(disable=True)
        noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(recipe.seed))
        wanted = pipeline(
            recipe.prompt,
            negative_prompt=recipe.negative[0].condition,
            num_inference_steps=recipe.steps,
            guidance_scale=recipe.scale,
            latents=noise,
            output_type="latent",
        )
        torch.testing.assert_close(made.latents, wanted.images[0], rtol=0, atol=1e-4)
        assert not made.receipt.notices
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        assert made.receipt.embeddings == {"badhat": digest}
        assert infotext.read(infotext.write(made.receipt)).settings["TI hashes"] == f"badhat: {digest}"

    def test_weights_act_on_it_and_chunks_never_part_it(self, file: Path, folder: Path) -> None:
        studio = negativa.load(str(folder), embeddings=file)
        plain, weighted = (studio.generate(BASE.replace(negative=text)).latents for text in ("<badhat>", "(<badhat>:0.5)"))
        assert not torch.equal(plain, weighted)
        written, _ = studio.denoiser.shelf.written("hat " * 73 + "<badhat>")
        chunks = studio.denoiser._texts.chunks([[(written, 1.0)]])
        assert [len(chunk) for chunk in chunks] == [73, 3]

    @pytest.mark.parametrize(
        ("comfy", "ours"),
        [
            ("glasses, embedding:badhat, hat", "glasses, <badhat>, hat"),
            ("(embedding:badhat.safetensors:1.3) hat", "(<badhat>:1.3) hat"),
            ("hat embedding:some/badhat.", "hat <badhat>."),
        ],
    )
    def test_comfys_word_for_it_is_read_whole(self, file: Path, folder: Path, comfy: str, ours: str) -> None:
        studio = negativa.load(str(folder), embeddings=file)
        made, wanted = (studio.generate(BASE.replace(negative=text, syntax="comfy")) for text in (comfy, ours))
        assert torch.equal(made.latents, wanted.latents) and [*made.receipt.embeddings] == ["badhat"]
        assert not made.receipt.notices

    def test_comfys_word_for_none_is_said_to_be_unknown(self, studio) -> None:
        recipe = BASE.replace(negative="embedding:badhat", syntax="comfy", steps=1)
        assert any("does not know the token '<badhat>'" in one for one in studio.generate(recipe).receipt.notices)

    def test_without_its_folder_it_is_said_to_be_unknown(self, folder: Path) -> None:
        notices = negativa.load(str(folder)).generate(BASE.replace(negative="<badhat>")).receipt.notices
        assert any("does not know the token '<badhat>'" in one for one in notices)

    def test_one_of_another_family_is_refused(self, tmp_path: Path, folder: Path) -> None:
        save_file({"emb_params": torch.zeros(2, 768)}, tmp_path / "wide.safetensors")
        with pytest.raises(InputError, match="wide"):
            negativa.load(str(folder), embeddings=tmp_path).generate(BASE.replace(negative="wide"))
        with pytest.raises(InputError, match="embeddings: they were given with 'exact'"):
            negativa.load("exact", embeddings=tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_mean_of_rounding_is_not_restored(dtype: torch.dtype) -> None:
    z = torch.nn.functional.layer_norm(torch.randn(77, 192, generator=torch.Generator().manual_seed(0)), (192,))
    weights = [1.0, 1.0, 1.4]
    exact, half = (weighed(one, weights, "original", lambda: z) for one in (z, z.to(dtype)))
    torch.testing.assert_close(half.float(), exact, rtol=2e-2, atol=2e-2)
    shifted = z + 0.01  # a mean of its own is restored, in half precision too
    exact, half = (weighed(one, weights, "original", lambda: z) for one in (shifted, shifted.to(dtype)))
    assert float(half.float().mean()) == pytest.approx(float(shifted.mean()), rel=0.05)
