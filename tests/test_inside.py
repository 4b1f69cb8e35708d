"""Rules that act inside the network: the arithmetic by hand, the published code's results, and the network as it was."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPAGPipeline, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn

import negativa
from negativa import InputError, Negative, Recipe
from negativa.denoisers.patches import PATCHES
from negativa.denoisers.patches.flip import Flip
from negativa.denoisers.patches.nag import Normalized
from negativa.denoisers.patches.nasa import Subtracted
from negativa.denoisers.patches.negtome import Merged
from negativa.denoisers.patches.ong import Orthogonal
from negativa.denoisers.patches.pag import Perturbed
from negativa.denoisers.patches.places import Company, Processor, blocks_of, inside
from negativa.denoisers.patches.plain import Plain
from negativa.denoisers.patches.seeing import Told
from negativa.denoisers.patches.seg import Smoothed, grid
from negativa.plain.conditions import Nothing, Words
from negativa.plain.passes import POSITIVE, Active, Moment
from negativa.rules import RULES
from negativa.rules.attended import Attended
from negativa.rules.worse import Worse
from negativa.sampling.passes import passes_of
from tests.conftest import tiny_pipeline

ATTENDED = [name for name, kind in RULES.items() if issubclass(kind, Attended)]
WORSE = [name for name, kind in RULES.items() if issubclass(kind, Worse) and name != "autoguidance"]
BASE = Recipe("portrait of a man", seed=7, steps=6, scale=4.0)
NO_KEY = float("-inf")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


@pytest.fixture
def block(pipeline: StableDiffusionPipeline) -> BasicTransformerBlock:
    return next(one for one in pipeline.unet.modules() if isinstance(one, BasicTransformerBlock))


def by_hand(
    attn, given: Tensor, read: Tensor, factor: Tensor | None = None, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Z before the output projection in float64, and the attention, (rows, heads, positions, tokens)."""
    with torch.no_grad():
        q, k, v = (
            layer.weight.double() @ x.double().mT for layer, x in ((attn.to_q, given), (attn.to_k, read), (attn.to_v, read))
        )
    q, k, v = (x.unflatten(1, (attn.heads, -1)) for x in (q, k, v))  # rows, heads, width, n
    logits = torch.einsum("rhdi,rhdj->rhij", q, k) / q.shape[2] ** 0.5
    weights = (logits if bias is None else logits + bias[:, None, None].double()).softmax(-1)
    read_out = weights if factor is None else weights * factor[:, None, None].double()
    return torch.einsum("rhij,rhdj->rihd", read_out, v).flatten(2), weights


def out_of(attn, z: Tensor) -> Tensor:
    with torch.no_grad():
        return z @ attn.to_out[0].weight.double().T + attn.to_out[0].bias.double()


def told(rows: Tensor) -> Told:
    return Told(list(rows))


def changed(attn, patch, company: Company, given: Tensor) -> Tensor:
    before = attn.processor
    attn.set_processor(Processor(patch.change(company)))
    with torch.no_grad():
        found = attn(given)
    attn.set_processor(before)
    return found.double()


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


