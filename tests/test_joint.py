"""Rules inside joint attention (Stable Diffusion 3, Flux): against both networks written out by hand, and diffusers' own."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from diffusers import FluxPipeline, StableDiffusion3PAGPipeline
from torch import Tensor
from torch.nn.functional import normalize

import negativa
from negativa import InputError, Negative, Recipe
from negativa.plain.conditions import Words
from negativa.plain.passes import Pass, Patch
from negativa.rules import RULES
from negativa.rules.attended import Attended
from tests.test_flux import tiny_flux
from tests.test_sd3 import same, tiny_sd3

ATTENDED = [name for name, kind in RULES.items() if issubclass(kind, Attended)]
BASE = Recipe("portrait of a man", seed=7, steps=4, scale=3.0, width=32, height=32, sampler="euler")
OWN, AWAY, WEIGHTS = Words("portrait of a man"), (Words("hat"), Words("a house, mustache")), (1.0, -0.6)
LATENTS, TIME = torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(3)), 700.0

Heads = tuple[Tensor, Tensor, Tensor]  # queries, keys, values, (heads, tokens, width) each
Reader = Callable[[list[Heads], list[Heads]], tuple[list[Tensor], list[Tensor]]]  # of texts and pictures: what each reads


@pytest.fixture(scope="module", params=["sd3", "sd35", "flux", "flux dev"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> negativa.Studio:
    place = tmp_path_factory.mktemp("joint")
    newer = {"qk_norm": "rms_norm", "dual_attention_layers": (0,)} if request.param == "sd35" else {}
    made = tiny_flux("dev" in request.param) if "flux" in request.param else tiny_sd3(place / "words", layers=3, **newer)
    made.save_pretrained(place / "model")
    return negativa.load(str(place / "model"))


def look(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | float = 0.0, factor: Tensor | float = 1.0) -> Tensor:
    return ((q @ k.mT / q.shape[-1] ** 0.5 + bias).softmax(-1) * factor) @ v


def both(text: Heads, picture: Heads) -> tuple[Tensor, Tensor]:
    return torch.cat([text[1], picture[1]], 1), torch.cat([text[2], picture[2]], 1)


def plainly(texts: list[Heads], pictures: list[Heads]) -> tuple[list[Tensor], list[Tensor]]:
    pairs = list(zip(texts, pictures, strict=True))
    return [look(t[0], *both(t, p)) for t, p in pairs], [look(p[0], *both(t, p)) for t, p in pairs]


class Hand:
    """A network run for one picture, stream by stream, in double precision.

    Each text is told what is pooled of it. The picture has one stream ("one"), a stream for each text from the beginning
    ("apart"), or from where text and picture are read on end ("late").
    """

    def __init__(self, denoiser) -> None:
        self.net = copy.deepcopy(denoiser.transformer).double()
        self.flux = hasattr(self.net, "single_transformer_blocks")
        self.depth = len(self.net.transformer_blocks)

    def __call__(
        self,
        texts: Sequence[tuple[Tensor, Tensor]],
        read: Callable[[int], Reader],
        streams: str,
        after: Callable[[list[Tensor]], list[Tensor]] = lambda pictures: pictures,
    ) -> Tensor:
        net, time = self.net, torch.tensor([TIME], dtype=torch.float64)
        guidance = [torch.tensor([3500.0], dtype=torch.float64)] if getattr(net.config, "guidance_embeds", False) else []
        self.told = [net.time_text_embed(time, *guidance, pooled[None].double()) for _, pooled in texts]
        text = [net.context_embedder(states[None].double()) for states, _ in texts]
        pictures = [self._embedded()] * (len(texts) if streams == "apart" else 1)
        for i, block in enumerate(net.transformer_blocks):
            text, pictures = self._double(block, text, pictures, read(i))
            pictures = after(pictures)
        pictures = pictures * (len(texts) if streams == "late" and self.flux else 1)
        for i, block in enumerate(getattr(net, "single_transformer_blocks", ()), self.depth):
            text, pictures = self._single(block, text, pictures, read(i))
            pictures = after(pictures)
        out = net.proj_out(net.norm_out(pictures[0], self.told[0]))
        if self.flux:
            return FluxPipeline._unpack_latents(out, 32, 32, 2)[0]
        return torch.einsum("hwpqc->chpwq", out.reshape(8, 8, 2, 2, 4)).reshape(4, 16, 16)

    def _embedded(self) -> Tensor:
        given = LATENTS[None].double()
        return self.net.x_embedder(FluxPipeline._pack_latents(given, 1, 4, 16, 16)) if self.flux else self.net.pos_embed(given)

    def _heads(self, attn, layers, norms, tokens: Tensor, placed: bool) -> Heads:
        q, k, v = (layer(tokens)[0].unflatten(-1, (attn.heads, -1)).transpose(0, 1) for layer in layers)
        q, k = (one if norm is None else norm(one) for one, norm in zip((q, k), norms, strict=True))
        if self.flux:
            places = (
                FluxPipeline._prepare_latent_image_ids(1, 8, 8, "cpu", torch.float64) if placed else torch.zeros(q.shape[1], 3)
            )
            cos, sin = self.net.pos_embed(places)
            q, k = (one * cos + torch.stack([-one[..., 1::2], one[..., ::2]], -1).flatten(-2) * sin for one in (q, k))
        return q, k, v

    def _own(self, attn, tokens: Tensor, placed: bool = True) -> Heads:
        return self._heads(attn, (attn.to_q, attn.to_k, attn.to_v), (attn.norm_q, attn.norm_k), tokens, placed)

    def _double(self, block, text, pictures, read: Reader):
        attn, layers = block.attn, (block.attn.add_q_proj, block.attn.add_k_proj, block.attn.add_v_proj)
        norms = attn.norm_added_q, attn.norm_added_k
        seen = [block.norm1(one, emb=told) for one, told in zip(pictures, self.told, strict=False)]
        last = getattr(block, "context_pre_only", False)
        heard = [
            (block.norm1_context(one, told),) if last else block.norm1_context(one, emb=told)
            for one, told in zip(text, self.told, strict=True)
        ]
        asking = [self._heads(attn, layers, norms, one[0], False) for one in heard], [self._own(attn, one[0]) for one in seen]
        z_text, z_pictures = (list(map(flat, one)) for one in read(*asking))
        moved = []
        for x, z, (_, gate, shift, scale, late, *dual) in zip(pictures, z_pictures, seen, strict=True):
            x = x + gate * attn.to_out[0](z)
            if dual:
                x = x + dual[1] * block.attn2.to_out[0](flat(look(*self._own(block.attn2, dual[0]))))
            moved.append(x + late * block.ff(block.norm2(x) * (1 + scale) + shift))
        if last:
            return text, moved
        told = []
        for t, z, (_, gate, shift, scale, late) in zip(text, z_text, heard, strict=True):
            t = t + gate * attn.to_add_out(z)
            told.append(t + late * block.ff_context(block.norm2_context(t) * (1 + scale) + shift))
        return told, moved

    def _single(self, block, text, pictures, read: Reader):
        parts = [
            (one, told, placed)
            for some, placed in ((text, False), (pictures, True))
            for one, told in zip(some, self.told, strict=False)
        ]
        normed = [block.norm(one, emb=told) for one, told, _ in parts]
        asking = [self._own(block.attn, one[0], placed) for one, (_, _, placed) in zip(normed, parts, strict=True)]
        z = [flat(one) for some in read(asking[: len(text)], asking[len(text) :]) for one in some]
        out = [
            x + gate * block.proj_out(torch.cat([one, block.act_mlp(block.proj_mlp(n))], 2))
            for (x, _, _), one, (n, gate) in zip(parts, z, normed, strict=True)
        ]
        return out[: len(text)], out[len(text) :]


def flat(z: Tensor) -> Tensor:
    return z.transpose(0, 1).flatten(1)[None]


def predicted(model, *passes: Pass) -> Tensor:
    return model.denoiser.predict([LATENTS] * len(passes), [TIME] * len(passes), list(passes)).double()


def inside(name: str, rows: int = 0, away=AWAY, weights=WEIGHTS, **numbers: float) -> Pass:
    return Pass(OWN, (Patch(name, tuple(numbers.items()), tuple(zip(away, weights, strict=True)), rows),))


def said(model, words: Words) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        found = model.denoiser._encoding(words, 1)
    return found.states.clone(), found.pooled.clone()


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted[None], rtol=0, atol=1e-5)


def steered(formula: Callable[[Tensor, list[Tensor]], Tensor]) -> Reader:
    """What is read of a picture with its own text and the others, by a formula over the whole width."""

    def read(texts: list[Heads], pictures: list[Heads]) -> tuple[list[Tensor], list[Tensor]]:
        each = pictures * (len(texts) // len(pictures))
        told, seen = plainly(texts, each)
        wide = [one.transpose(0, 1).flatten(1) for one in seen]
        z = formula(wide[0], wide[1:]).unflatten(1, (len(seen[0]), -1)).transpose(0, 1)
        return told, [z] * len(pictures)

    return read


def pushed(z: Tensor, others: list[Tensor]) -> Tensor:
    moved = z + 3.0 * sum(w * (z - one) for w, one in zip(WEIGHTS, others, strict=True))
    ratio = moved.abs().sum(1, keepdim=True) / z.abs().sum(1, keepdim=True)
    return 0.4 * torch.where(ratio > 1.5, moved * 1.5 / ratio, moved) + 0.6 * z


def orthogonal(z: Tensor, others: list[Tensor]) -> Tensor:
    parts = [one - (one * z).sum(1, keepdim=True) / (z * z).sum(1, keepdim=True) * z for one in others]
    return z - 0.7 * sum(w * one for w, one in zip(WEIGHTS, parts, strict=True))


class TestByHand:
    def test_the_hand_is_the_network(self, model) -> None:
        close(predicted(model, Pass(OWN)), Hand(model.denoiser)([said(model, OWN)], lambda _: plainly, "one"))

    @pytest.mark.parametrize(
        ("name", "numbers", "formula"),
        [
            ("nag", {"push": 3.0, "limit": 1.5, "blend": 0.4}, pushed),
            ("nasa", {"push": 0.3}, lambda z, o: z - 0.3 * sum(w * one for w, one in zip(WEIGHTS, o, strict=True))),
            ("ong", {"push": 0.7}, orthogonal),
        ],
    )
    def test_steered(self, model, name: str, numbers: dict[str, float], formula) -> None:
        texts = [said(model, one) for one in (OWN, *AWAY)]
        wanted = Hand(model.denoiser)(texts, lambda _: steered(formula), "late")
        close(predicted(model, inside(name, **numbers)), wanted)

    def test_flipped(self, model) -> None:
        (states, pooled), encodings = said(model, OWN), [model.denoiser._encoding(one, 1) for one in AWAY]
        words = [one.words for one in encodings]
        factor, tokens = [1.7 * w for w in WEIGHTS], [len(one) for one in words]
        assert tokens[0] != tokens[1] and sum(tokens) < len(states)

        def read(texts: list[Heads], pictures: list[Heads]) -> tuple[list[Tensor], list[Tensor]]:
            (prompt, away), (x,) = texts, pictures
            (k, v), n = both(prompt, x), away[1].shape[1]
            bias = torch.cat([torch.zeros(k.shape[1]), torch.full((n,), -0.4)])
            signs = torch.cat([torch.ones(k.shape[1]), *(torch.full((n,), -f) for f, n in zip(factor, tokens, strict=True))])
            seen = look(x[0], torch.cat([k, away[1]], 1), torch.cat([v, away[2]], 1), bias, signs)
            return [look(prompt[0], k, v), look(away[0], *both(away, x))], [seen]

        wanted = Hand(model.denoiser)([(states, pooled), (torch.cat(words).clone(), pooled)], lambda _: read, "one")
        close(predicted(model, inside("flip", strength=1.7, offset=0.4)), wanted)

    def test_words_are_read_without_what_fills_them_up(self, model) -> None:
        denoiser, (found, states) = (
            model.denoiser,
            (getattr(model.denoiser._encoding(AWAY[1], 1), x) for x in ("words", "states")),
        )
        t5, flux = ("3", False) if hasattr(denoiser, "text_encoder_3") else ("2", True)
        ids = getattr(denoiser, f"tokenizer_{t5}")(AWAY[1].text, return_tensors="pt").input_ids
        wanted = getattr(denoiser, f"text_encoder_{t5}")(ids)[0][0, :-1]  # without the end
        clips = 0 if flux else len(denoiser.tokenizer.tokenize(AWAY[1].text))
        torch.testing.assert_close(found, torch.cat([states[1 : 1 + clips], wanted]), rtol=0, atol=1e-5)

    def test_merged(self, model) -> None:
        def after(pictures: list[Tensor]) -> list[Tensor]:
            h, moved = pictures[0][0], pictures[0][0]
            for weight, (reference,) in zip(WEIGHTS, pictures[1:], strict=True):
                alike, best = (normalize(h, dim=1) @ normalize(reference, dim=1).mT).max(1)
                moved = moved + 0.9 * weight * (h - reference[best]) * (alike > 0.8)[:, None]
            return [moved[None], *pictures[1:]]

        wanted = Hand(model.denoiser)([said(model, one) for one in (OWN, *AWAY)], lambda _: plainly, "apart", after)
        close(predicted(model, inside("negtome", 2, push=0.9, threshold=0.8)), wanted)


ALL = (
    inside("nag", push=3.0, limit=1.5, blend=0.4),
    inside("nasa", push=0.3),
    inside("ong", push=0.7),
    inside("flip", strength=1.7, offset=0.4),
    inside("negtome", 2, push=0.9, threshold=0.8),
)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.patches[0].name)
class TestEveryPatch:
    def test_in_company_it_is_what_it_is_alone(self, model, one: Pass) -> None:
        (patch,) = one.patches
        other = Pass(Words("a house"), (Patch(patch.name, patch.numbers, ((AWAY[1], 0.5), (Words("lawn"), 2.0)), patch.rows),))
        found = predicted(model, one, Pass(OWN), other)
        for row, wanted in zip(found, (one, Pass(OWN), other), strict=True):
            close(row[None], predicted(model, wanted)[0])

    def test_the_network_is_afterwards_what_it_was(self, model, one: Pass) -> None:
        net = model.denoiser.transformer
        before, plain = insides(net), predicted(model, Pass(OWN))
        assert not torch.equal(predicted(model, one), plain)
        assert insides(net) == before and torch.equal(predicted(model, Pass(OWN)), plain)

        def broken(*_: object) -> None:
            raise KeyboardInterrupt

        handle = net.proj_out.register_forward_hook(broken)
        with pytest.raises(KeyboardInterrupt):
            predicted(model, one)
        handle.remove()
        assert insides(net) == before


def insides(net: torch.nn.Module) -> list[object]:
    """All that a patch could leave behind."""
    hooks = [tuple(one._forward_hooks) + tuple(one._forward_pre_hooks) for one in net.modules()]
    return [hooks, [id(one) for one in net.attn_processors.values()]]


class TestIdentities:
    def test_under_the_prompt_itself_there_is_nothing_to_move_away_from(self, model) -> None:
        plain = predicted(model, Pass(OWN))[0]
        same_text = {"away": (OWN,), "weights": (1.0,)}
        for one in (inside("nag", push=3.0, limit=1.5, blend=0.4, **same_text), inside("ong", push=0.7, **same_text)):
            close(predicted(model, one), plain)
        close(predicted(model, inside("negtome", 1, push=0.9, threshold=0.5, **same_text)), plain)

    def test_words_that_nothing_looks_at_change_nothing(self, model) -> None:
        close(predicted(model, inside("flip", strength=3.0, offset=40.0)), predicted(model, Pass(OWN))[0])

    @pytest.mark.parametrize("rule", ATTENDED)
    def test_recipes_hear_negatives_by_weight_and_window_at_scale_1_too(self, model, rule: str) -> None:
        given = [(), "hat", Negative("hat", 0.4), Negative("hat", 1.0, 0.25), ("hat", "a house")]
        recipes = [BASE.replace(rule=rule, negative=one, scale=1.0, knobs={"until": 1.0}) for one in given]
        made = [model.generate(one) for one in recipes]
        assert all(not torch.equal(a.latents, b.latents) for a, b in itertools.combinations(made, 2))
        assert made[0].receipt.rows_asked == BASE.steps and not any(one.receipt.notices for one in made[1:])
        torch.testing.assert_close(made[0].latents, model.generate(BASE.replace(scale=1.0)).latents, rtol=0, atol=1e-5)

    def test_a_weight_below_zero_is_the_sign_flip_of_its_word_beside_any_rule(self, model) -> None:
        written = model.generate(BASE.replace(prompt="portrait of a man (hat:-1.5)"))
        knobs = {"strength": 1.0, "offset": 0.0}
        flipped = model.generate(BASE.replace(rule="vsf", negative=Negative("hat", 1.5), knobs=knobs))
        same(written.latents, flipped.latents)
        merged = BASE.replace(rule="negtome", negative="a house", knobs={"until": 1.0, "threshold": -1.0})
        one, other = (model.generate(merged.replace(prompt=text)) for text in (BASE.prompt, "portrait of a man (hat:-1.5)"))
        assert other.latents.isfinite().all() and not torch.equal(one.latents, other.latents)
        with pytest.raises(InputError, match="a weight below zero"):
            model.generate(BASE.replace(rule="nag", negative="hat", prompt="a man (hat:-1)"))


@pytest.mark.parametrize(("guidance", "perturbed"), [(4.0, 3.0), (1.0, 5.0)])
def test_perturbed_attention_is_that_of_diffusers(tmp_path: Path, guidance: float, perturbed: float) -> None:
    tiny_sd3(tmp_path / "words", layers=3).save_pretrained(tmp_path / "model")
    reference = StableDiffusion3PAGPipeline.from_pretrained(tmp_path / "model", pag_applied_layers=["blocks.2"])
    reference.set_progress_bar_config(disable=True)
    recipe = BASE.replace(
        negative=() if guidance == 1 else "mustache",
        rule="pag",
        scale=guidance + perturbed,
        knobs={"share": perturbed / (guidance + perturbed - 1)},
    )
    wanted = reference(
        recipe.prompt,
        negative_prompt="mustache",
        num_inference_steps=recipe.steps,
        guidance_scale=guidance,
        pag_scale=perturbed,
        generator=torch.Generator().manual_seed(recipe.seed),
        output_type="latent",
    ).images[0]
    same(negativa.load(str(tmp_path / "model")).generate(recipe).latents, wanted)
