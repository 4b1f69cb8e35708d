"""Weights in a text: documented parses by hand, properties over all texts, and back to text again, in every grammar."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negativa import InputError
from negativa.language.prompting import Clause, is_scheduled, notices, read, split_and
from negativa.language.weights import parse, unparse
from negativa.plain.conditions import SYNTAXES

BREAK = ("BREAK", -1.0)
OWN = [syntax for syntax in SYNTAXES if syntax != "compel"]
PIECES = [
    "a",
    "b c",
    " ",
    "(",
    ")",
    "[",
    "]",
    ":",
    "|",
    "\\",
    "1.3",
    ":1.3)",
    ":-1)",
    "2",
    ".",
    ",",
    "BREAK",
    "AND",
    "+",
    "--",
    '"',
    "é",
    "\n",
]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=30)
finite = st.floats(-1e6, 1e6)
rows = st.lists(
    st.tuples(texts.filter(bool), finite | st.sampled_from([1.0, 1.1, 1 / 1.1, 0.0, -1.0, 1.2100000000000002])), max_size=6
)
NASTY = [
    "",
    "\\",
    "\\\\\\",
    "(\\",
    "(x\\)",
    ":1.3)",
    "(:)",
    "(:1.3",
    "((:1.3)",
    "([)]",
    "[(])",
    "(a [b) c]",
    "(x:1.2.3)",
    "(x:.)",
    "(x:--1)",
    "(x:+-1)",
    "(x:nan)",
    "(x:inf)",
    "(x:1e999)",
    f"(x:{'9' * 400})",
    f"((x:{'9' * 400}):0)",
    "(x:٣)",
    "(x: 1.3 )",
    "(x:\n1.3\n)",
    "BREAK",
    "BREAKBREAK",
    "BREAK BREAK",
    " BREAK ( ) BREAK ",
    "(BREAK:-1)",
    "a ( )BREAK",
    "BREA()K",
    "A()ND",
    "AND",
    "AND:-1",
    "a:1.2 AND",
    "a\\:1.2",
    "a\\\\:1.2",
    "(a:1.2",
    "a:1.2 (",
    "[a:b:",
    "[::]",
    "[|]",
    "[:|:1]",
    "[a|b:.5]",
    "[a:b:1e400]",
    "[a:b:-.5]",
    "[(a:b]:3)",
    "[a (b [c:d) e:3]",
    "\x00(\ud800:1.2)\x00",
    "embedding:a\\(b\\):1.2",
    "<lora:x:1>",
    "{a|b}",
    '"a" "b\\"',
    "(a)1.2.3",
    '("a", "b").blend(1',
    '("a").blend(x)',
    "((a)+)-",
    "+ - ++ --",
    "a.attend(x)",
    "(" * 11 + "a",
    "(a b c " * 12,
]


def joined(row: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Neighbours of equal weight as one part: the oracle."""
    out: list[tuple[str, float]] = []
    for text, weight in row:
        if out and out[-1][1] == weight:
            out[-1] = (out[-1][0] + text, weight)
        else:
            out.append((text, weight))
    return out or [("", 1.0)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("normal text", [("normal text", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.5730000000000004),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641000000000006),
                (".", 1.1),
            ],
        ),
        ("[x]", [("x", 1 / 1.1)]),
        ("(x: 1.3 ) y", [("x", 1.3), (" y", 1.0)]),
        ("(mustache:-1)", [("mustache", -1.0)]),
        ("a (x:1) b", [("a x b", 1.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 1 / 1.1)]),
        ("a BREAK b", [("a", 1.0), BREAK, ("b", 1.0)]),
        ("(a BREAK b:1.2)", [("a", 1.2), BREAK, ("b", 1.2)]),
        ("BREAKFAST", [("BREAKFAST", 1.0)]),
        ("(x:1.2.3)", [("x:1.2.3", 1.1)]),
        ("(x:1.3", [("x", 1.3)]),
        (r"a\b", [(r"a\b", 1.0)]),
        (r"(16\:9)", [("16:9", 1.1)]),
        ("a) b", [("a) b", 1.0)]),
        ("", [("", 1.0)]),
        ("()", [("", 1.0)]),
        ("(" * 10_000 + "x", [("x", 1e6)]),
    ],
)
def test_a1111(text: str, parts: list[tuple[str, float]]) -> None:
    assert parse(text) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
        ("(a (b:1.2):1.1)", [("a ", 1.1), ("b", 1.2)]),
        ("((a:1.5))", [("a", 1.5)]),
        ("((a))", [("a", 1.2100000000000002)]),
        ("(a", [("(a", 1.0)]),
        ("(a (b)", [("(a ", 1.0), ("b", 1.1)]),
        ("a) (b:1.2)", [("a) ", 1.0), ("b", 1.2)]),
        (r"\(a\) (b\):1.2)", [("(a) ", 1.0), ("b)", 1.2)]),
        ("[a] a\\b BREAK AND", [("[a] a\\b BREAK AND", 1.0)]),
        ("(embedding:easy:0.5), embedding:bad", [("embedding:easy", 0.5), (", embedding:bad", 1.0)]),
        ("(a:1e-1)(b:nan)", [("a", 0.1), ("b:nan", 1.1)]),
        ("(:1.2)", [(":1.2", 1.1)]),
    ],
)
def test_comfy(text: str, parts: list[tuple[str, float]]) -> None:
    assert parse(text, "comfy") == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a cat++ on (a big ball)1.5", [("a", 1.0), (" cat", 1.1 * 1.1), (" on", 1.0), (" a big ball", 1.5)]),
        ("(hat)- and bird--", [("hat", 0.9), (" and", 1.0), (" bird", 0.9**2)]),
        ("a [b] (c:1", [("a [b] (c:1", 1.0)]),
        ("", [("", 1.0)]),
    ],
)
def test_compel(text: str, parts: list[tuple[str, float]]) -> None:
    assert [(part, pytest.approx(weight)) for part, weight in parts] == parse(text, "compel")


