"""Each fenced block of the pages that people read, with the comment before it."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "bench/README.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
    *sorted(ROOT.glob("docs/*.md")),
]
_FENCED = re.compile(
    r"(?:^<!-- (?P<marker>.*?) -->\n)?^(?P<indent> *)(?P<fence>`{3,})(?P<language>\w*)\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
BETWEEN = {"&&", "||", "|", "&", ">", ">>", "--", "do", "then"}
"""What ends a simple command."""


@dataclass(frozen=True)
class Block:
    """A block, and where it stands."""

    page: str
    line: int
    marker: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    name = page.relative_to(ROOT).as_posix()
    for found in _FENCED.finditer(text):
        line = text.count("\n", 0, found.start("fence")) + 1
        yield Block(name, line, found["marker"] or "", found["language"],
                    textwrap.dedent(found["text"]))  # fmt: skip


BLOCKS = [block for page in PAGES for block in _blocks(page)]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each simple command of a script, or of a terminal's picture of one."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        try:
            words = shlex.split(line.removeprefix("$ "), comments=True)
        except ValueError:
            continue  # a quote that ends on another line
        yield from _parted(words)


def _parted(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        part.append(word.rstrip(";"))
        if word in BETWEEN or word.endswith(";"):
            yield part[: -1 if word in BETWEEN else None]
            part = []
    yield part