class TestCrossAttention:
    """Three rows, two negatives of different weights."""

    given, prompt = drawn(3, 16, 16), drawn(3, 9, 32)
    states = (drawn(3, 9, 32, seed=1), drawn(3, 9, 32, seed=2))
    weights = torch.tensor([[1.0, 0.5, -1.0], [0.0, 2.0, 0.3]])
    words = tuple([drawn(1 + row + i, 32, seed=row) for i in range(2)] for row in range(3))
    company = Company(told(prompt), [told(states[0]), told(states[1])], words, weights, (4, 4))

    def outcomes(self, attn) -> tuple[Tensor, list[Tensor]]:
        z, *others = (by_hand(attn, self.given, read)[0] for read in (self.prompt, *self.states))
        return z, others

    def test_normalized(self, block) -> None:
        z, others = self.outcomes(block.attn2)
        pushed = z + 3.0 * sum(w.double()[:, None, None] * (z - one) for w, one in zip(self.weights, others, strict=True))
        ratio = pushed.abs().sum(-1, keepdim=True) / z.abs().sum(-1, keepdim=True)
        bounded = torch.where(ratio > 3, pushed * 3 / ratio, pushed)
        wanted = out_of(block.attn2, 0.4 * bounded + 0.6 * z)
        assert (ratio > 3).any() and (ratio < 3).any()
        close(changed(block.attn2, Normalized(3.0, 3.0, 0.4), self.company, self.given), wanted)

    def test_subtracted(self, block) -> None:
        z, others = self.outcomes(block.attn2)
        wanted = z - 0.3 * sum(w.double()[:, None, None] * one for w, one in zip(self.weights, others, strict=True))
        close(changed(block.attn2, PATCHES["nasa"](0.3), self.company, self.given), out_of(block.attn2, wanted))

    def test_orthogonal(self, block) -> None:
        z, others = self.outcomes(block.attn2)
        moved = z - 0.7 * sum(
            w.double()[:, None, None] * (one - (one * z).sum(-1, keepdim=True) / (z * z).sum(-1, keepdim=True) * z)
            for w, one in zip(self.weights, others, strict=True)
        )
        close(changed(block.attn2, PATCHES["ong"](0.7), self.company, self.given), out_of(block.attn2, moved))

    def test_flipped_rows_one_by_one(self, block) -> None:
        found = changed(block.attn2, Flip(2.0, 0.3), self.company, self.given)
        for row in range(3):
            first, second = self.words[row]
            read = torch.cat([self.prompt[row], first, second])[None]
            factor = torch.cat(
                [
                    torch.ones(9),
                    torch.full((len(first),), -2.0 * self.weights[0, row]),
                    torch.full((len(second),), -2.0 * self.weights[1, row]),
                ]
            )
            bias = torch.cat([torch.zeros(9), torch.full((len(first) + len(second),), -0.3)])
            z, _ = by_hand(block.attn2, self.given[row : row + 1], read, factor[None], bias[None])
            close(found[row : row + 1], out_of(block.attn2, z))

    @pytest.mark.parametrize("offset", [0.0, 0.8])
    def test_flipping_is_a_share_of_both(self, block, offset: float) -> None:
        """Z = W Z+ - a (1 - W) Z-, head by head."""
        attn, words = block.attn2, self.states[0]
        z, _ = by_hand(attn, self.given, self.prompt)
        away, _ = by_hand(attn, self.given, words)
        _, weights = by_hand(
            attn, self.given, torch.cat([self.prompt, words], 1), bias=torch.tensor([[0.0] * 9 + [-offset] * 9] * 3)
        )
        share = weights[..., :9].sum(-1).mT  # rows, positions, heads
        heads = [one.unflatten(-1, (attn.heads, -1)) for one in (z, away)]
        wanted = (share[..., None] * heads[0] - 1.7 * (1 - share[..., None]) * heads[1]).flatten(2)
        company = Company(told(self.prompt), [told(words)], [[one] for one in words], torch.ones(1, 3), (4, 4))
        close(changed(attn, Flip(1.7, offset), company, self.given), out_of(attn, wanted))

    @pytest.mark.parametrize("patch", [Normalized(0.0, 2.5, 0.5), Normalized(4.0, 2.5, 0.0), Subtracted(0.0), Orthogonal(0.0)])
    def test_without_strength_nothing_changes(self, block, patch) -> None:
        with torch.no_grad():
            plain = block.attn2(self.given, encoder_hidden_states=self.prompt)
        torch.testing.assert_close(changed(block.attn2, patch, self.company, self.given), plain.double(), rtol=0, atol=1e-6)

    def test_a_text_is_read_once_for_all_rows_and_steps(self, block) -> None:
        first, second = self.prompt[0], self.prompt[1]
        shared = Told([first, second, first])
        apart = told(torch.stack([first, second, first]))
        read: list[Tensor] = []
        counting = block.attn2.to_k.register_forward_hook(lambda module, given, out: read.append(given[0]))
        for own, texts in ((shared, 2), (shared, 0), (replace(shared, rows=[second, first]), 0), (apart, 3)):
            read.clear()
            changed(block.attn2, Plain(), replace(self.company, own=own), self.given[: len(own.rows)])
            assert len(read) == texts
        counting.remove()
        for patch in (Plain(), Flip(2.0, 0.3), Normalized(3.0, 3.0, 0.4)):
            found, wanted = (changed(block.attn2, patch, replace(self.company, own=own), self.given) for own in (shared, apart))
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)

    def test_no_bound_and_no_blend_is_plain_extrapolation(self, block) -> None:
        one = Company(told(self.prompt), [told(self.states[0])], [], torch.ones(1, 3), (4, 4))
        z, (away, _) = self.outcomes(block.attn2)
        close(changed(block.attn2, Normalized(3.0, 1e6, 1.0), one, self.given), out_of(block.attn2, 4 * z - 3 * away))


