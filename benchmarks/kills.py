"""Kills studies at random moments, while drawing, scoring or reporting, and compares what they come to with an undisturbed run.

After every kill the database must open and be whole, and every picture of a row must match its hash. At the end pictures,
scores and verdicts must be the same, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLAN = """
prompts = "portrait of a man"
negatives = ["", "mustache", "zorblat"]
seeds = "0:12"
steps = 2
measures = ["presence:mustache", "kept", "variety", "spread"]
"""
PICTURES = 36


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how many studies are killed")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan, whole = folder / "plan.toml", folder / "whole"
        plan.write_text(PLAN)
        with subprocess.Popen(command(plan, whole), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            wait_for(process, whole, PICTURES)
            last = time.perf_counter()
        tail = time.perf_counter() - last
        assert process.returncode == 0 and sound(whole) == PICTURES
        for number in range(chosen.times):
            out, moment = folder / f"killed {number}", chance.randrange(-1, PICTURES + 8)
            with subprocess.Popen(command(plan, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                wait_for(process, out, min(moment, PICTURES))
                time.sleep(chance.uniform(0, tail if moment >= PICTURES else 0.05))
                process.send_signal(signal.SIGKILL)
            there = sound(out)
            subprocess.run(command(plan, out), check=True, capture_output=True)
            assert contents(out) == contents(whole), f"{out} came to another end"
            when = "while scoring" if moment >= PICTURES else f"at picture {moment}"
            print(f"{number + 1:>3}: killed {when}, {there} of {PICTURES} pictures kept, the same end", flush=True)


def wait_for(process: subprocess.Popen[bytes], out: Path, pictures: int) -> None:
    """Until so many picture files are there, finished or not; -1 is at once."""
    while process.poll() is None and pictures >= 0 and len(list(out.glob("pictures/*.png"))) < pictures:
        time.sleep(0.001)


def command(plan: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "negativa", "study", str(plan), "--out", str(out), "--reproducible"]


def sound(out: Path) -> int:
    """How many pictures the study has; everything that a row promises must be there and whole."""
    if not (out / "study.db").exists():
        return 0
    with sqlite3.connect(out / "study.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        there = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'pictures'").fetchone()
        rows = database.execute("SELECT hash FROM pictures").fetchall() if there else []
    database.close()
    for (name,) in rows:
        assert hashlib.sha256((out / "pictures" / f"{name}.png").read_bytes()).hexdigest() == name, name
    return len(rows)


def contents(out: Path) -> dict[str, bytes]:
    files = [*(out / "pictures").iterdir(), out / "scores.csv", out / "verdicts.csv"]
    return {path.name: path.read_bytes() for path in files}


if __name__ == "__main__":
    main()
