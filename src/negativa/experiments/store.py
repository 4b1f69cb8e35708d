"""What a study has done so far: one SQLite file, and its pictures under their hashes beside it.

A picture is written under a temporary name, flushed to the disk and renamed; only then is its row committed. A row
therefore always has its whole picture, whenever the process ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from negativa.errors import InputError, OutputError
from negativa.experiments import fairness
from negativa.experiments.machine import machine
from negativa.experiments.place import DATABASE, PICTURES, check_place, lock
from negativa.experiments.plan import Plan
from negativa.experiments.records import Failure, Picture, Run
from negativa.experiments.scoring import REVISION, Scores
from negativa.language import infotext
from negativa.language.files import whole
from negativa.language.pictures import CHUNK
from negativa.plain.receipt import Receipt

OURS: Final = re.compile(r"[0-9a-f]{64}\.png|\.negativa-[0-9a-f]{12}")
VARYING: Final = ("rows_run", "seconds")  # of a receipt: what depends on the company a picture was made in
TABLES: Final = """
CREATE TABLE plan (hash TEXT PRIMARY KEY, json TEXT NOT NULL, begun TEXT NOT NULL);
CREATE TABLE pictures (arm TEXT NOT NULL, seed INTEGER NOT NULL, hash TEXT NOT NULL, receipt TEXT NOT NULL,
    rows_asked INTEGER NOT NULL, rows_run INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (arm, seed));