class TestSelfAttention:
    given = drawn(2, 6, 16)
    company = Company(told(drawn(2, 9, 32)), [], [], torch.ones(0, 2), (4, 5))  # latents of 4 x 5 are 2 x 3 inside

    def test_perturbed_positions_see_themselves_alone(self, block) -> None:
        with torch.no_grad():
            wanted = block.attn1.to_v(self.given).double()
        close(changed(block.attn1, Perturbed(), self.company, self.given), out_of(block.attn1, wanted))

    def test_a_narrow_blur_changes_nothing_a_wide_one_asks_the_mean(self, block) -> None:
        close(
            changed(block.attn1, Smoothed(0.1), self.company, self.given),
            out_of(block.attn1, by_hand(block.attn1, self.given, self.given)[0]),
        )
        mean = self.given.mean(1, keepdim=True).expand_as(self.given)
        close(
            changed(block.attn1, Smoothed(1e4), self.company, self.given),
            out_of(block.attn1, by_hand(block.attn1, mean, self.given)[0]),
        )

    def test_a_blur_weighs_by_distance(self, block) -> None:
        places = torch.tensor(list(itertools.product(range(2), range(3))), dtype=torch.float64)
        weights = (-((places[:, None] - places) ** 2).sum(-1) / 2 / 0.8**2).exp()
        blurred = (weights / weights.sum(1, keepdim=True)) @ self.given.double()
        wanted = out_of(block.attn1, by_hand(block.attn1, blurred, self.given)[0])
        close(changed(block.attn1, Smoothed(0.8), self.company, self.given), wanted)

    def test_skipped_blocks_leave_what_they_are_given(self, pipeline) -> None:
        (block,) = pipeline.unet.mid_block.attentions[0].transformer_blocks
        with inside(blocks_of(pipeline.unet), [(PATCHES["slg"](), self.company)]), torch.no_grad():
            assert torch.equal(block(self.given, encoder_hidden_states=drawn(2, 9, 32)), self.given)
            assert torch.equal(block(hidden_states=self.given, encoder_hidden_states=drawn(2, 9, 32)), self.given)

    def test_grids_of_odd_sizes(self) -> None:
        assert [grid(n, (9, 7)) for n in (63, 20, 6, 2)] == [(9, 7), (5, 4), (3, 2), (2, 1)]


class TestTokenMerging:
    def test_every_position_leaves_the_one_most_like_it_under_each_negative(self) -> None:
        own, *references = (drawn(2, 8, 4, seed=seed) for seed in (0, 5, 9))
        weights, out = torch.tensor([[1.0, 0.5], [-0.4, 2.0]]), torch.cat([own, *references])
        found = Merged(0.9, 0.2).change(Company(told(out), [], [], weights, (2, 4)))(torch.zeros_like(out), out)
        assert torch.equal(found[2:], out[2:])
        for row, position in itertools.product(range(2), range(8)):
            h = moved = own[row, position]
            for reference, weight in zip(references, weights[:, row], strict=True):
                alike = [float(h @ r / h.norm() / r.norm()) for r in reference[row]]
                best = max(range(8), key=alike.__getitem__)
                moved = moved + (0.9 * weight * (h - reference[row, best]) if alike[best] > 0.2 else 0)
            torch.testing.assert_close(found[row, position], moved, rtol=0, atol=1e-6)

    def test_a_permuted_copy_of_itself_leaves_it_as_it_is(self) -> None:
        own = drawn(1, 8, 4)
        shuffled = own[:, torch.tensor([3, 0, 6, 1, 7, 2, 5, 4])]
        found = Merged(0.9, 0.7).change(Company(told(own), [], [], torch.ones(1, 1), (2, 4)))(own, torch.cat([own, shuffled]))
        torch.testing.assert_close(found[:1], own, rtol=0, atol=1e-6)


