"""What is left out: the noun phrase after a negation, lists of them, and the words that trail behind.

list     = noun {("or" | "nor") noun} | noun {"," noun} [","] "or" noun | noun "and" noun      (the last where it is plain)
noun     = [determiner ["kind of"]] word {word} ["of" noun]                                     (at most four words)
trailing = {tail | doing | place}              "visible"; "people walking"; "in the background"
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from negativa.language.negation import words as w
from negativa.language.negation.tokens import Kind, Token

LONGEST: Final = 4  # words of one noun phrase
MOST: Final = 8  # items of one list
BLOCKS: Final = frozenset({Kind.BRACKET, Kind.QUOTE, Kind.OTHER})


class Unclear(Exception):
    """Why a negation is left alone, in words that finish the sentence "'without' was left in the prompt: ..."."""


@dataclass(frozen=True)
class Noun:
    """One thing to leave out: its tokens from `first` to before `after`, and how it was introduced."""

    first: int
    after: int
    determiner: str  # "" when bare
    text: str

    @property
    def size(self) -> int:
        """How many words it has."""
        return self.after - self.first


class Phrases:
    """The tokens of a text, and the parts of the grammar that stand after a negation."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text = text
        self.tokens = tokens

    def word(self, at: int) -> str:
        """The word at a place in lower case; "" outside the text and for all that is no word."""
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    def kind(self, at: int) -> Kind | None:
        """The kind of token at a place; None outside the text."""
        return self.tokens[at].kind if 0 <= at < len(self.tokens) else None

    def ends(self, at: int) -> bool:
        """Whether a clause ends here: a stop, AND, BREAK, the end of the text."""
        return self.kind(at) in (None, Kind.STOP, Kind.HARD)

    def phrase(self, at: int, phrases: Collection[w.Phrase], longest: int = 5) -> int:
        """How many tokens the longest of these phrases takes up here; 0 for none."""
        return next((n for n in range(longest, 0, -1) if tuple(self.word(at + k) for k in range(n)) in phrases), 0)

    def plain(self, at: int) -> bool:
        """Whether this is a word with no part in the grammar: a noun, an adjective, a verb."""
        return self.word(at) not in w.FUNCTION and self.kind(at) is Kind.WORD

    def between(self, first: int, after: int) -> str:
        """The words of the text itself, white space made single."""
        return " ".join(self.text[self.tokens[first].start : self.tokens[after - 1].end].split())

    def noun(self, at: int) -> Noun:
        """One noun phrase. Raises `Unclear` if what stands here is none, or may be something else."""
        determiner = self.word(at) if self.word(at) in w.DETERMINER else ""
        while self.word(at) in w.DETERMINER:
            at += 1
        if determiner in w.INDEFINITE and self.word(at) == "single":
            at += 1
        if self.word(at) in w.KIND_OF and self.word(at + 1) == "of":
            at += 2 + (self.word(at + 2) in w.DETERMINER)
        first = at
        while self.plain(at) or (at == first and determiner and self.word(at) in w.VERB):
            if at > first and self._stops(at):
                break
            self._check(first, at)
            at += 1
            if self.word(at) == "of" and (self.plain(at + 1) or self.word(at + 1) in w.DETERMINER):
                at += 1
                at += self.word(at) in w.DETERMINER and self.plain(at + 1)
        if self.kind(at) in BLOCKS and not (self.kind(at) is Kind.OTHER and self.tokens[at].text == "&"):
            raise Unclear("a bracket, quotation or mark follows at once")
        if at == first:
            raise Unclear("what follows is not a thing that can be left out")
        if self.word(at - 1) in w.NAME_OF_KIND:
            raise Unclear("it may be the name of a kind")
        if at - first > LONGEST:
            raise Unclear("too many words follow to tell where it ends")
        return Noun(first, at, determiner, self.between(first, at))

    def _stops(self, at: int) -> bool:
        return self._doing(at) or bool(self._tail(at))

    def _doing(self, at: int) -> bool:
        word = self.word(at)
        return word.endswith("ing") and len(word) > 4 and word not in w.COMMON_NOUN_ING

    def _tail(self, at: int) -> int:
        size = self.phrase(at, w.TAIL, 2)
        return size if size and (self.ends(at + size) or self.word(at + size) in w.CONNECTOR | w.PREPOSITION) else 0

    def _check(self, first: int, at: int) -> None:
        word, before = self.word(at), self.word(at - 1)
        if word in w.ABSTRACT and not self.plain(at + 1):
            raise Unclear(f"{self.tokens[at].text!r} is nothing that can be seen")
        if word.isdigit():
            raise Unclear("a number follows")
        if at > first and before != "of":
            if word in w.ADJECTIVE and before not in w.ADJECTIVE:
                raise Unclear(f"it may end before {self.tokens[at].text!r}")
            if word[0].isdigit():
                raise Unclear(f"it may end before {self.tokens[at].text!r}")
        elif self._doing(at) and at == first:
            alone = not self.plain(at + 1)
            if alone and not (word in w.SEEN_DOING and (self.ends(at + 1) or self.word(at + 1) in w.CONNECTOR | w.PREPOSITION)):
                raise Unclear(f"{self.tokens[at].text!r} is something done, not a thing")

    def listed(self, at: int, joining: bool, inside: bool, order: bool = False) -> tuple[list[Noun], str]:
        """The things of a list, and a doubt about where it ends ("" for none).

        `joining`: after "without", "and" joins two things of the same form; after "no" it is unclear unless what follows has
        an article, which begins a new thing that is wanted. `inside`: the negation stands inside a clause, so commas may go
        on to an "or". `order`: a sentence of its own ("Avoid text, logos and frames."), where commas go on to its end.
        """
        nouns = [self.noun(at)]
        while self.word(nouns[-1].after) in ("or", "nor") and not self._begins(nouns[-1].after + 1):
            nouns.append(self.noun(nouns[-1].after + 1))
        if len(nouns) > 1:
            return self._shared(nouns), ""
        at = nouns[0].after
        if self._and(at) and self._joins(nouns[0], at + 1, joining):
            return self._shared([*nouns, self.noun(at + 1)]), ""
        rest, oxford = self._commas(at, order)
        if not rest:
            return nouns, ""
        if inside or oxford or order:
            return self._shared([*nouns, *rest]), ""
        return nouns, f"{self.between(rest[0].first, rest[-1].after)!r} may belong to it; 'no' before each makes it sure"

    def _and(self, at: int) -> bool:
        return self.word(at) == "and" or (self.kind(at) is Kind.OTHER and self.tokens[at].text == "&")

    def _begins(self, at: int) -> bool:
        """Whether what follows a connector is no noun but a new part of the sentence."""
        word = self.word(at)
        new = word in w.FINITE | w.PREPOSITION | w.DENIAL | w.RELATIVE | w.SUBJECT | {
            "lacking",
            "excluding",
            "minus",
            "then",
            "yet",
        }
        return (
            new or self.ends(at) or (self._doing(at) and word not in w.SEEN_DOING and not self.plain(at + 1)) or word in w.LIGHT
        )

    def _joins(self, one: Noun, at: int, joining: bool) -> bool:
        if self._begins(at) or self._doing(at) or self.kind(at) in BLOCKS:
            return False
        two = self.noun(at)
        if two.determiner in w.INDEFINITE and one.determiner not in w.INDEFINITE:
            if joining:
                raise Unclear(f"{two.text!r} may be wanted")
            return False
        if not joining or (two.size > 1 and one.size == 1 and not two.determiner):
            raise Unclear(f"{two.text!r} may be wanted or not")
        return True

    def _commas(self, at: int, order: bool) -> tuple[list[Noun], bool]:
        """The rest of a list that goes on over commas to a last "or", and whether a comma stands before that too."""
        rest: list[Noun] = []
        last = ("or", "nor", "and") if order else ("or", "nor")
        try:
            while len(rest) < MOST and self._comma(at) and not self._begins(at + 1 + (self.word(at + 1) in last)):
                oxford = self.word(at + 1) in last
                rest.append(self.noun(at + 1 + oxford))
                at = rest[-1].after
                if not oxford and self.word(at) in last and not self._begins(at + 1):
                    rest.append(self.noun(at + 1))
                elif not oxford:
                    continue
                doubtful = rest[-1].size > 2 or any(self._doing(n.first) or self._adjectives(n) for n in rest)
                if doubtful or not self.ends(rest[-1].after) or (order and not self._closes(rest[-1].after)):
                    return [], False
                return rest, oxford
        except Unclear:
            return [], False
        return [], False

    def _comma(self, at: int) -> bool:
        return self.kind(at) is Kind.STOP and self.tokens[at].text == ","

    def _closes(self, at: int) -> bool:
        return self.ends(at) and not self._comma(at)

    def _shared(self, nouns: list[Noun]) -> list[Noun]:
        """ "red or blue hats": what is said once, of the last, is said of each."""
        last = nouns[-1]
        head = self.word(last.after - 1)
        if last.size < 2 or head in w.ADJECTIVE or self.word(last.first) not in w.ADJECTIVE:
            return nouns
        bare = [self._adjectives(noun) for noun in nouns]
        name = self.tokens[last.after - 1].text
        return [replace(noun, text=f"{noun.text} {name}") if b else noun for noun, b in zip(nouns, bare, strict=True)]

    def _adjectives(self, noun: Noun) -> bool:
        return all(self.word(at) in w.ADJECTIVE for at in range(noun.first, noun.after))

    def trailing(self, at: int, head: str, apart: bool, subject: bool) -> tuple[int, str]:
        """Where the words that go with what is left out end, and those of them that belong to its name.

        `head` is the last word of the thing, `apart` says that the negation is a part of its own behind another ("house, no
        cars in the driveway"), `subject` that a verb behind it would make a sentence of it ("no two are alike").
        A place in a part of the thing drawn ("on the roof", "in the background") goes with the negative; a time, a weather,
        or a place of its own stays in the prompt. Raises `Unclear` where it may be either.
        """
        name = ""
        while True:
            word = self.word(at)
            if size := self._tail(at):
                at += size
            elif word in w.GOES_ON and not self.ends(at + 1) and (word != "who" or head in w.ANIMATE):
                raise Unclear(f"it goes on with {word!r}")
            elif word in w.FINITE and subject:
                raise Unclear("a sentence goes on behind it")
            elif self._doing(at) and head in w.ANIMATE:
                if word not in w.PEOPLE_DO:
                    raise Unclear(f"{self.tokens[at].text!r} may belong to either side")
                end = self._done(at)
                name, at, apart = f"{name} {self.between(at, end)}", end, True
            elif word in w.PREPOSITION and (place := self._place(at, head, apart)):
                end, kept = place
                name, at = (f"{name} {self.between(at, end)}" if kept else name), end
            else:
                return at, name

    def _done(self, at: int) -> int:
        """The end of something done: "walking", "wearing red hats"."""
        if self.plain(at + 1) or self.word(at + 1) in w.DETERMINER:
            try:
                return self.noun(at + 1).after
            except Unclear:
                return at + 1
        return at + 1

    def _place(self, at: int, head: str, apart: bool) -> tuple[int, bool] | None:
        """Where a place that goes with the negative ends, and whether its words are part of the name; None for the scene's."""
        if self.ends(at + 1):
            return at + 1, False
        if self.word(at + 1) in w.OBJECT and (self.ends(at + 2) or self.word(at + 2) in w.CONNECTOR):
            return at + 2, False
        if self.word(at + 1) in ("front", "top", "back") and (self.ends(at + 2) or self.word(at + 2) in w.CONNECTOR):
            return at + 2, True
        definite = self.word(at + 1) in w.DEFINITE
        try:
            place = self.noun(at + 1)
        except Unclear:
            return None
        last = self.word(place.after - 1)
        if last in w.FRAME and self.word(at) in ("in", "on", "inside", "from"):
            return place.after, False
        if last in w.TIME or not (self.word(at) in w.ROUND or (apart and definite and self.word(at) == "at")):
            return None
        part = (last in w.PART and (definite or place.size == 1)) or place.determiner == "its"
        if apart or (part and place.determiner not in w.INDEFINITE):
            return place.after, True
        if definite and (last in w.EITHER_PLACE or head in w.ANIMATE):
            raise Unclear(f"{self.between(at, place.after)!r} may belong to either side")
        return None
