"""The pages that are made from the code say what the code says now."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_pages_of_the_rules_are_up_to_date() -> None:
    pages = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
    found = {path.name: path.read_text() for path in (DOCS / "rules").glob("*.md")}
    assert found == pages, "make pages writes them anew"