def insides(unet: nn.Module) -> list[object]:
    """All that a patch could leave behind."""
    hooks = [tuple(one._forward_hooks) + tuple(one._forward_pre_hooks) for one in unet.modules()]
    return [hooks, [id(one) for one in unet.attn_processors.values()], {name: id(one) for name, one in unet.named_modules()}]


@pytest.mark.parametrize("rule", [*ATTENDED, *WORSE])
class TestEveryRule:
    recipe = BASE.replace(negative=("mustache", Negative("glasses, hat", 0.5, 0.2, 0.7)))

    def test_the_network_is_afterwards_what_it_was(self, studio, rule: str) -> None:
        unet = studio.denoiser.unet
        before, state = insides(unet), {name: value.clone() for name, value in unet.state_dict().items()}
        plain = studio.generate(BASE).latents
        assert not torch.equal(studio.generate(self.recipe.replace(rule=rule)).latents, plain)
        assert insides(unet) == before and all(torch.equal(value, state[name]) for name, value in unet.state_dict().items())
        assert torch.equal(studio.generate(BASE).latents, plain)

    @pytest.mark.parametrize("stopping", [RuntimeError("broken"), KeyboardInterrupt()])
    def test_also_when_the_run_ends_in_the_middle_of_the_network(self, studio, rule: str, stopping: BaseException) -> None:
        unet = studio.denoiser.unet
        before = insides(unet)
        handle = unet.conv_norm_out.register_forward_hook(_raising(stopping))
        try:
            with pytest.raises(type(stopping)):
                studio.generate(self.recipe.replace(rule=rule))
        finally:
            handle.remove()
        assert insides(unet) == before

    def test_a_cancelled_run_leaves_nothing_behind(self, studio, rule: str) -> None:
        before = insides(studio.denoiser.unet)
        events = studio.stream([self.recipe.replace(rule=rule)])
        next(events)
        events.close()
        assert insides(studio.denoiser.unet) == before

    def test_in_company_it_is_what_it_is_alone(self, studio, rule: str) -> None:
        mixed = [
            self.recipe.replace(rule=rule),
            BASE.replace(negative="mustache"),
            self.recipe.replace(rule=rule, seed=3, prompt="a house"),
        ]
        together = {one.index: one.latents for one in studio.generate_many(mixed)}
        for index, recipe in enumerate(mixed):
            torch.testing.assert_close(studio.generate(recipe).latents, together[index], rtol=0, atol=1e-3)

    def test_every_text_is_encoded_once(self, studio, rule: str) -> None:
        read: list[int] = []
        counting = studio.denoiser.text_encoder.register_forward_hook(lambda *_: read.append(1))
        studio.generate(BASE.replace(rule=rule, prompt=f"a text for {rule}", negative=f"another for {rule}", nothing="dropped"))
        counting.remove()
        assert len(read) <= 3  # those two, and the empty one

    def test_a_negative_is_heard_by_weight_and_window(self, studio, rule: str) -> None:
        full, weak, late = (Negative("mustache", weight, start) for weight, start in ((1.0, 0.0), (0.4, 0.0), (1.0, 0.15)))
        made = [studio.generate(BASE.replace(rule=rule, negative=one)) for one in (full, weak, late, ())]
        assert all(not torch.equal(a.latents, b.latents) for a, b in itertools.combinations(made, 2))
        assert not any(one.receipt.notices for one in made[:-1])


def _raising(error: BaseException) -> Callable[..., None]:
    def hook(*_: object) -> None:
        raise error

    return hook


@pytest.mark.parametrize("rule", ATTENDED)
def test_at_scale_1_negatives_still_act(studio, rule: str) -> None:
    alone = studio.generate(BASE.replace(rule="none"))
    made = studio.generate(BASE.replace(rule=rule, scale=1.0, negative="mustache"))
    assert not torch.equal(made.latents, alone.latents) and not made.receipt.notices
    references = 2 if rule == "negtome" else 0  # the first two of six steps
    assert made.receipt.rows_asked == 6 + references


