"""What the README and the pages show, runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("prompts", "models", "experiments", "tokens"))]
BLOCKS = [
    pytest.param(*block, id=f"{page.stem}-{block[0]}-{i}")
    for page in PAGES
    for i, block in enumerate(re.findall(r"```(python|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize(("language", "text"), BLOCKS)
def test_blocks_run(language: str, text: str, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    words = [sys.executable, "-c", text] if language == "python" else ["bash", "-euc", text]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PATH": path}, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_first_example(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "mustache.py")], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    where, without, with_, took = done.stdout.splitlines()
    assert where.endswith("mustache.png") and (tmp_path / "out" / "mustache.png").exists()
    counts = [int(re.search(r"(\d) of 4 have a mustache", line)[1]) for line in (without, with_)]  # type: ignore[index]
    assert counts[0] > counts[1]
    assert re.fullmatch(r"took \d+\.\d s", took)


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
