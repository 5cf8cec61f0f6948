"""What the pages for those who read the code say of its files."""

from __future__ import annotations

import re

import pytest
from service import ROOT

PATH = re.compile(r"(?<![\w/.])((?:[\w.-]+/)+(?:[\w-]+\.py)?)(?![\w/])")
"""A folder with its slash, or a file in one."""


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_each_file_that_a_page_names_is_there(page: str) -> None:
    """A reader follows the page to the code."""
    text = (ROOT / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```\n.*?```|`[^`\n]+`", text, re.DOTALL))
    named = set(PATH.findall(code))
    places = (ROOT, ROOT / "receiver")
    assert len(named) > 5
    assert [one for one in sorted(named) if not any((p / one).exists() for p in places)] == []