@pytest.mark.parametrize("rule", ATTENDED)
def test_without_a_negative_they_are_cfg(studio, rule: str) -> None:
    torch.testing.assert_close(
        studio.generate(BASE.replace(rule=rule)).latents, studio.generate(BASE).latents, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("rule", WORSE)
def test_the_share_decides_between_cfg_and_the_worse_version_alone(studio, rule: str) -> None:
    recipe = BASE.replace(rule=rule, negative="mustache")
    cfg = studio.generate(BASE.replace(negative="mustache"))
    none = studio.generate(recipe.replace(knobs={"share": 0.0}))
    assert torch.equal(none.latents, cfg.latents) and none.receipt.rows_asked == cfg.receipt.rows_asked
    if rule != "slg":  # which is cfg after its steps
        whole = studio.generate(recipe.replace(knobs={"share": 1.0}))
        assert whole.receipt.rows_asked == 2 * recipe.steps and "does not hear it" in whole.receipt.notices[0]


@pytest.mark.parametrize(("guidance", "perturbed"), [(4.0, 3.0), (1.0, 5.0)])
def test_perturbed_attention_is_that_of_diffusers(tmp_path: Path, pipeline, guidance: float, perturbed: float) -> None:
    pipeline.save_pretrained(tmp_path)
    reference = StableDiffusionPAGPipeline.from_pretrained(
        tmp_path, pag_applied_layers=["mid"], safety_checker=None, requires_safety_checker=False
    )
    reference.set_progress_bar_config(disable=True)
    studio = negativa.load(str(tmp_path))
    recipe = Recipe(
        BASE.prompt,
        () if guidance == 1 else "mustache",
        steps=5,
        sampler="ddim",
        rule="pag",
        scale=guidance + perturbed,
        knobs={"share": perturbed / (guidance + perturbed - 1)},
    )
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    wanted = reference(
        recipe.prompt,
        negative_prompt="mustache",
        num_inference_steps=5,
        guidance_scale=guidance,
        pag_scale=perturbed,
        latents=noise,
        output_type="latent",
    ).images[0]
    torch.testing.assert_close(studio.generate(recipe).latents, wanted, rtol=0, atol=1e-4)


class TestBelowZero:
    @pytest.mark.parametrize(
        ("text", "rest", "parts"),
        [
            ("a man (mustache:-1), hat", "a man , hat", {"mustache": 1.0}),
            ("a (x y : -1.25 ) b ((z:-2))", "a  b ", {"x y": 1.25, "z": 2.2}),
            ("a man (mustache:1)", "a man mustache", {}),
        ],
    )
    def test_parts_are_taken_out(self, text: str, rest: str, parts: dict[str, float]) -> None:
        ((found, _),) = passes_of(Recipe(text))["positive"]
        assert found.condition == Words(rest)
        read = {words.text: weight for patch in found.patches for words, weight in patch.against}
        assert read == pytest.approx(parts)

    def test_nothing_else_leaves_nothing(self) -> None:
        ((found, _),) = passes_of(Recipe("(a b:-.5)"))["positive"]
        assert found.condition == Nothing("empty") and found.patches

    def test_a_part_without_a_word_is_refused(self, studio) -> None:
        with pytest.raises(InputError, match="prompt: a weight below zero stands without a word"):
            studio.generate(BASE.replace(prompt="a man ( :-1)"))

    def test_it_is_the_sign_flip_of_its_word_under_any_rule(self, studio) -> None:
        written = studio.generate(BASE.replace(prompt="portrait of a man (mustache:-1.5)"))
        flipped = studio.generate(
            BASE.replace(rule="vsf", negative=Negative("mustache", 1.5), knobs={"strength": 1.0, "offset": 0.0})
        )
        torch.testing.assert_close(written.latents, flipped.latents, rtol=0, atol=1e-5)
        assert not torch.equal(written.latents, studio.generate(BASE).latents)

    def test_a_flipped_word_weighs_as_emphasis_says(self, studio) -> None:
        given = BASE.replace(rule="vsf", negative="(mustache:1.5)")
        one, other = (studio.generate(given.replace(emphasis=kind)).latents for kind in ("original", "comfy"))
        assert not torch.equal(one, other)

    def test_in_a_negative_it_counts_for_the_word(self, studio) -> None:
        one, other = (studio.generate(BASE.replace(negative=text)).latents for text in ("glasses (hat:-1)", "glasses"))
        assert not torch.equal(one, other)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"prompt": "a man (hat:-1)", "rule": "nag", "negative": "mustache"}, "allowed without a rule like 'nag'"),
            ({"negative": "glasses (hat:-1)", "rule": "nasa"}, "reads negatives whole"),
        ],
    )
    def test_what_changes_the_same_attention_is_refused(self, studio, change: dict, words: str) -> None:
        with pytest.raises(InputError, match=words):
            studio.generate(BASE.replace(**change))

    def test_self_attention_is_another_place(self, studio) -> None:
        studio.generate(BASE.replace(prompt="a man (hat:-1)", rule="pag"))

    def test_a_model_without_attention_refuses(self) -> None:
        with pytest.raises(InputError, match="'exact' has no layers"):
            negativa.load("exact").generate(Recipe("north (south:-1)"))