@pytest.mark.parametrize("text", ['("a", "b").blend(0.5, 1)', '("a", "b").and()', "cat.swap(dog)", "a withLora(x, 0.5)"])
def test_compel_beyond_weights_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"\.blend\(\)|\.and\(\)|\.swap\(\)|LoRA"):
        parse(text, "compel")


def test_plain_takes_every_character_literally() -> None:
    text = r"(a:1.2) [b] \( BREAK c AND d:1.2"
    assert parse(text, "plain") == [(text, 1.0)]
    assert read(text, "plain") == (Clause((((text, 1.0),),)),)
    assert unparse([(text, 1.0)], "plain") == text
    with pytest.raises(InputError, match="plain"):
        unparse([("a", 1.1)], "plain")


@pytest.mark.parametrize("call", [parse, read, is_scheduled, lambda text, syntax: unparse([(text, 1.0)], syntax)])
def test_an_unknown_syntax_is_refused_with_the_nearest_name(call) -> None:
    with pytest.raises(InputError, match="did you mean 'comfy'"):
        call("a", "comfi")


@pytest.mark.parametrize("syntax", OWN)
@settings(deadline=None)
@given(text=texts)
def test_any_text_is_read_and_comes_back(syntax: str, text: str) -> None:
    parts = parse(text, syntax)
    assert parts and all(part or parts == [("", 1.0)] for part, _ in parts)
    assert parse(unparse(parts, syntax), syntax) == parts
    read(text, syntax, 2, 5), is_scheduled(text, syntax), notices("prompt", text, syntax, 5)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts(syntax: str, text: str) -> None:
    try:
        parts = parse(text, syntax)
        assert parse(unparse(parts, syntax), syntax) == parts
        clauses = read(text, syntax, 2, 5)
    except InputError:
        assert syntax == "compel"
        return
    assert clauses and all(clause.chunks and all(clause.chunks) for clause in clauses)
    assert all(abs(weight) <= 1e6 for _, weight in parts)
    notices("prompt", text, syntax, 5)


@settings(max_examples=60, deadline=None)
@given(texts)
def test_compel_reads_or_refuses_any_text(text: str) -> None:
    try:
        parts = parse(text, "compel")
        assert parse(unparse(parts, "compel"), "compel") == parts
    except InputError:
        pass


@pytest.mark.parametrize("syntax", ["a1111", "comfy"])
@settings(deadline=None)
@given(row=rows)
def test_parts_come_back_from_their_text(syntax: str, row: list[tuple[str, float]]) -> None:
    if BREAK not in row:
        assert parse(unparse(row, syntax), syntax) == joined(row)


