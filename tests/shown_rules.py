"""Each rule that we show: those of the files that we ship, and those on our pages."""

from __future__ import annotations

import re
from typing import Any

import yaml
from service import ROOT

FILES = sorted([*ROOT.glob("config/rules/*.yaml"), *ROOT.glob("config/examples/rules/*.yaml")])
_PAGES = "".join(page.read_text() for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")))
_BLOCKS = re.findall(r"```yaml\n(.*?)```", _PAGES, re.DOTALL)
_LISTS = [block for block in _BLOCKS if re.match(r"- name: .*\n(  .*\n)*  match:", block)]
_WHOLE = [block for block in _BLOCKS if re.search(r"^rules:\n- name:", block, re.MULTILINE)]
RESOURCES = [block for block in _BLOCKS if "\nkind: PostSyncRule\n" in block]


def _rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(text) for text in (*(file.read_text() for file in FILES), *_WHOLE)]
    found = [*(rule for file in files for rule in file["rules"]),
             *(rule for block in _LISTS for rule in yaml.safe_load(block))]  # fmt: skip
    return [rule for rule in found if {"name", "match", "actions"} <= rule.keys()]


RULES = _rules()
