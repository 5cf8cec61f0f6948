"""Puts into a folder what the docs site is made of: docs/, and what its pages link to elsewhere.

Each such file or folder of the repository becomes a page of its own, so that a link leads to the
same on the site as on GitHub.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
FILES = PurePosixPath("files")
"""Where the pages of files of the repository stand on the site."""
LINK = re.compile(
    r"(?P<code>^ *(?P<fence>`{3,}).*?^ *(?P=fence)$|`[^`\n]+`)"
    r"|\]\((?![a-z]+:|#)(?P<path>[^)#\s]+)(?=[)#])",
    re.DOTALL | re.MULTILINE,
)
LANGUAGES = {".yaml": "yaml", ".py": "python", ".json": "json", ".toml": "toml", ".sh": "sh"}
MERMAID = "mermaid.min.js"
MANY = 100_000
"""Of a folder with more bytes than this, the files are named alone."""


def collect(root: Path, folder: Path, scripts: Path) -> None:
    """Write all pages into the folder, and what they show; Mermaid is one of the scripts."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "docs", folder)
    if drawn := (scripts / MERMAID).is_file():
        shutil.copy(scripts / MERMAID, folder / "assets")
    pages = [PurePosixPath("CHANGELOG.md"), PurePosixPath("CONTRIBUTING.md")]
    for file in sorted((root / "docs").glob("*.md")):
        text, linked = _rewritten(
            root, PurePosixPath(file.relative_to(root)), file.read_text(encoding="utf-8")
        )
        (folder / file.name).write_text(_with_diagrams(text, drawn), encoding="utf-8")
        pages += linked
    done: set[PurePosixPath] = set()
    while pages:
        path = pages.pop()
        if path not in done:
            done.add(path)
            pages += _write_page(root, path, folder)


def _with_diagrams(text: str, drawn: bool) -> str:
    """Let the page draw its diagrams; without Mermaid they stay text, and nobody else is asked."""
    if not drawn:
        return text.replace("```mermaid\n", "```text\n")
    if "```mermaid\n" in text:
        text += f'\n<script src="assets/{MERMAID}"></script>\n'
    return text


def _write_page(root: Path, path: PurePosixPath, folder: Path) -> list[PurePosixPath]:
    """Write the page of a file or folder; return what it links to."""
    target = folder / _place(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    text, linked = _rewritten(root, path, "".join(_page(root, path)))
    target.write_text(text, encoding="utf-8")
    return linked


def _page(root: Path, path: PurePosixPath) -> Iterator[str]:
    """Yield what a page of a file or folder says; the search leaves out what tells nothing."""
    source = root / path
    if path.suffix == ".md":
        yield source.read_text(encoding="utf-8")
        return
    yield f"---\nsearch:\n  exclude: true\n---\n# `{path}`\n\n"
    if source.is_file():
        yield _shown(source)
        return
    files = [one for one in sorted(source.rglob("*")) if one.is_file() and one.suffix != ".pyc"]
    short = sum(one.stat().st_size for one in files) <= MANY
    for file in files:
        name = file.relative_to(source)
        if file.suffix == ".md":
            yield f"[{name}]({path.name}/{name})\n\n"
        else:
            yield f"## `{name}`\n\n{_shown(file)}\n" if short else f"- `{name}`\n"


def _shown(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return f"`````{LANGUAGES.get(file.suffix, '')}\n{text.rstrip()}\n`````\n"


def _rewritten(root: Path, page: PurePosixPath, text: str) -> tuple[str, list[PurePosixPath]]:
    """Turn the links of a page of the repository into those of the site; return what they need."""
    linked = []
    here = root / page.parent

    def turned(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        target = (here / found["path"]).resolve()
        if not target.exists():
            raise SystemExit(f"{page}: there is no {found['path']}, to which a link leads")
        path = PurePosixPath(target.relative_to(root))
        if _place(path).is_relative_to(FILES):
            linked.append(path)
        return f"]({os.path.relpath(_place(path), _place(page).parent)}"

    return LINK.sub(turned, text), linked


def _place(path: PurePosixPath) -> PurePosixPath:
    """Return where on the site a file or folder of the repository stands."""
    if path.is_relative_to("docs"):
        return path.relative_to("docs")
    seen = PurePosixPath(*(part.lstrip(".") for part in path.parts))  # hidden ones are left out
    return FILES / (seen if seen.suffix == ".md" else seen.with_name(f"{seen.name}.md"))


if __name__ == "__main__":
    collect(ROOT, Path(sys.argv[1]), Path(sys.argv[2]))