class TestAutoguidance:
    @pytest.fixture
    def weaker(self, folder: Path, tmp_path: Path) -> Path:
        other = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
        with torch.no_grad():
            for value in other.unet.parameters():
                value.mul_(0.9)
        other.save_pretrained(tmp_path / "weaker")
        return tmp_path / "weaker"

    def test_it_moves_away_from_the_weaker_models_prediction(self, folder: Path, weaker: Path) -> None:
        """At share 1 the coefficients are s of the model and 1 - s of the weaker one, as if they were one network."""
        studio, other = negativa.load(str(folder)), negativa.load(str(weaker))
        recipe = BASE.replace(rule="autoguidance", weaker=str(weaker), knobs={"share": 1.0}, sampler="ddim", steps=1)
        made = studio.generate(recipe)
        alone, theirs = (one.generate(recipe.replace(rule="none", weaker=None, knobs=())).latents for one in (studio, other))
        torch.testing.assert_close(made.latents, theirs + 4.0 * (alone - theirs), rtol=0, atol=1e-4)  # DDIM's step is affine
        assert made.receipt.rows_asked == 2

    def test_the_model_itself_as_the_weaker_one_is_no_guidance(self, folder: Path) -> None:
        studio = negativa.load(str(folder))
        made = studio.generate(BASE.replace(rule="autoguidance", weaker=str(folder), knobs={"share": 1.0}))
        torch.testing.assert_close(made.latents, studio.generate(BASE.replace(rule="none")).latents, rtol=0, atol=1e-4)

    def test_what_cannot_be_compared_is_refused(self, folder: Path, tmp_path: Path) -> None:
        studio = negativa.load(str(folder))
        with pytest.raises(InputError, match="weaker: none was given"):
            studio.generate(BASE.replace(rule="autoguidance"))
        with pytest.raises(InputError, match="channels, pixels a latent"):
            studio.generate(BASE.replace(rule="autoguidance", weaker="exact"))
        with pytest.raises(negativa.ModelError, match="nowhere"):
            studio.generate(BASE.replace(rule="autoguidance", weaker="./nowhere"))

    def test_a_recipe_without_it_does_not_notice_that_it_was_opened(self, folder: Path, tmp_path: Path) -> None:
        """Another tokenizer may need more chunks for the same text."""
        tiny_pipeline("epsilon", words=["x y"] * 4).save_pretrained(tmp_path)
        plain = BASE.replace(prompt="portrait of a man with a mustache, " * 4)
        studio = negativa.load(str(folder))
        before = studio.generate(plain).latents
        studio.generate(plain.replace(rule="autoguidance", weaker=str(tmp_path), knobs={"share": 1.0}))
        assert studio.room(plain.replace(rule="autoguidance", weaker=str(tmp_path))) > studio.room(plain) == 1
        assert torch.equal(studio.generate(plain).latents, before)

    def test_models_of_one_kind_may_say_it_in_other_words(self, folder: Path, weaker: Path) -> None:
        config = weaker / "scheduler" / "scheduler_config.json"
        told = json.loads(config.read_text())
        assert told.pop("prediction_type") == "epsilon"  # which goes without saying
        config.write_text(json.dumps(told))
        negativa.load(str(folder)).generate(BASE.replace(rule="autoguidance", weaker=str(weaker)))

    def test_a_model_whose_latents_are_of_another_size_is_refused(self, folder: Path, weaker: Path) -> None:
        config = weaker / "vae" / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"scaling_factor": 0.13}))
        with pytest.raises(InputError, match=r"differs from .* in scale of latents"):
            negativa.load(str(folder)).generate(BASE.replace(rule="autoguidance", weaker=str(weaker)))

    def test_a_model_on_other_betas_is_refused(self, folder: Path, weaker: Path) -> None:
        config = weaker / "scheduler" / "scheduler_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"rescale_betas_zero_snr": True}))
        with pytest.raises(InputError, match=r"differs from .* in rescale_betas_zero_snr"):
            negativa.load(str(folder)).generate(BASE.replace(rule="autoguidance", weaker=str(weaker)))

    def test_a_weaker_model_that_no_rule_asks_is_said(self, folder: Path) -> None:
        made = negativa.load(str(folder)).generate(BASE.replace(weaker=str(folder)))
        assert "weaker: the rule 'cfg'" in made.receipt.notices[0]


