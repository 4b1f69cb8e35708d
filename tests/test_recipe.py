"""Recipes: what they accept, what they refuse and how, and that nothing is lost on the way through JSON."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negativa import InputError, Negative, Recipe
from negativa.plain.samplers import SAMPLERS

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
share = st.floats(0, 1)
windows = st.tuples(share, share).map(sorted)
negatives = st.builds(lambda words, weight, window: Negative(words, weight, *window), text, st.floats(-9, 9), windows)
recipes = st.builds(
    Recipe,
    prompt=text,
    negative=st.lists(negatives, max_size=3),
    seed=st.integers(0, 2**64 - 1),
    steps=st.integers(1, 1000),
    scale=st.floats(-50, 50),
    sampler=st.sampled_from(list(SAMPLERS)),
    knobs=st.dictionaries(text, st.floats(-9, 9), max_size=3),
    window=windows,
    nothing=st.sampled_from(["empty", "zeros", "dropped"]),
    width=st.none() | st.integers(1, 8192),
    model=st.none() | text,
)


@given(recipes)
def test_json_both_ways(recipe: Recipe) -> None:
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.hash == recipe.hash


@given(text, st.integers(0, 100))
def test_another_seed_is_another_hash(prompt: str, seed: int) -> None:
    assert Recipe(prompt, seed=seed).hash != Recipe(prompt, seed=seed + 1).hash


def test_equal_recipes_have_equal_hashes() -> None:
    assert Recipe(scale=-0.0) == Recipe(scale=0) and Recipe(scale=-0.0).hash == Recipe(scale=0).hash


def test_hash_is_the_same_in_another_process() -> None:
    recipe = Recipe("a house", ["lawn", Negative("snow", 0.5)], seed=3)
    code = "from negativa import *; print(Recipe('a house', ['lawn', Negative('snow', 0.5)], seed=3).hash)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == recipe.hash


def test_recipes_that_leave_later_fields_open_keep_the_hash_they_had() -> None:
    assert Recipe("a house", ["lawn", Negative("snow", 0.5)], seed=3).hash == "6f19e728c09360cb"
    assert Recipe(distilled_scale=3.5).hash != Recipe().hash
    assert Recipe.from_json(Recipe(distilled_scale=3.5).to_json()).distilled_scale == 3.5


def test_knobs_have_no_order() -> None:
    one, other = Recipe(knobs={"b": 1, "a": 2}), Recipe(knobs=[("a", 2.0), ("b", 1.0)])
    assert one == other and one.hash == other.hash and one.to_dict()["knobs"] == {"a": 2.0, "b": 1.0}


@pytest.mark.parametrize(
    "given", ["mustache", Negative("mustache"), ["mustache"], (Negative("mustache"),), [{"condition": "mustache"}]]
)
def test_one_negative_however_it_is_given(given) -> None:
    assert Recipe(negative=given).negative == (Negative("mustache"),)


@pytest.mark.parametrize("empty", [None, "", "  ", [], ["", ""]])
def test_empty_negatives_are_none(empty) -> None:
    assert Recipe(negative=empty).negative == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": 0}, ("steps", "0", "from 1 to 1000")),
        ({"steps": 2.5}, ("steps", "2.5", "whole number")),
        ({"steps": True}, ("steps", "True")),
        ({"scale": math.nan}, ("scale", "nan", "finite")),
        ({"scale": "7"}, ("scale", "'7'", "finite")),
        ({"seed": 2**64}, ("seed", str(2**64), str(2**64 - 1))),
        ({"seed": -1}, ("seed", "-1", "from 0")),
        ({"prompt": 5}, ("prompt", "5", "a text")),
        ({"prompt": "\ud800"}, ("prompt", "surrogate")),
        ({"sampler": "euler_b"}, ("sampler", "euler_b", "did you mean 'euler")),
        ({"window": (0.5, 0.2)}, ("window", "0.5", "start <= stop")),
        ({"window": 3}, ("window", "3", "two numbers")),
        ({"nothing": []}, ("nothing", "[]")),
        ({"scale": 10**400}, ("scale", "finite")),
        ({"seed": 10**6000}, ("seed", "very large", "from 0")),
        ({"scale": 1e9}, ("scale", "from -1000 to 1000")),
        ({"negative": "\udcff"}, ("negative", "surrogate")),
        ({"nothing": "zero"}, ("nothing", "zero", "did you mean 'zeros'")),
        ({"width": 0}, ("width", "0", "from 1")),
        ({"negative": 3}, ("negative", "3")),
        ({"negative": [{"condition": "x", "wieght": 1}]}, ("negative", "wieght", "did you mean 'weight'")),
        ({"negative": [{"weight": 1}]}, ("negative", "condition")),
    ],
)
def test_refusals_name_the_field_what_was_given_and_what_is_allowed(fields, words) -> None:
    with pytest.raises(InputError) as refusal:
        Recipe.from_dict(fields)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize("weight", [math.inf, math.nan, "1"])
def test_negative_weight_is_a_finite_number(weight) -> None:
    with pytest.raises(InputError, match="negative weight"):
        Negative("x", weight)


def test_unknown_field_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="'promt'; did you mean 'prompt'"):
        Recipe.from_json('{"promt": "a"}')
    with pytest.raises(InputError, match="did you mean 'seed'"):
        Recipe().replace(sead=1)


@pytest.mark.parametrize("broken", ["", "{", "[]", "3", "null", '{"negative": {}}', "[" * 100_000])
def test_text_that_is_no_recipe(broken: str) -> None:
    with pytest.raises(InputError):
        Recipe.from_json(broken)
