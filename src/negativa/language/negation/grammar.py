"""Where a text says no, and what it leaves out: a recursive descent over its tokens.

    negation = fixed                                     "no doubt", "not only": left alone
             | word                                      "cloudless", "car-free", "non-green"
             | [lead] without list                       "without a hat or glasses", "that is devoid of people"
             | [lead] no list                            "with no cars", "there are no people"
             | [lead] not (doing | list)                 "who isn't wearing glasses", ", not green"
             | [lead] neither noun nor noun {nor noun}
             | universal except list                     "all kinds of fruit except bananas"
             | order list                                "don't show people", "remove the hat"
    lead     = [relative | subject] [holder | copula | "there is"] [adverb]

Every negation is taken, with what it leaves out, or left, with the reason; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from negativa.language.negation import words as w
from negativa.language.negation.phrases import Phrases, Unclear
from negativa.language.negation.tokens import Kind, Token


@dataclass(frozen=True)
class Taken:
    """Tokens from `first` to before `after` say that these are to be left out; an adjective goes alone from before its noun."""

    first: int
    after: int
    negatives: tuple[str, ...]
    doubt: str = ""
    adjective: bool = False


@dataclass(frozen=True)
class Left:
    """Tokens from `first` to before `after` look like a negation and stay; no reason: they are surely none."""

    first: int
    after: int
    reason: str = ""


class Grammar(Phrases):
    """Reads the negations of a text in order."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        super().__init__(text, tokens)
        self.kept: list[int] = []  # places of words so far that stay in the prompt
        self.taken_to = -1  # where the last one taken ended
        self.apart = False  # whether it stood in a part of its own behind another

    def negations(self) -> list[Taken | Left]:
        """All of them, in order of appearance."""
        found: list[Taken | Left] = []
        at = 0
        while at < len(self.tokens):
            one = self._negation(at)
            if one is None:
                if self.kind(at) not in (Kind.STOP, Kind.HARD) and self.word(at) not in w.CONNECTOR:
                    self.kept.append(at)
                at += 1
                continue
            found.append(one)
            if isinstance(one, Taken):
                while self.kept and self.kept[-1] >= one.first:
                    self.kept.pop()
                self.taken_to = one.after
            else:
                self.kept.extend(range(at, one.after))
            at = one.after
        return found

    def _negation(self, at: int) -> Taken | Left | None:
        if self.kind(at) is not Kind.WORD:
            return None
        if size := self.phrase(at, w.FIXED):
            return Left(at, at + size)
        if self.word(at) == "no" and self.kind(at + 1) is Kind.STOP and self.word(at + 2)[:1].isdigit():
            return Left(at, at + 3)
        for size, read in self._cues(at):
            try:
                self._surroundings(at, size)
                return read(at, size)
            except Unclear as why:
                return Left(at, at + size, str(why))
        return self._inside_word(at)

    def _cues(self, at: int) -> list[tuple[int, Callable[[int, int], Taken]]]:
        """The negation that begins here: how many words it has, and what reads it. An order comes before all else."""
        if size := self._order_size(at):
            return [(size, self._order)]
        if size := self.phrase(at, w.DO_NOT, 2):
            return [(size + 1, self._without)] if self.word(at + size) in w.HAVE else []
        if self.word(at) in w.IS_NOT:
            return [(1, self._not)]
        if self.word(at) in w.COPULA and self.word(at + 1) == "not" and not self.phrase(at + 1, w.FIXED):
            return [(2, self._not)]
        kinds: tuple[tuple[frozenset[w.Phrase], Callable[[int, int], Taken]], ...] = (
            (w.WITHOUT, self._without),
            (w.NO, self._no),
            (w.NOT, self._not),
            (w.NEITHER, self._neither),
            (w.EXCEPT, self._except),
        )
        return [(size, read) for phrases, read in kinds if (size := self.phrase(at, phrases, 3))]

    def _surroundings(self, at: int, size: int) -> None:
        """Raises `Unclear` where the words around a negation make something else of it."""
        before, token, next_one = self.word(at - 1), self.tokens[at].text, at + size
        follows = self.tokens[next_one].text if self.kind(next_one) is Kind.WORD else ""
        titled = token[0].isupper() and not (token.isupper() and len(token) > 1)
        if titled and (follows[:1].isupper() or not self.ends(at - 1)):
            raise Unclear("it looks like a title")
        if before in w.DENIAL or self.word(next_one) in w.DENIAL:
            raise Unclear("two negations meet")
        if before in w.SAYING:
            raise Unclear("it looks like words in the picture")
        if before in w.LIVING or (before in w.HELPER and self.word(at) not in ("no", "neither")):
            raise Unclear(f"it belongs to {before!r}")
        if before == "or" and self.taken_to != at - 1:
            raise Unclear("it is one of two choices")
        if self.kind(next_one) in (Kind.BRACKET, Kind.QUOTE, Kind.OTHER):
            raise Unclear("a bracket, quotation or mark follows at once")

    def _start(self, at: int) -> int:
        """The place itself, or that of the connectors before it."""
        while self.word(at - 1) in w.CONNECTOR:
            at -= 1
        return at

    def _initial(self, at: int) -> bool:
        """Whether a part of the text begins here, but for connectors."""
        start = self._start(at)
        return self.ends(start - 1) or start == self.taken_to

    def _behind(self, at: int) -> bool:
        """Whether anything that stays in the prompt stands before this place."""
        return bool(self.kept) and self.kept[0] < at

    def _lead(self, at: int, verb: bool = False) -> int:
        """Where the words before a negation begin that go with it; `verb` says that it begins with a verb itself."""
        first = at - (self.word(at - 1) in w.ADVERB)
        there = next((n for n in (3, 2, 1) if tuple(self.word(first - n + k) for k in range(n)) in w.THERE), 0)
        if there:
            first, verb = first - there, True
        elif self.word(first - 1) in w.HOLDER | w.COPULA:
            verb = verb or self.word(first - 1) != "with"
            first -= 1
        if self.word(first - 1) in w.SUBJECT_IS and (self.word(first - 1) in ("who's", "that's") or self._initial(first - 1)):
            return first - 1
        if verb and self.word(first - 1) in w.FRAME and self.word(first - 2) in w.DEFINITE and self._initial(first - 2):
            return first - 2
        relative = self.word(first - 1) in w.RELATIVE and not self._initial(first - 1)
        subject = self.word(first - 1) in w.SUBJECT and self._initial(first - 1)
        return first - 1 if verb and (relative or subject) and first > self.taken_to else first

    def _finish(self, first: int, at: int, names: list[str], after: int, name: str, doubt: str = "") -> Taken:
        """The negation with its lead, unless the lead goes on behind it: "who isn't smiling and is tall"."""
        goes_on = self.word(after) in ("and", "but") and self.word(after + 1) in w.FINITE
        if goes_on and self.word(first) in w.RELATIVE | w.SUBJECT:
            first, after = first + 1, after + 1
        elif self.word(after) in ("and", "but") and self.word(first) in w.HOLDER and self._thing(after + 1):
            first, after = at, after + 1
        return Taken(max(first, self.taken_to), after, tuple(n + name for n in names), doubt)

    def _thing(self, at: int) -> bool:
        return self.word(at) in w.DETERMINER or (self.plain(at) and not self._doing(at))

    def _without(self, at: int, size: int) -> Taken:
        first = self._lead(at, self.word(at) != "without")
        if self.word(at) == "minus" and self._initial(at) and not self.kept:
            raise Unclear("nothing stands before it")
        light = self.word(at + size) in w.LIGHT
        return self._things(first, at, at + size + light, joining=True)

    def _no(self, at: int, size: int) -> Taken:
        first = self._lead(at)
        if (
            self.word(at) == "no"
            and first == at
            and not self._initial(at)
            and self.word(at - 1) not in ("and", "but", "or", "yet")
        ):
            raise Unclear("it is not clear what it belongs to")
        return self._things(first, at, at + size, joining=False)

    def _things(self, first: int, at: int, start: int, joining: bool) -> Taken:
        initial = self._initial(first)
        nouns, doubt = self.listed(start, joining, inside=not initial)
        after = nouns[-1].after
        self.apart = self.apart if self._start(first) == self.taken_to else initial and self._behind(first)
        after, name = self.trailing(after, self.word(after - 1), self.apart, subject=not joining and first == at)
        if self.word(after) in ("or", "nor") and not self._begins(after + 1):
            raise Unclear("the list goes on behind it")
        return self._finish(first, at, [noun.text for noun in nouns], after, name, doubt)

    def _not(self, at: int, size: int) -> Taken:
        verb = self.word(at) in w.IS_NOT | w.COPULA
        first, start = self._lead(at, verb), at + size
        verb = verb or first < at
        if self.word(at - 1) in ("this", "that", "these", "those") and self._initial(at - 1):
            raise Unclear("it says what this is")
        if self.word(start) in w.LIGHT or (self.word(start) == "made" and self.word(start + 1) == "of"):
            return self._things(first, at, start + 1 + (self.word(start) == "made"), joining=True)
        if self._doing(start):
            return self._not_doing(first, at, start)
        if self.word(start) in w.DEGREE:
            raise Unclear(f"{self.between(at, start + 1)!r} says how much, not what")
        if self.word(at) == "never" or not (verb or self._initial(at) or self.word(at - 1) in ("and", "but")):
            raise Unclear("it is not clear what it belongs to")
        nouns, doubt = self.listed(start, joining=False, inside=verb)
        after = nouns[-1].after
        loose = not nouns[0].determiner and not self.ends(after) and self.word(after) not in w.CONNECTOR | w.RELATIVE
        if loose:
            raise Unclear("it is not clear where it ends")
        if verb and self.word(after) == "but" and not self._begins(after + 1):
            return self._instead(at, [noun.text for noun in nouns], after)
        after, name = self.trailing(after, self.word(after - 1), False, subject=False)
        return self._finish(first, at, [noun.text for noun in nouns], after, name, doubt)

    def _instead(self, at: int, names: list[str], after: int) -> Taken:
        """ "that is not red but green" is "that is green"."""
        if self.word(at) not in w.COPULA:
            raise Unclear("something is said instead of it")
        return Taken(at + 1, after + 1, tuple(names))

    def _not_doing(self, first: int, at: int, start: int) -> Taken:
        end = start + 1
        if self.word(start) in w.LOOKING and self.word(end) in ("at", "to", "on"):
            end = self.noun(end + 1).after
        elif self.plain(end) or self.word(end) in w.DETERMINER:
            end = self.noun(end).after
        if self.word(end) in ("or", "nor"):
            raise Unclear("the list goes on behind it")
        after, name = self.trailing(end, "", False, subject=False)
        return self._finish(first, at, [self.between(start, end)], after, name)

    def _neither(self, at: int, size: int) -> Taken:
        first, start = self._lead(at), at + size
        nouns = [self.noun(start + (self.word(start) in w.LIGHT))]
        while self.word(nouns[-1].after) == "nor":
            nouns.append(self.noun(nouns[-1].after + 1))
        if len(nouns) == 1:
            raise Unclear("no 'nor' follows")
        if first == at and not self._initial(at):
            raise Unclear("it is not clear what it belongs to")
        after, name = self.trailing(nouns[-1].after, self.word(nouns[-1].after - 1), False, subject=first == at)
        return self._finish(first, at, [noun.text for noun in self._shared(nouns)], after, name)

    def _except(self, at: int, size: int) -> Taken:
        back = next((n for n in range(1, 6) if self.kind(at - n) is not Kind.WORD or self.word(at - n) in w.UNIVERSAL), 0)
        span = range(at - back + 1, at)
        things = all((self.plain(k) or self.word(k) in ("of", "the")) and self.word(k) not in w.ADJECTIVE for k in span)
        if self.word(at - back) not in w.UNIVERSAL or not span or not things or not self.plain(at - 1):
            raise Unclear("what follows may be what is wanted")
        return self._things(at, at, at + size, joining=True)

    def _order_size(self, at: int) -> int:
        """How many words an order has that begins here: "don't show", "remove"."""
        if not self._initial(at):
            return 0
        size = self.phrase(at, w.DO_NOT | {("never",)}, 2)
        if size and self.word(at + size) in w.ORDER:
            return size + 1
        return self.phrase(at, w.ORDERS, 4)

    def _order(self, at: int, size: int) -> Taken:
        first = at - (self.word(at - 1) == "please")
        before = self.tokens[first - 1].text if first else "."
        nouns, doubt = self.listed(at + size, joining=True, inside=False, order=before in ".!?;:\n")
        after = nouns[-1].after
        if self.word(after) == "from":
            raise Unclear("it goes on with 'from'")
        after, name = self.trailing(after, self.word(after - 1), self._behind(first), subject=False)
        return Taken(first, after, tuple(noun.text + name for noun in nouns), doubt)

    def _inside_word(self, at: int) -> Taken | Left | None:
        """ "cloudless", "car-free", "non-green"."""
        word = self.word(at)
        stem = word.removesuffix("-free")
        negative = w.LESS.get(word)
        if stem != word:
            negative = w.FREE.get(stem)
            if negative is None:
                return None if stem in w.FREE_FIXED else Left(at, at + 1, "it may be the name of a kind")
        elif word.startswith("non-"):
            negative = self.tokens[at].text[4:] if word[4:] in w.NON else None
            if negative is None:
                return None if word[4:] in w.NON_FIXED else Left(at, at + 1, "it may be the name of a kind")
        if negative is None:
            return None
        first = at - (self.word(at - 1) in w.ADVERB)
        if self.word(first - 1) in w.DENIAL:
            return Left(at, at + 1, "two negations meet")
        if self.word(first - 1) in w.COPULA:
            return self._finish(self._lead(at), at, [negative], at + 1, "")
        return Taken(first, at + 1, (negative,), adjective=True)