CREATE TABLE scores (measure TEXT NOT NULL, arm TEXT NOT NULL, seed INTEGER, value REAL);
CREATE INDEX scores_of ON scores (measure, arm);
CREATE TABLE failures (arm TEXT NOT NULL, seed INTEGER, sentence TEXT NOT NULL);
CREATE TABLE runs (begun TEXT PRIMARY KEY, seconds REAL NOT NULL, pictures INTEGER NOT NULL, machine TEXT NOT NULL)
"""
#: What the folder of an earlier version may lack.
LATER: Final = """
CREATE TABLE IF NOT EXISTS alike (measure TEXT NOT NULL, arm TEXT NOT NULL, seed INTEGER, before REAL, after REAL);
CREATE TABLE IF NOT EXISTS scored (revision INTEGER NOT NULL)
"""
COUNTED: Final = """
INSERT INTO runs VALUES (?1, ?2, 1, ?3) ON CONFLICT DO UPDATE SET seconds = ?2, pictures = pictures + 1
"""


class Store:
    """The folder of one study: `study.db` and `pictures/`; a context manager, for one process at a time.

    Raises `InputError` if the folder holds another plan, files in the place of a study's, or is in use, `OutputError` if it
    cannot be written. Both hold for every method: a full disk ends in an `OutputError`, with all that was finished before it
    kept.
    """

    def __init__(self, folder: str | os.PathLike[str], plan: Plan) -> None:
        self.folder, self.plan = Path(folder), plan
        self.pictures = self.folder / PICTURES
        self._arms = plan.arms()
        self._begun, self._clock = datetime.now(UTC).isoformat("T", "milliseconds"), time.monotonic()
        check_place(self.folder)
        try:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self._lock = lock(self.pictures)
        except OSError as error:
            said = f"out: {str(folder)!r} cannot be the folder of a study: {error.strerror or error}"
            raise OutputError(f"{said}; allowed: a new folder") from error
        try:
            with self._sentences(DATABASE):
                self._db = sqlite3.connect(self.folder / DATABASE, isolation_level=None, timeout=30)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._adopt()
                self._check_scores()
            self._known = dict(fact for one in self.all() for fact in fairness.facts(one.receipt).items())
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_db"):
            self._db.close()
        if self._lock is not None:
            os.close(self._lock)

    @property
    def begun(self) -> str:
        """When this study was first run, UTC, ISO 8601."""
        return self._rows("SELECT begun FROM plan")[0][0]

    def mend(self) -> list[Picture]:
        """Look at every picture again; those whose file is gone or does not match its hash are forgotten and told.

        Removes what an interrupted run left unfinished, and last time's failures: both are tried again.
        """
        kept, damaged = set[str](), list[Picture]()
        for one in self.all():
            try:
                whole = hashlib.sha256(self._path(one.hash).read_bytes()).hexdigest() == one.hash
            except OSError:
                whole = False
            kept.add(one.hash) if whole else damaged.append(one)
        with self._sentences(DATABASE), self._transaction():
            self._db.execute("DELETE FROM failures")
            for one in damaged:
                self._db.execute("DELETE FROM pictures WHERE arm = ? AND seed = ?", (one.arm, one.seed))
                self._forget_scores(one.arm)
        with self._sentences(PICTURES):
            for path in self.pictures.iterdir():
                if OURS.fullmatch(path.name) and path.stem not in kept:
                    path.unlink()
        return damaged

    def all(self) -> list[Picture]:
        """Every finished picture, in the order of arms and seeds."""
        places = {arm.label: i for i, arm in enumerate(self._arms)}
        rows = self._rows("SELECT arm, seed, hash, receipt FROM pictures ORDER BY seed")
        return sorted(
            (Picture(arm, seed, name, json.loads(said)) for arm, seed, name, said in rows), key=lambda one: places[one.arm]
        )

    def image(self, picture: Picture) -> Image.Image:
        """The picture itself, RGB. Raises `InputError` if its file has been damaged since the study began to run."""
        try:
            with Image.open(self._path(picture.hash)) as image:
                return image.convert("RGB")
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            raise InputError(f"pictures: {picture.hash}.png could not be read; run the study again to make it anew") from error

    def put(self, arm: str, seed: int, image: Image.Image, receipt: Receipt) -> Picture:
        """Keep a picture; on return it is on the disk. Its file holds its recipe, and not what varies between runs.

        Raises `InputError` if it was made otherwise than those before: another kind of device, another dtype, other weights,
        another LoRA, adapter or embedding of the same name.
        """
        said = receipt.to_dict()
        made = fairness.facts(said)
        fairness.check_run(self._known, made)
        self._known |= made
        data = _png(image, receipt)
        picture = Picture(arm, seed, hashlib.sha256(data).hexdigest(), said)
        self.write(self._path(picture.hash), data)
        row = (arm, seed, picture.hash, receipt.to_json(), receipt.rows_asked, receipt.rows_run, receipt.seconds)
        with self._sentences(DATABASE), self._transaction():
            self._db.execute("INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._db.execute(COUNTED, (self._begun, time.monotonic() - self._clock, machine(receipt.device)))
            self._forget_scores(arm)
        return picture

    def runs(self) -> list[Run]:
        """When, where and for how long pictures were made."""
        return [Run(*row) for row in self._rows("SELECT begun, seconds, pictures, machine FROM runs ORDER BY begun")]

    def fail(self, arm: str, seed: int | None, sentence: str) -> None:
        """Keep why there is no picture of a seed, or no score of a measure."""
        self._rows("INSERT INTO failures VALUES (?, ?, ?)", arm, seed, sentence)

    def failures(self) -> list[Failure]:
        """What could not be done in the last run."""
        return [Failure(*row) for row in self._rows("SELECT arm, seed, sentence FROM failures ORDER BY rowid")]

    def put_scores(self, measure: str, arm: str, values: Scores) -> None:
        """Keep the scores of an arm, all at once: seed -> value; None is not a number.

        Of a measure over whole arms: None -> the value of all, seed -> the value of all others.
        """
        with self._sentences(DATABASE), self._transaction():
            rows = [(measure, arm, seed, value) for seed, value in values.items()]
            self._db.executemany("INSERT INTO scores VALUES (?, ?, ?, ?)", rows)

    def scores(self, measure: str, arm: str) -> dict[int | None, float | None]:
        """The scores of an arm, by seed; empty if it has not been scored."""
        return dict(self._rows("SELECT seed, value FROM scores WHERE measure = ? AND arm = ? ORDER BY seed", measure, arm))

    def put_alike(self, measure: str, arm: str, before: Scores, after: Scores) -> None:
        """Keep what a measure over whole arms says of an arm's baseline and of the arm, both held to the same."""
        with self._sentences(DATABASE), self._transaction():
            rows = [(measure, arm, seed, before[seed], value) for seed, value in after.items()]
            self._db.executemany("INSERT INTO alike VALUES (?, ?, ?, ?, ?)", rows)

    def alike(self, measure: str, arm: str) -> tuple[Scores, Scores]:
        """The scores that `put_alike` kept; empty if there are none."""
        rows = self._rows("SELECT seed, before, after FROM alike WHERE measure = ? AND arm = ? ORDER BY seed", measure, arm)
        return {seed: before for seed, before, _ in rows}, {seed: after for seed, _, after in rows}

    def write(self, path: Path, data: bytes) -> None:
        """Write a file whole or not at all, over one of its name."""
        with self._sentences(path.name), whole(path) as file:
            file.write(data)

    def _path(self, digest: str) -> Path:
        return self.pictures / f"{digest}.png"

    def _rows(self, question: str, *values: object) -> list[Any]:
        with self._sentences(DATABASE):
            return self._db.execute(question, values).fetchall()

    def _adopt(self) -> None:
        """Write the plan down, or see that it is the one that stands there; one without a single picture gives way."""
        plan = self.plan.hash, json.dumps(self.plan.to_dict(), ensure_ascii=False), self._begun
        with self._transaction():
            if not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in TABLES.split(";"):
                    self._db.execute(statement)
                self._db.execute("INSERT INTO plan VALUES (?, ?, ?)", plan)
            elif not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'plan'").fetchone():
                raise InputError(f"out: study.db in {str(self.folder)!r} is another program's; allowed: a new folder")
            for statement in LATER.split(";"):
                self._db.execute(statement)
            if not self._db.execute("SELECT 1 FROM pictures").fetchone():
                for table in ("plan", "failures"):
                    self._db.execute(f"DELETE FROM {table}")
                self._db.execute("INSERT INTO plan VALUES (?, ?, ?)", plan)
        found = self._db.execute("SELECT hash FROM plan").fetchone()[0]
        if found != self.plan.hash:
            raise InputError(
                f"out: {str(self.folder)!r} holds the study of another plan ({found}, given: {self.plan.hash});"
                " a plan is not changed once it is run; allowed: a new folder"
            )

    def _check_scores(self) -> None:
        """Forget scores whose numbers mean something else than those of this version: they are made anew."""
        with self._transaction():
            if self._db.execute("SELECT revision FROM scored").fetchall() != [(REVISION,)]:
                for table in ("scores", "alike", "scored"):
                    self._db.execute(f"DELETE FROM {table}")
                self._db.execute("INSERT INTO scored VALUES (?)", (REVISION,))

    def _forget_scores(self, arm: str) -> None:
        for one in self._arms:
            if arm in (one.label, one.baseline):
                for table in ("scores", "alike"):
                    self._db.execute(f"DELETE FROM {table} WHERE arm = ?", (one.label,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """Turn what disks and databases raise into one sentence."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, OutputError):
                raise
            reason, code = getattr(error, "strerror", None) or error, getattr(error, "sqlite_errorname", "")
            if code == "SQLITE_NOTADB":
                raise InputError(f"out: {what} in {str(self.folder)!r} is no database; allowed: a new folder") from error
            if code.startswith("SQLITE_CORRUPT") or code == "SQLITE_ERROR":  # the latter: a table or column is missing
                said = f"out: {what} in {str(self.folder)!r} is damaged: {reason}"
                raise InputError(f"{said}; allowed: a new folder, or a whole copy of {what} in its place") from error
            said = f"out: {what} of {str(self.folder)!r} could not be used: {reason}"
            raise OutputError(f"{said}; what is finished is kept, run the study again to go on") from error


def _png(image: Image.Image, receipt: Receipt) -> bytes:
    notes, said = PngInfo(), receipt.to_dict()
    notes.add_itxt("parameters", infotext.write(receipt))
    notes.add_itxt(CHUNK, json.dumps({name: said[name] for name in said if name not in VARYING}, ensure_ascii=False))
    data = BytesIO()
    image.save(data, "PNG", pnginfo=notes)
    return data.getvalue()
