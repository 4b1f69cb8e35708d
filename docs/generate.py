"""Writes the pages that are made from the code: one for each guidance rule, and their index."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from negativa.plain.knobs import knobs_of
from negativa.rules import RULES, WRAPPERS, space_of

FOLDER = Path(__file__).parent / "rules"


def pages() -> dict[str, str]:
    """The text of every page by the name of its file."""
    index = ["# Guidance rules and their wrappers", "", "| name | what it does | space |", "|---|---|---|"]
    found = {}
    for name, kind in (RULES | WRAPPERS).items():
        first, _, rest = (sys.modules[kind.__module__].__doc__ or "").strip().partition("\n")
        space = space_of(kind)
        index.append(f"| [`{name}`]({name}.md) | {first} | {space} |")
        lines = [f"# {name}", "", first, *formulas(rest), ""]
        asked = f"Wrap a rule in it with `--wrap {name}`" if name in WRAPPERS else f"Ask for it with `--rule {name}`"
        lines += [f"Works in the space: {space}. {asked}.", ""]
        if knobs := knobs_of(kind):
            lines += ["| knob | default | range | |", "|---|---|---|---|"]
            lines += [f"| `{k}` | {v.default:g} | {v.least:g} to {v.most:g} | {v.help} |" for k, v in knobs.items()] + [""]
        for preset, values in getattr(kind, "PRESETS", {}).items():
            lines.append(f"- `--rule {name}:{preset}`: {', '.join(f'{knob} {value:g}' for knob, value in values.items())}")
        found[f"{name}.md"] = "\n".join(lines).rstrip() + "\n"
    return found | {"README.md": "\n".join(index) + "\n"}


def formulas(text: str) -> list[str]:
    """The text with what is indented as code."""
    lines: list[str] = []
    for block in textwrap.dedent(text).strip("\n").split("\n\n"):
        code = all(line.startswith("    ") for line in block.splitlines())
        lines += ["", "```", textwrap.dedent(block), "```"] if code else ["", block]
    return lines


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
