"""What a sentence leaves out: taken where it is sure, left and mentioned where it is not, never lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from negativa.language.negation import doubled, split

SENTENCES = Path(__file__).parent.parent / "benchmarks" / "negation.tsv"
CUES = [
    *[
        "no",
        "not",
        "never",
        "without",
        "with",
        "neither",
        "nor",
        "and",
        "or",
        "but",
        "is",
        "isn't",
        "who",
        "that",
        "has",
        "there",
        "are",
    ],
    *[
        "don't",
        "show",
        "remove",
        "avoid",
        "except",
        "minus",
        "lacking",
        "hatless",
        "car-free",
        "non-green",
        "a",
        "the",
        "any",
        "all",
        "of",
    ],
    *[
        "hat",
        "red",
        "glasses",
        "people",
        "smiling",
        "wearing",
        "on",
        "roof",
        "in",
        "background",
        "night",
        "kind",
        "AND",
        "BREAK",
        "not red",
    ],
]
MARKS = [*",.;\n-:()[]{}\"'&|+", ":1.2", "<lora:no_hat:1>", "\\("]
PLAIN = [
    *[
        "portrait",
        "notebook",
        "Noh",
        "northern",
        "seamless",
        "nose",
        "(sky:1.2)",
        "[fog:rain:0.5]",
        "<lora:x:1>",
        "AND",
        ",",
        " ",
        "\n",
    ],
]


@pytest.mark.parametrize(
    ("text", "prompt", "negatives"),
    [
        ("portrait of a man without a mustache", "portrait of a man", ["mustache"]),
        ("a house without a lawn", "a house", ["lawn"]),
        ("a hamburger without lettuce", "a hamburger", ["lettuce"]),
        ("a street with no cars", "a street", ["cars"]),
        ("a portrait of a woman who isn't wearing glasses", "a portrait of a woman", ["glasses"]),
        ("a portrait of a woman who isn’t wearing glasses", "a portrait of a woman", ["glasses"]),
        ("an armchair, not green", "an armchair", ["green"]),
        ("a portrait without a hat or glasses", "a portrait", ["hat", "glasses"]),
        ("a portrait without a hat, smiling", "a portrait, smiling", ["hat"]),
        ("no people and no cars on a quiet street", "a quiet street", ["people", "cars"]),
        ("a man without red or blue hats", "a man", ["red hats", "blue hats"]),
        ("a woman who isn't smiling and is holding a cat", "a woman who is holding a cat", ["smiling"]),
        ("an apple that is not red but green", "an apple that is green", ["red"]),
        ("a treeless island", "an island", ["trees"]),
        ("a castle\nno people\nno flags\nat night", "a castle\nat night", ["people", "flags"]),
        ("a (man:1.2) without a hat, [fog:0.5] BREAK sea", "a (man:1.2), [fog:0.5] BREAK sea", ["hat"]),
    ],
)
def test_a_sentence_is_split(text: str, prompt: str, negatives: list[str]) -> None:
    found = split(text)
    assert (found.prompt, list(found.negatives)) == (prompt, negatives)
    assert all(any(f"'{name}'" in notice for notice in found.notices) for name in negatives)


def test_what_was_taken_is_said() -> None:
    assert split("a man without a mustache").notices == ("'without a mustache' was taken as the negative 'mustache'",)


def test_a_text_that_is_only_a_negation_leaves_an_empty_prompt_and_says_so() -> None:
    found = split("no hat")
    assert (found.prompt, found.negatives) == ("", ("hat",))
    assert found.notices == ("'no hat' was taken as the negative 'hat'",)


@pytest.mark.parametrize(
    "text",
    [
        "no doubt a castle",
        "Chanel No. 5",
        '"without limits", a book',
        "a <lora:no_hat:1> man",
        "not only roses",
        "no-one",
        "no_humans",
    ],
)
def test_what_is_surely_no_negation_is_left_in_silence(text: str) -> None:
    assert split(text) == split(split(text).prompt)
    assert split(text).prompt == text
    assert not split(text).notices


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(a man without a hat:1.3)", "inside brackets"),
        ("a girl without a (red:1.3) hat", "bracket"),
        ("No Country for Old Men", "title"),
        ("street photo, not too dark", "how much"),
        ("a sign that says no swords", "words in the picture"),
        ("a bike without a rider leaning on a wall", "either side"),
        ("cat AND no dog", "AND"),
        ("a room except for a chair", "wanted"),
        ("a hero not without a sword", "two negations"),
    ],
)
def test_what_is_unsure_stays_and_is_mentioned(text: str, why: str) -> None:
    found = split(text)
    assert (found.prompt, found.negatives) == (text, ())
    assert any(why in notice and "was left in the prompt" in notice for notice in found.notices)


def test_a_negation_in_a_negative_is_pointed_out_and_weights_do_not_hide_it() -> None:
    assert len(doubled("no blur, (no text:1.2), ugly")) == 2
    assert "'no blur'" in doubled("no blur")[0]
    assert "only 'blur'" in doubled("no blur")[0]
    assert doubled("blur, text, wireless, (bad hands:1.3)") == ()


def _sentences() -> list[tuple[str, str, list[str], str]]:
    rows = [line.split("\t") for line in SENTENCES.read_text(encoding="utf-8").splitlines()[1:]]
    return [(text, prompt, [name for name in negatives.split("|") if name], kind) for text, prompt, negatives, kind, _ in rows]


def test_the_evaluation_set_is_split_precisely() -> None:
    sentences = _sentences()
    assert len(sentences) >= 180
    results = [(split(text), prompt, negatives, kind) for text, prompt, negatives, kind in sentences]
    taken = [(name, negatives) for found, _, negatives, _ in results for name in found.negatives]
    assert sum(name in negatives for name, negatives in taken) >= 0.98 * len(taken)
    assert [found.prompt for found, _, _, kind in results if kind == "left alone" and found.negatives] == []
    assert sum((f.prompt, list(f.negatives)) == (p, n) for f, p, n, _ in results) >= 0.95 * len(results)


words = st.lists(st.sampled_from([*CUES, *MARKS]), max_size=25)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=200), words.map(" ".join), words.map("".join)))
@example("no no no hat hat")
@example("with no no hat and who isn't has no")
@example("((((")
def test_any_text_is_split_and_splitting_again_finds_nothing(text: str) -> None:
    found = split(text)
    again = split(found.prompt)
    assert (again.prompt, again.negatives) == (found.prompt, ())
    assert bool(found.negatives) or found.prompt == text
    assert all(name.strip() for name in found.negatives)
    doubled(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PLAIN), max_size=30), st.sampled_from(["", " ", "  "]))
def test_a_text_without_a_negation_comes_back_as_it_is(pieces: list[str], space: str) -> None:
    text = space.join(pieces)
    found = split(text)
    assert (found.prompt, found.negatives, found.notices) == (text, (), ())


@settings(max_examples=200, deadline=None)
@given(words)
def test_brackets_and_what_they_hold_come_through_whole(pieces: list[str]) -> None:
    text = (
        "a (no hat:1.3) man, "
        + " ".join(piece for piece in pieces if piece not in MARKS)
        + ", [no tree:snow:0.5] <lora:no_x:1>"
    )
    prompt = split(text).prompt
    assert "(no hat:1.3)" in prompt and "[no tree:snow:0.5] <lora:no_x:1>" in prompt


@pytest.mark.parametrize(
    "piece",
    [
        "a man without a hat, ",
        "no no ",
        "word ",
        "no cars and ",
        "hatless ",
        "(",
        "'a ",
        "“",
        "a (no hat) ",
        "not red or ",
        "no a of a of ",
    ],
)
def test_work_grows_no_faster_than_the_words(piece: str) -> None:
    def work(words: int) -> float:
        text, taken = piece * (words // max(1, len(piece.split()))), list[float]()
        for i in range(3):
            started = time.process_time()
            split(f"{i} {text}")  # another each time: what was split is remembered
            taken.append(time.process_time() - started)
        return min(taken)

    assert work(10_000) < 24 * work(1_250)  # with their square it would be 64 times