def test_every_patch_is_used_by_a_rule() -> None:
    used = {kind.patch for kind in RULES.values() if issubclass(kind, Attended | Worse)}
    assert used - {None} == set(PATCHES)


@pytest.mark.parametrize(
    ("name", "layer", "parts"),
    [
        *((name, "attn2", ("down", "mid", "up")) for name in ("flip", "nag", "nasa", "ong")),
        ("negtome", "block", ("up",)),
        *((name, "attn1", ("mid",)) for name in ("pag", "seg")),
        ("slg", "block", ("mid",)),
    ],
)
def test_patches_stay_where_they_belong(pipeline, name: str, layer: str, parts: tuple[str, ...]) -> None:
    company = Company(told(drawn(1, 9, 32)), [], [[drawn(2, 32)]], torch.ones(1, 1), (16, 16))
    patch = PATCHES[name](*(1.0 for _ in fields(PATCHES[name])))
    blocks = blocks_of(pipeline.unet)
    with inside(blocks, [(patch, company)]):
        touched = {(path, "block") for path, one in blocks.items() if one._forward_hooks}
        for path, one in blocks.items():
            touched |= {(path, at) for at in ("attn1", "attn2") if isinstance(getattr(one, at).processor, Processor)}
    assert touched == {(path, layer) for path in blocks if path.startswith(parts)}


@pytest.mark.parametrize(("name", "rows", "last"), [("nag", 0, 9), ("negtome", 2, 1)])
def test_a_patch_reads_the_negatives_that_act(name: str, rows: int, last: int) -> None:
    rule, against = RULES[name](3.0, push=1.5), (("negative 0", 1.0), ("negative 1", -0.5))
    acting = tuple(Active(*one) for one in against)
    for step in range(10):
        found = rule.patches(Moment(step, 10, acting))
        assert found.keys() == ({POSITIVE} if step <= last else set())
        for patch in found.values():
            assert (patch.name, patch.against, patch.rows, dict(patch.numbers)["push"]) == (name, against, rows, 1.5)
    assert rule.patches(Moment(0, 10)) == {}


def test_layers_are_skipped_in_early_steps_alone() -> None:
    rule, now = RULES["slg"](3.0), [Moment(step, 100) for step in range(100)]
    assert [one.step for one in now if "worse" in rule.passes(one)] == [*range(1, 20)]
    assert [one.step for one in now if rule.patches(one)] == [*range(1, 20)]


def test_where_no_step_lies_among_them_that_is_said(studio) -> None:
    said = [" ".join(studio.generate(BASE.replace(rule="slg", steps=steps)).receipt.notices) for steps in (4, 6)]
    assert ["'slg' moves away from nothing worse at any step" in one for one in said] == [True, False]


@pytest.mark.parametrize("rule", ["pag", "seg", "slg"])
def test_a_network_without_the_layers_that_are_made_worse_is_refused(tmp_path: Path, rule: str) -> None:
    """As distilled models are, whose middle was left out."""
    pipeline = tiny_pipeline("epsilon")
    settings = {**pipeline.unet.config, "mid_block_type": None, "_use_default_values": []}
    pipeline.unet = UNet2DConditionModel.from_config(settings)
    pipeline.save_pretrained(tmp_path)
    small = negativa.load(str(tmp_path))
    with pytest.raises(InputError, match=f"has no layers that '{rule}' changes"):
        small.generate(BASE.replace(rule=rule))
    assert not small.generate(BASE.replace(rule="nag", negative="mustache")).receipt.notices
