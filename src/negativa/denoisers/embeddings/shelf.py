"""Embeddings by the words that stand for them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from negativa.denoisers.embeddings.embedding import Embedding
from negativa.denoisers.embeddings.files import READERS, read, second
from negativa.denoisers.embeddings.pictures import Plain
from negativa.errors import InputError
from negativa.plain.files import stamp

PICTURES: Final = (".png", ".webp")


class Shelf:
    """The embeddings of folders, with what is in them, and of single files.

    A word is <name>, name or the file's name with or without its ending, whatever the case; the first of two embeddings
    with one name has it, and the other is found by its file's name. A file of a folder that cannot be read is in
    `unreadable` with the sentence why. `apart` gives them tokens that no text says by itself.
    Raises `InputError` if a single file is not there or cannot be read.
    """

    def __init__(self, *places: str | os.PathLike[str], apart: bool = False) -> None:
        self.places, self._stamp = places, stamp(*places)
        self.embeddings: list[Embedding] = []
        self.unreadable: dict[Path, str] = {}
        for place in map(Path, places):
            try:
                there, folder = place.exists(), place.is_dir()
            except OSError as error:
                raise InputError(f"embeddings: {str(place)!r} cannot be looked up: {error.strerror}") from error
            if not there:
                raise InputError(f"embeddings: there is no {str(place)!r}; allowed: a folder or file of embeddings")
            if folder:
                self._gather(place)
            else:
                self.embeddings.append(read(place))
        if apart:
            self.embeddings = [one.apart() for one in self.embeddings]
        self._words: dict[str, Embedding] = {}
        for spelling in (_name, _stem, _file):
            for embedding in self.embeddings:
                self._words.setdefault(spelling(embedding).lower(), embedding)
        self._words.pop("", None)
        self._mention = re.compile("|".join(map(self._pattern, sorted(self._words, key=len, reverse=True))) or r"(?!)", re.I)

    @property
    def stale(self) -> bool:
        """Whether a file was written, or taken away, since it was read."""
        return stamp(*self.places) != self._stamp

    def names(self) -> tuple[str, ...]:
        """The name of each embedding."""
        return tuple(embedding.name for embedding in self.embeddings)

    def find(self, word: str) -> Embedding | None:
        """The embedding that a word stands for, None if it stands for none."""
        return self._words.get(word.strip().removeprefix("<").removesuffix(">").lower())

    def written(self, text: str) -> tuple[str, tuple[Embedding, ...]]:
        """A text with the tokens of embeddings in the place of their words, and the embeddings, in order of appearance.

        Words are <name> and the bare name of a file, as whole words; a name in angle brackets that only the inside of a file
        gives never stands for the bare word, which may be plain English.
        """
        found: dict[str, Embedding] = {}

        def tokens(mention: re.Match[str]) -> str:
            embedding = self.find(mention[0])
            if embedding is None:
                return mention[0]
            found[embedding.tokens[0]] = embedding
            return " ".join(embedding.tokens)

        written = self._mention.sub(tokens, text)
        return written, tuple(found.values())

    def missing(self, text: str) -> list[str]:
        """Why files whose names are words of a text could not be read."""
        return [why for file, why in self.unreadable.items() if re.search(_whole(re.escape(file.stem)), text, re.I)]

    def _pattern(self, word: str) -> str:
        embedding, spelled = self._words[word], re.escape(word)
        inside = embedding.name.startswith("<") and word not in (_stem(embedding).lower(), _file(embedding).lower())
        return f"<{spelled}>" if inside else rf"<{spelled}>|{_whole(spelled)}"

    def _gather(self, folder: Path) -> None:
        """Read what a folder holds; a picture that shows what the embedding beside it does is none itself, nor is any other."""
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READERS and path.is_file())
        files = {path.with_suffix("") for path in paths if path.suffix.lower() not in PICTURES}
        seconds: set[Path] = set()
        for path in paths:
            shown = path.suffix.lower() in PICTURES and (path.stem.endswith(".preview") or path.with_suffix("") in files)
            if shown or path in seconds:
                continue
            try:
                embedding = read(path)
            except InputError as error:
                if not isinstance(error.__cause__, Plain):
                    self.unreadable[path] = str(error)
                continue
            self.embeddings.append(embedding)
            if embedding.layout == "diffusers pair":
                seconds.add(second(path))


def _whole(pattern: str) -> str:
    """A pattern for it as a whole word, out of angle brackets."""
    return rf"(?<![\w<-]){pattern}(?![\w>-])"


def _name(embedding: Embedding) -> str:
    return embedding.bare


def _stem(embedding: Embedding) -> str:
    return embedding.path.stem


def _file(embedding: Embedding) -> str:
    return embedding.path.name
