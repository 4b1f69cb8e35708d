"""`negativa embeddings`: what a folder of embedding files holds, and one layout made into another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from negativa.apps.cli import usage
from negativa.apps.cli.screen import print_table, say


class Listing(TyperGroup):
    """Takes a folder where a verb could stand: to list it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = not args or args[0] in (*self.commands, "--help")
        return super().parse_args(ctx, args if named else ["list", *args])


app = usage.App(
    help="List the embeddings in a folder (negativa embeddings DIR), or convert one.", cls=Listing, no_args_is_help=True
)


@app.command("list")
def show(
    folder: Annotated[Path, typer.Argument(help="A folder of embedding files, with what is in it; or one file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List embeddings: name, model family, vectors, layout, file; and what could not be read, and why."""
    from negativa.denoisers.embeddings import Shelf

    shelf = Shelf(folder)
    if as_json:
        kept = ("name", "family", "count", "layout", "hash")
        rows = [
            {k: getattr(one, k) for k in kept} | {"file": str(one.path), "notices": one.notices} for one in shelf.embeddings
        ]
        unreadable = [{"file": str(path), "why": why} for path, why in shelf.unreadable.items()]
        print(json.dumps({"embeddings": rows, "unreadable": unreadable}, ensure_ascii=False))
        return
    table = [("NAME", "FAMILY", "VECTORS", "LAYOUT", "FILE")] if shelf.embeddings else []
    table += [(one.name, one.family, str(one.count), one.layout, str(one.path)) for one in shelf.embeddings]
    print_table(table)
    for one in shelf.embeddings:
        for notice in one.notices:
            say(f"notice: {one.path}: {notice}")
    for why in shelf.unreadable.values():
        say(f"not read: {why}")
    if not table and not shelf.unreadable:
        say(f"there are no embedding files in {str(folder)!r}")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="An embedding in any layout.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    layout: Annotated[
        str | None, typer.Option(help="kohya, sdxl or diffusers; kohya for one text encoder, sdxl for two if not given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a file that is there.")] = False,
) -> None:
    """Write an embedding as safetensors, its vectors bit for bit."""
    from negativa.denoisers.embeddings import convert, read

    before = convert(source, target, layout, overwrite)
    for notice in before.notices:
        say(f"notice: {notice}")
    if (now := read(target)).bare != before.bare:
        say(f"notice: it is called {now.bare!r} now, as its file; it was called {before.bare!r}")
    print(target)