@settings(deadline=None)
@given(rows.filter(lambda row: BREAK not in row))
def test_written_parts_are_one_clause_of_one_chunk_without_a_schedule(row: list[tuple[str, float]]) -> None:
    text = unparse(row)
    assert read(text) == (Clause((tuple(joined(row)),)),) and not is_scheduled(text)


@settings(deadline=None)
@given(texts)
def test_escaped_text_comes_back(text: str) -> None:
    escaped = "".join(f"\\{one}" if one in "()[]\\:|" else one for one in text.replace("BREAK", "").replace("AND", ""))
    assert parse(escaped) == [("".join(text.replace("BREAK", "").replace("AND", "")), 1.0)] if escaped else True


@settings(deadline=None)
@given(st.lists(st.decimals(-3, 3, places=2), min_size=1, max_size=5))
def test_weights_multiply(weights: list) -> None:
    text, product = "x", 1.0
    for weight in weights:
        text = f"({text}:{weight})"
    for weight in reversed(weights):
        product *= float(weight)
    assert parse(text) == [("x", product)]
    assert parse(text, "comfy") == [("x", float(weights[0]))]


@pytest.mark.parametrize("syntax", OWN)
@settings(deadline=None)
@given(
    text=st.text(st.characters(exclude_characters="()[]\\:|", codec="utf-8"), min_size=1).filter(
        lambda text: not re.search("AND|BREAK", text)  # these are signs too
    )
)
def test_text_without_signs_is_one_part_of_weight_1(syntax: str, text: str) -> None:
    assert parse(text, syntax) == [(text, 1.0)]
    clauses = read(text, syntax)
    assert clauses == (Clause((((text, 1.0),),)),) and not clauses[0].weighted


@pytest.mark.parametrize("text", ["(a:1)", "a (b:1.0) c", "([a])", "(([[a]]))"])
def test_weights_of_exactly_1_are_no_weights(text: str) -> None:
    assert not read(text)[0].weighted


@pytest.mark.parametrize("text", ["(a:1.01)", "[a]", "(a:0)", "b (a:-1)"])
def test_other_weights_are_weights(text: str) -> None:
    assert read(text)[0].weighted


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([("a ", 1.0), ("b", 1.1)], "a (b)"),
        ([("a", 1 / 1.1)], "[a]"),
        ([("a:b", 1 / 1.1)], "(a:b:0.9090909090909091)"),
        ([("a", 1.1 * 1.1)], "((a))"),
        ([("a", 1.3), ("b", -1.0), ("c", 2.0)], "(a:1.3)(b:-1)(c:2)"),
        ([("a", 1e-7)], "(a:0.0000001)"),
        ([("a", 1.0), BREAK, ("b", 1.0)], "a BREAK b"),
        ([("a:1.2", 1.0)], r"a\:1.2"),
    ],
)
def test_weights_are_written_shortly(parts: list[tuple[str, float]], text: str) -> None:
    assert unparse(parts) == text


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_not_written(weight: float) -> None:
    with pytest.raises(InputError, match="weight"):
        unparse([("a", weight)])


def test_chunks() -> None:
    assert read("a (b BREAK c:1.2) BREAK") == (Clause(((("a ", 1.0), ("b", 1.2)), (("c", 1.2),))),)
    assert read("BREAK a") == (Clause(((("", 1.0),), (("a", 1.0),))),)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("a:0.5 AND b:-1.2", [("a", 0.5), ("b", -1.2)]),
        ("a AND b", [("a", 1.0), ("b", 1.0)]),
        ("a : 2 AND b:3", [("a", 2.0), ("b", 3.0)]),
        ("a:1.2", [("a", 1.2)]),
        ("ratio 16:9", [("ratio 16:9", 1.0)]),
        (r"a\:1.2", [(r"a\:1.2", 1.0)]),
        (r"a\\:1.2", [(r"a\\", 1.2)]),
        (" a ", [(" a ", 1.0)]),
        ("SAND ANDY", [("SAND ANDY", 1.0)]),
        ("(a AND b:1.2)", [("(a AND b:1.2)", 1.0)]),
        ("(a AND b:1.2) AND c", [("(a AND b:1.2)", 1.0), ("c", 1.0)]),
        ("(a AND b", [("(a", 1.0), ("b", 1.0)]),
        (r"\(a AND b\)", [(r"\(a", 1.0), (r"b\)", 1.0)]),
        ("(a:1.3", [("(a:1.3", 1.0)]),
        ("a AND ", [("a", 1.0)]),
        ("AND", [("", 1.0)]),
        (f"a:{'9' * 400} AND b", [("a", 1e6), ("b", 1.0)]),
    ],
)
def test_and(text: str, clauses: list[tuple[str, float]]) -> None:
    assert split_and(text) == clauses


