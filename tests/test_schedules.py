"""Texts that change from step to step: documented schedules by hand, and any text at any step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negativa import InputError
from negativa.language.prompting import at, is_scheduled, read, schedule
from negativa.plain.conditions import SYNTAXES

PIECES = ["a", " b", "[", "]", "(", ")", ":", "|", "\\", "3", ".5", "-1", "1e9", "[a:b:2]", "[a|b]", "AND", "BREAK"]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=30)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("test", [(10, "test")]),
        ("a [b:3]", [(3, "a "), (10, "a b")]),
        ("a [b: 3]", [(3, "a "), (10, "a b")]),
        ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
        ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
        ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
        ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a [unbalanced", [(10, "a [unbalanced")]),
        ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [{b|d{:.5] c", [(5, "a  c"), (10, "a {b|d{ c")]),
        ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
        ("[a|(b:1.1)]", [(step, "a" if step % 2 else "(b:1.1)") for step in range(1, 11)]),
        ("[fe|]male", [(step, "female" if step % 2 else "male") for step in range(1, 11)]),
        ("[fe|||]male", [(step, "female" if step in (1, 5, 9) else "male") for step in range(1, 11)]),
        # not in the original's documentation
        ("[a::3]", [(3, "a"), (10, "")]),
        ("[a:b:0]", [(10, "b")]),
        ("[a:b:-2]", [(10, "b")]),
        ("[a:b:10]", [(10, "a")]),
        ("[a:b:1e400]", [(10, "a")]),
        ("[a:b:1.0]", [(10, "a")]),
        ("[a:b:1]", [(1, "a"), (10, "b")]),
        ("[a:b:.29]", [(2, "a"), (10, "b")]),
        ("[a:b:c:3]", [(10, "[a:b:c:3]")]),
        ("[a (b:c:3]", [(10, "[a (b:c:3]")]),
        ("(a [b) c:3]", [(10, "(a [b) c:3]")]),
        ("[a]", [(10, "[a]")]),
        ("[a:b]", [(10, "[a:b]")]),
        (r"\[a:3\] [\[b\]:3]", [(3, r"\[a:3\] "), (10, r"\[a:3\] \[b\]")]),
        (r"[a\:1:b:3]", [(3, r"a\:1"), (10, "b")]),
        ("x | y [a:b:3]", [(3, "x | y a"), (10, "x | y b")]),
        ("[[a:b:2]|c]", [(1, "a")] + [(step, "b" if step % 2 else "c") for step in range(2, 11)]),
    ],
)
def test_schedules(text: str, pairs: list[tuple[int, str]]) -> None:
    assert schedule(text, 10) == pairs


def test_a_fraction_of_twenty_steps_is_counted_from_zero() -> None:
    assert [at("[a:b:.5]", step, 20) for step in range(20)] == ["a"] * 10 + ["b"] * 10


@settings(deadline=None)
@given(texts, st.integers(1, 12))
def test_any_text_at_any_step(text: str, steps: int) -> None:
    pairs = schedule(text, steps)
    ends = [end for end, _ in pairs]
    assert ends == sorted(set(ends)) and ends[-1] == steps and ends[0] >= 1
    for step in range(steps):
        assert at(text, step, steps) == next(shown for end, shown in pairs if step < end)
    if not is_scheduled(text):
        assert pairs == [(steps, text)]
        assert all(read(text, "a1111", step, steps) == read(text) for step in range(steps))


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="[", codec="utf-8")))
def test_a_text_without_square_brackets_never_changes(text: str) -> None:
    assert not is_scheduled(text) and schedule(text, 7) == [(7, text)]


@pytest.mark.parametrize(
    ("text", "expected"), [("[a]", False), ("[a:b:0]", True), ("[a|b]", True), ("[a:3", False), ("a:3", False)]
)
def test_whether_a_text_is_scheduled(text: str, expected: bool) -> None:
    assert is_scheduled(text) is expected
    assert not any(is_scheduled(text, syntax) for syntax in SYNTAXES if syntax != "a1111")


def test_clauses_weights_and_breaks_may_come_and_go() -> None:
    text = "[a AND (b:-1):c BREAK d:2]"
    assert [[clause.chunks for clause in read(text, "a1111", step, 4)] for step in (1, 2)] == [
        [((("a", 1.0),),), ((("b", -1.0),),)],
        [((("c", 1.0),), (("d", 1.0),))],
    ]


def test_a_deep_nest_of_schedules() -> None:
    text = "[" * 3000 + "a" + ":1]" * 3000
    assert schedule(text, 5) == [(1, ""), (5, "a")]


@pytest.mark.parametrize(("step", "steps", "field"), [(0, 0, "steps"), (5, 5, "step"), (-1, 5, "step"), (0, 2.5, "steps")])
def test_a_step_that_is_none_is_refused(step: int, steps: int, field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}: "):
        at("[a:b:1]", step, steps)
