"""The checks of `make check` that are our own find what they are there for."""

from __future__ import annotations

import sys
from pathlib import Path

import limits
import pytest
import reference
import rooms
from service import ROOT

LONG = "@staticmethod\ndef long():\n    '''It is long.'''\n" + "    call()\n" * 38
BRANCHED = "def branched(a, b):\n    return a " + "or b " * 12


def test_a_function_of_forty_one_lines_is_found(tmp_path: Path) -> None:
    """With its decorator and its docstring."""
    file = tmp_path / "long.py"
    file.write_text(LONG)
    assert list(limits.too_large(file)) == [f"{file}:1: long has 41 lines, at most 40 are allowed"]


def test_a_function_of_thirteen_branches_is_found(tmp_path: Path) -> None:
    """Each boolean operator is one, and the function itself."""
    file = tmp_path / "branched.py"
    file.write_text(BRANCHED)
    assert list(limits.too_large(file)) == [
        f"{file}:1: branched has a complexity of 13, at most 12 is allowed"
    ]


def test_a_function_at_the_limits_is_none(tmp_path: Path) -> None:
    """Forty lines and twelve branches are fine."""
    file = tmp_path / "fine.py"
    file.write_text(LONG.removesuffix("    call()\n") + BRANCHED.removesuffix("or b "))
    assert list(limits.too_large(file)) == []


def test_the_picture_leaves_out_arrows_that_follow_from_others() -> None:
    """With all of them it could not be read."""
    house = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert rooms.picture(house).splitlines()[2:-1] == ["  a --> b", "  b --> c"]


def test_a_picture_that_is_another_one_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands between the marks."""
    monkeypatch.chdir(ROOT)
    page = rooms.PAGE.read_text(encoding="utf-8")
    assert rooms.written(page.replace("web --> app", "app --> web")) == page


def test_a_stale_page_of_the_reference_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that are here are not."""
    monkeypatch.setattr(sys, "argv", ["reference.py", "--check"])
    monkeypatch.chdir(ROOT)
    assert reference.main() == 0
    monkeypatch.chdir(tmp_path)
    assert reference.main() == 1