def test_a_box_of_everything() -> None:
    assert read("a [b:c:.5] BREAK (d:-1):0.5 AND x", step=1, steps=4) == (
        Clause(((("a b", 1.0),), (("d", -1.0),)), 0.5),
        Clause(((("x", 1.0),),)),
    )


@pytest.mark.parametrize(
    ("text", "syntax", "said"),
    [
        ("(x:1.2.3)", "a1111", "':1.2.3)' holds no number"),
        ("(x:1,3)", "a1111", "':1,3)' holds no number"),
        ("a (b", "a1111", "'(b' is not closed"),
        ("a (b:1.3", "a1111", "to the end with the weight 1.3"),
        ("[a:1.3]", "a1111", "'[a:1.3]' would begin after the last of 10 steps"),
        ("(a:2000000)", "a1111", "taken as 1e+06"),
        ("(a AND b)", "a1111", "AND inside brackets"),
        ("a:1.2", "a1111", "the 1.2 at the end weighs the whole text"),
        ("a:0.5, b", "a1111", "the number in 'a:0.5' is text"),
        ("(a", "comfy", "'(a' has no partner"),
        ("(a:1,2)", "comfy", "':1,2)' holds no number"),
        ("[a]", "comfy", "'[a]' is text"),
        ("a BREAK b", "comfy", "BREAK is a word"),
        ("(a)-1.2", "compel", "no weight below zero"),
        ("a (b:1.2)", "compel", "the number in '(b:1.2)' is text"),
        ("a [b]", "compel", "compel knows round ones only"),
        ("a AND b", "compel", "AND is a word in compel's grammar"),
    ],
)
def test_what_is_not_as_it_seems_is_said(text: str, syntax: str, said: str) -> None:
    [sentence] = notices("negative", text, syntax, steps=10)
    assert sentence.startswith("negative: ") and said in sentence


@pytest.mark.parametrize(
    "text", ["a (b:1.2), [c], [d:e:5] BREAK f:2 AND (g:-1)", "a photo, 16:9 :)", "at 10:30, 1:2, b", r"\(a\)", "(a:1.30)"]
)
def test_what_is_as_it_seems_needs_no_words(text: str) -> None:
    assert notices("prompt", text, steps=10) == ()


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    "text", ["(", ")", "[", "]", "(a", "[a", "a)", "([", "[(", "a [b|c:", "[a|b]", "word ", "BREAK ", "a AND ", "\\", ":1 "]
)
def test_ten_thousand_of_anything_take_little_time(syntax: str, text: str) -> None:
    begun = time.process_time()
    for much in (text * 10_000, text * 10_000 + "x" + {"(": ")", "[": "]"}.get(text[0], "") * 10_000):
        try:
            parts = parse(much, syntax)
            read(much, syntax, 3, 5), is_scheduled(much, syntax)
            assert parse(unparse(parts, syntax), syntax) == parts
        except InputError:
            assert syntax == "compel"
    assert time.process_time() - begun < 20


@pytest.mark.parametrize("tag", ["<lora:some style:0.8>", "<lyco:x:1:2>", "<hypernet:x:1>"])
def test_tags_of_loras_are_no_text_in_a1111_alone_and_that_is_said(tag: str) -> None:
    assert read(f"a man:1.2 {tag}") == read("a man:1.2 ") and read(tag) == read("")
    assert not is_scheduled(f"[a {tag.replace('x', 'x|y')}]")
    (said,) = notices("prompt", f"a man {tag}")
    assert said == f"prompt: {tag!r} is taken out of the text; a LoRA is given with --lora FILE:WEIGHT (loras=)"
    assert tag in str(read(f"a man {tag}", "plain")) and notices("prompt", "a <b>") == ()


def test_plain_says_that_signs_are_text() -> None:
    assert notices("prompt", "a man, hat", "plain") == ()
    for text in ("(hat:1.2)", "[a:b:3]", "a AND b"):
        assert notices("negative", text, "plain") == ("negative: weights, schedules and AND are text: the syntax is plain",)
