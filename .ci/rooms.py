"""Draws the rooms of the house from its imports, and lists them by what their docstrings say.

`make generate` writes both into docs/architecture.md, `make check` says when they are stale.
"""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

PAGE = Path("docs/architecture.md")
PACKAGES = ("receiver", "handlers")

Rooms = dict[str, set[str]]
"""What each room imports directly; by the modules' full names."""


def rooms_in(package: str, *beside: str) -> Rooms:
    """Return the rooms of a package, and those that stand beside it, with their imports."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    rooms = sorted({*graph.find_children(package), *beside})
    for room in rooms:
        graph.squash_module(room)
    found = {room: graph.find_modules_directly_imported_by(room) for room in rooms}
    return {room: imported & found.keys() - {room} for room, imported in found.items()}


def picture(rooms: Rooms) -> str:
    """Return a Mermaid flowchart, without the arrows that follow from others."""

    def below(room: str) -> set[str]:
        return rooms[room].union(*map(below, rooms[room]))

    lines = ["```mermaid", "flowchart TD"]
    for room, imported in rooms.items():
        indirect = set[str]().union(*map(below, imported))
        lines += [f"  {_short(room)} --> {_short(other)}" for other in sorted(imported - indirect)]
    return "\n".join([*lines, "```"])


def table(rooms: Rooms) -> str:
    """Return what is in each room; one stands above all that it imports."""
    order = [*TopologicalSorter({room: sorted(rooms[room]) for room in rooms}).static_order()]
    rows = [f"| `{_short(room)}` | {_docstring(room)} |" for room in reversed(order)]
    return "\n".join(["| room | what is in it |", "|---|---|", *rows])


def _short(room: str) -> str:
    return room.rpartition(".")[2]


def _docstring(module: str) -> str:
    """Return the first paragraph of a module's docstring, without its full stop."""
    path = Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).removesuffix(".").replace("``", "`")


def written(page: str) -> str:
    """Return the page with pictures and tables made anew, each between its marks."""
    for name, rooms in (
        ("house", rooms_in("receiver", "handlers")),
        ("ledger", rooms_in("receiver.ledger")),
    ):
        begin, end = f"<!-- {name}: made by .ci/rooms.py -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{picture(rooms)}\n\n{table(rooms)}\n\n{end}{after}"
    return page


def main() -> int:
    """Write the page, or with ``--check`` return 1 if it is stale."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = written(page)
    if "--check" not in sys.argv:
        PAGE.write_text(wanted, encoding="utf-8")
    elif page != wanted:
        sys.stderr.write(f"{PAGE} is stale: run `make generate`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
