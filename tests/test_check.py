"""What is said of texts before a picture is made: negations moved, names expanded, what has no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

import negativa
from negativa import InputError, Negative, Recipe
from negativa.apps.cli.main import main
from negativa.apps.cli.texts import understood
from negativa.experiments.axes import parse_axis
from negativa.experiments.plan import Plan
from negativa.language import named
from negativa.language.checks import said_of_texts
from negativa.language.named import expand, library
from negativa.language.negatives import parse_negative
from negativa.notices import said_of
from negativa.rules import RULES


class TestUnderstood:
    def test_negations_join_the_negatives_that_were_given(self) -> None:
        found = understood("a man without a hat", ["mustache:0.5"], literal=False)
        assert found.prompt == "a man" and found.negatives == (Negative("mustache", 0.5), Negative("hat"))
        assert found.notices == ("'without a hat' was taken as the negative 'hat'",)

    def test_literally_nothing_moves(self) -> None:
        found = understood("a man without a hat", None, literal=True)
        assert (found.prompt, found.negatives, found.notices) == ("a man without a hat", None, ())

    def test_no_in_a_negative_is_pointed_out_and_left(self) -> None:
        found = understood("a man", ["no hat"], literal=False)
        assert found.negatives == (Negative("no hat"),) and "says no twice" in found.notices[0]

    def test_what_was_given_and_said_is_one_negative(self) -> None:
        assert understood("a man without a hat", ["hat"], literal=False).negatives == (Negative("hat"),)

    @pytest.mark.parametrize(
        ("written", "negative"),
        [
            ("bad-hands-5:0.8:0:0.5", Negative("bad-hands-5", 0.8, 0.0, 0.5)),
            ("at 10:30", Negative("at 10:30")),
            ("hat AND beard:0.5", Negative("hat AND beard:0.5")),  # the clause's own weight, as in a prompt
            ("hat AND beard:0.5:0:0.5", Negative("hat AND beard", 0.5, 0.0, 0.5)),
        ],
    )
    def test_numbers_after_a_text(self, written: str, negative: Negative) -> None:
        assert parse_negative(written) == negative

    def test_what_was_not_typed_stays_open(self) -> None:
        assert understood(None, None, literal=False).prompt is None


class TestNamed:
    def test_every_name_stands_for_a_text_with_its_source(self) -> None:
        assert {"sd2-universal", "short", "animagine-xl-3.1"} <= set(library())
        assert all(one.text and one.source and one.models for one in library().values())
        assert expand("@short") == "disfigured, deformed, ugly" and expand("me@home") == "me@home"

    def test_weights_and_windows_follow_a_name_that_ends_in_a_number(self, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.setattr(named, "own", lambda: tmp_path / "none.toml")
        found = parse_negative("@animagine-xl-3.1:0.8:0:0.5")
        assert found == Negative(expand("@animagine-xl-3.1"), 0.8, 0.0, 0.5)
        assert parse_negative("@animagine-xl-3.1") == Negative(expand("@animagine-xl-3.1"))

    def test_ones_own_come_first(self, monkeypatch, tmp_path: Path) -> None:
        (own := tmp_path / "negatives.toml").write_text('[short]\ntext = "mine"\n["a b"]\ntext = "hat"\n')
        monkeypatch.setattr(named, "own", lambda: own)
        assert expand("@short") == "mine" and expand("@a b") == "hat" and expand("@sd2-universal")

    def test_axes_and_plans_mean_the_same_by_them(self) -> None:
        meant = expand("@short")
        assert parse_axis("negative=|@short|@short:0.5").values == ("", Negative(meant), Negative(meant, 0.5))
        assert parse_axis("negative:hat=cap|@short").values == ("cap", meant)
        assert Plan("a man", "0:4", negatives=["", "@short"]).negatives == ("", meant)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("[x", "could not be read"),
            ("x = 1", "allowed: a table of text, source and models"),
            ("[x]\nsource = 's'", "allowed: a table of text, source and models"),
            ("[x]\ntext = 5", "negatives: x text: 5 was given"),
            ("[x]\ntext = 'a'\nother = 'b'", "allowed: a table"),
        ],
    )
    def test_files_that_cannot_be_understood(self, monkeypatch, tmp_path: Path, content: str, words: str) -> None:
        (own := tmp_path / "negatives.toml").write_text(content)
        monkeypatch.setattr(named, "own", lambda: own)
        with pytest.raises(InputError, match=words):
            expand("@x")

    def test_unknown_names(self) -> None:
        with pytest.raises(InputError, match="there is no named negative 'shrot'; did you mean 'short'"):
            expand("@shrot")


class TestSaid:
    @pytest.mark.parametrize(
        ("prompt", "negatives", "words"),
        [
            ("a man", ["blurry, (Blurry:1.2)"], "'blurry' stands twice"),
            ("a man", ["hat", "hat, hat"], "'hat' stands 3 times"),
            ("a man with a hat", ["the hat"], "shares 'hat' with the prompt"),
            ("a man without a hat", [], "leaves out 'hat' in words"),
        ],
    )
    def test_what_a_pair_of_texts_says_against_itself(self, prompt: str, negatives: list[str], words: str) -> None:
        (said,) = said_of_texts(prompt, negatives)
        assert words in said

    def test_a_name_beside_other_words_is_said(self) -> None:
        (said,) = said_of_texts("a man", ["hat, @short", "me@home"])
        assert said.startswith("negative: '@short' is text here")

    def test_a_negative_that_does_not_act_pushes_nothing_away(self, studio) -> None:
        said = said_of(studio.complete(Recipe("a man with a hat", Negative("hat", 0))), studio.denoiser)
        assert len(said) == 1 and "its weight is 0" in said[0]

    def test_nothing_of_texts_that_agree(self) -> None:
        assert not list(said_of_texts("portrait of a man in the snow", ["mustache, the beard of a goat", "glasses"]))

    def test_it_is_said_on_every_run(self, studio) -> None:
        recipe = Recipe("a man with a hat", "hat", steps=2)
        assert any("shares 'hat'" in one for one in studio.generate(recipe).receipt.notices)
        assert said_of(studio.complete(recipe), studio.denoiser) == studio.generate(recipe).receipt.notices

    @pytest.mark.parametrize("rule", ["cfg", "nag"])  # read in a pass of its own, or inside the prompt's
    def test_a_negative_that_is_the_prompt_is_said(self, studio, rule: str) -> None:
        said = said_of(studio.complete(Recipe("a hat", "a hat", rule=rule)), studio.denoiser)
        assert any("the negative 'a hat' equals the prompt" in one for one in said)
        assert any("the two cancel" in one for one in said) == (rule == "cfg")

    def test_a_rule_that_decides_by_what_is_predicted_is_not_said_to_hear_nothing(self, studio) -> None:
        for tau in (1.0, 20.0):
            recipe = Recipe("a man with a hat", "a man", rule="crg", knobs={"tau": tau}, steps=8)
            assert not any("has no effect" in one for one in said_of(studio.complete(recipe), studio.denoiser))

    @pytest.mark.parametrize(
        ("recipe", "idle"),
        [
            (Recipe(""), True),
            (Recipe("", rule="pag"), False),
            (Recipe("[a hat:0.5]"), False),
            (Recipe("", "a hat"), False),
        ],
    )
    def test_a_scale_that_nothing_reads_is_said(self, studio, recipe: Recipe, idle: bool) -> None:
        said = said_of(studio.complete(recipe.replace(scale=7.0, steps=4)), studio.denoiser)
        assert any("the scale has no effect" in one for one in said) == idle

    def test_wrappers_around_the_prompt_alone_are_said(self, studio) -> None:
        for recipe in (Recipe("a hat", scale=1, wrappers="rescale"), Recipe("a hat", rule="none", wrappers="rescale")):
            said = "the wrapper 'rescale' has no effect: the picture follows the prompt alone"
            assert said in said_of(studio.complete(recipe), studio.denoiser)
            assert said not in said_of(studio.complete(recipe.replace(rule="cfg", scale=3)), studio.denoiser)

    def test_a_window_without_a_negative_is_said(self, studio) -> None:
        said = said_of(studio.complete(Recipe("a hat", window=(0, 0.5))), studio.denoiser)
        assert "window: there is no negative that it could bound; it has no effect" in said
        bounded = said_of(studio.complete(Recipe("a", "hat", window=(0, 0.5))), studio.denoiser)
        assert not any("window" in one for one in bounded)

    @pytest.mark.parametrize(
        ("recipe", "heard"),
        [
            (Recipe("a hat", scale=0), False),
            (Recipe("a hat", "mustache", scale=0, rule="perp_neg"), False),
            (Recipe("a hat", rule="cfg_pp", sampler="ddim", knobs={"share": 0}), False),
            (Recipe("a hat", scale=1), True),
            (Recipe("a hat", scale=0, wrappers="rescale"), True),  # whose spread the prompt decides
            (Recipe("a hat", scale=0, rule="pag"), True),  # what it moves away from reads the prompt too
            (Recipe("", scale=0), True),  # there is none
        ],
    )
    def test_a_scale_at_which_the_prompt_is_not_heard_is_said(self, studio, recipe: Recipe, heard: bool) -> None:
        said = said_of(studio.complete(recipe), studio.denoiser)
        assert any("the prompt has no effect: the rule" in one for one in said) == (not heard)

    @pytest.mark.parametrize("rule", ["cfg", "nag"])  # read in a pass of its own, or inside the prompt's
    def test_a_negative_without_words_is_said(self, studio, rule: str) -> None:
        for text, nothing in (("()", True), ("([])", True), ("(hat)", False)):
            said = said_of(studio.complete(Recipe("a man", text, rule=rule)), studio.denoiser)
            assert any("says nothing: it holds no words" in one for one in said) == nothing

    @pytest.mark.parametrize("rule", [name for name in RULES if name != "autoguidance"])
    def test_a_rule_that_acts_on_negatives_alone_is_said_where_there_is_none(self, studio, rule: str) -> None:
        """And only then: its picture is that of the usual rule, to rounding."""
        recipe = Recipe("a hat", rule=rule, steps=3, sampler="ddim" if rule == "cfg_pp" else None)
        said = any(
            "acts on negatives alone, and there is none" in one for one in said_of(studio.complete(recipe), studio.denoiser)
        )
        ours, usual = (studio.generate(one).latents for one in (recipe, recipe.replace(rule="cfg")))
        assert said == (rule != "cfg" and (ours - usual).abs().max() < 1e-3)
        negated = said_of(studio.complete(recipe.replace(negative="mustache")), studio.denoiser)
        assert not any("acts on negatives alone" in one for one in negated)

    def test_a_kind_of_nothing_that_no_pass_reads_is_said(self, studio) -> None:
        one = Recipe("a hat", "mustache", nothing="zeros")
        said = "nothing: every pass reads a text; 'zeros' has no effect"
        assert said in said_of(studio.complete(one), studio.denoiser)
        for acts in (one.replace(negative=None), one.replace(negative=Negative("mustache", 0.5)), one.replace(nothing="empty")):
            assert said not in said_of(studio.complete(acts), studio.denoiser)

    def test_moving_away_from_the_same_model_is_said(self, folder: Path, studio) -> None:
        recipe = studio.complete(Recipe("a hat", rule="autoguidance", weaker=str(folder)))
        assert any("it is this model as it is" in one for one in said_of(recipe, studio.denoiser))

    def test_an_embedding_that_cannot_be_read_is_said_where_a_text_names_it(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "easynegative.pt").write_bytes(b"no embedding")
        studio = negativa.load(str(folder), embeddings=tmp_path)
        (said,) = said_of(studio.complete(Recipe("a hat", "EasyNegative, blurry")), studio.denoiser)
        assert said.startswith("negative: it names an embedding that could not be read: ") and "easynegative.pt" in said
        assert not said_of(studio.complete(Recipe("a hat", "easynegatives")), studio.denoiser)


class TestCommands:
    def run(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
        monkeypatch.setattr("sys.argv", ["negativa", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0

    def test_check_says_what_has_no_effect(self, monkeypatch, capsys, folder: Path) -> None:
        self.run(monkeypatch, "check", "a man without a hat", "-n", "mustache", "--scale", "1", "--model", str(folder))
        said = capsys.readouterr().out
        assert "prompt: 'a man'" in said and "negative: 'hat', weight 1" in said and said.count("at scale 1") == 2

    def test_check_says_that_tags_of_loras_are_taken_out(self, monkeypatch, capsys, folder: Path) -> None:
        self.run(monkeypatch, "check", "a man <lora:a style:1>", "-n", "hat <lora:b:1>", "--model", str(folder))
        said = capsys.readouterr().out
        assert all(f"notice: {one} is taken out of" in said for one in ("prompt: '<lora:a style:1>'", "negative: '<lora:b:1>'"))
        assert "shares" not in said

    def test_check_measures_what_every_negative_moves(self, monkeypatch, capsys, folder: Path) -> None:
        words = ("check", "a man", "-n", "mustache", "-n", "glasses:0", "--measure", "--steps", "3", "--model", str(folder))
        self.run(monkeypatch, *words)
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("without ")]
        moved = {line.split(": ")[0]: float(line.split(": ")[1].split("%")[0]) for line in lines}
        assert list(moved) == ["without all of them", "without 'mustache'", "without 'glasses'"]
        assert moved["without 'mustache'"] > 0 and moved["without 'glasses'"] == 0

    def test_check_measures_two_negatives_of_the_same_words_apart(self, monkeypatch, capsys, folder: Path) -> None:
        words = ("check", "a man", "-n", "hat:1:0:0.5", "-n", "hat:0", "--measure", "--steps", "3", "--model", str(folder))
        self.run(monkeypatch, *words)
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("without 'hat'")]
        assert lines[0].startswith("without 'hat', weight 1, from 0 to 0.5 of the steps: ") and ": 0.0%" not in lines[0]
        assert lines[1].startswith("without 'hat', weight 0, from 0 to 1 of the steps: 0.0%") and len(lines) == 2

    def test_generate_moves_negations_unless_told_not_to(self, monkeypatch, capsys, folder: Path, tmp_path: Path) -> None:
        from negativa.language import pictures

        for name, more in (("moved", ()), ("left", ("--literal",))):
            out = tmp_path / f"{name}.png"
            words = ("generate", "a man without a hat", "--steps", "2", "--model", str(folder), "--out", str(out), *more)
            self.run(monkeypatch, *words)
            recipe = pictures.read(out).recipe
            expected = ("a man without a hat", ()) if more else ("a man", (Negative("hat"),))
            assert (recipe.prompt, recipe.negative) == expected
        assert "'without a hat' was taken as the negative 'hat'" in pictures.read(tmp_path / "moved.png").receipt["notices"]

    def test_negatives_are_listed(self, monkeypatch, capsys) -> None:
        self.run(monkeypatch, "negatives")
        assert "@short" in capsys.readouterr().out
