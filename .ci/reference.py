"""Writes pages of the reference: each key of a rule file, each setting, each option of a command.

`make generate` writes them, `make check` says when they are stale.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import command_options
from pydantic.alias_generators import to_camel

from receiver.cli.starter import rules_schema_text
from receiver.rules.handlers.registry import Registry
from receiver.settings.model import Settings

RULE_FILE = Path("docs/rule-file.md")
SETTINGS = Path("docs/settings.md")
OPTIONS = Path("docs/command-options.md")
MADE = "<!-- Made by `make generate` from the {source}; edit that, not this page. -->\n"
RULE_HEAD = """# Keys of a rule file

Every key, from the schema by which editors check it
([config/rules.schema.json](../config/rules.schema.json)). [Rules](rules.md) tells what they are
for, with examples; the parameters under `with` are those of the [handlers](handlers.md). A
PostSyncRule has the keys of a rule under `spec`.

"""
SETTINGS_HEAD = """# Settings

Every setting: in the file that `POSTSYNC_SETTINGS` or `--settings` names, or as a variable of the
environment, which wins over the file. An option of a command wins over both. Durations are in
seconds, sizes in bytes; a list in a variable is JSON, or words with commas between them. Relative
paths in the file begin at its folder.
[config/settings.example.yaml](../config/settings.example.yaml) has them all with their defaults, to
copy from.

| setting | variable | default | |
|---|---|---|---|
"""
TITLES = {
    "": "The file", "Defaults": "defaults", "Rule": "rules[]", "Match": "match",
    "ApplicationMatch": "match.application", "DestinationMatch": "match.application.destination",
    "ApplicationExcept": "match.application.not", "ResourceMatch": "match.resources[]",
    "ResourceExcept": "match.resources[].not", "Action": "actions[]",
    "Suspend": "actions[].suspend",
    "FailureAction": "onFailure[], finally[]", "Retry": "retry", "Concurrency": "concurrency",
    "Limits": "limits", "Debounce": "debounce", "Until": "debounce.until",
    "AwaitedApplications": "debounce.until.applications", "Throttle": "throttle",
    "WaitFor": "waitFor",
}  # fmt: skip
"""The objects of a rule file, in the order of the page."""
WORDS = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
    "object": "mapping",
}  # fmt: skip
WORDS_OF = {
    "expression": "expression", "Target": "`resource`, `batch`, `application`",
    "When": "`success`, `failure`, `always`",
}  # fmt: skip
"""What a key takes that is of these, which have no keys of their own."""
NOTHING = {"null", "[]", "{}", '""'}
PAGE = re.compile(r"\bdocs/([\w-]+\.md)")


def rule_file() -> str:
    """Return the page of a rule file's keys."""
    schema = json.loads(rules_schema_text(Registry.discover()))
    found = {"": schema} | schema["$defs"]
    sections = [_section(title, found[name]) for name, title in TITLES.items()]
    return MADE.format(source="schema of rule files") + RULE_HEAD + "\n".join(sections)


def _section(title: str, schema: dict[str, Any]) -> str:
    about = " ".join(schema.get("description", "").split()) if title != TITLES[""] else ""
    lines = [f"## {title}", "", *([about, ""] if about else []),
             "| key | takes | default | |", "|---|---|---|---|"]  # fmt: skip
    required = schema.get("required", [])
    for key, field in schema["properties"].items():
        default = "required" if key in required else _default(field)
        lines.append(_row(f"`{key}`", _taken(field), default, field.get("description", "")))
    return "\n".join([*lines, ""])


def _taken(field: dict[str, Any]) -> str:
    """Say what a key takes; an object of the file by a link to its section."""
    match field:
        case {"$ref": str(ref)}:
            return _named(ref.rpartition("/")[2])
        case {"const": word}:
            taken = f"`{word}`"
        case {"enum": words}:
            taken = ", ".join(f"`{word}`" for word in words)
        case {"type": "array"}:
            taken = f"list of {_taken(field.get('items', {}))}"
        case {"anyOf": branches} if "type" not in field:
            taken = " or ".join(dict.fromkeys(_taken(one) for one in branches))
        case {"examples": ["30s"]}:
            taken = "duration"
        case _:
            taken = WORDS.get(field.get("type", ""), "anything")
    return taken


def _named(name: str) -> str:
    if title := TITLES.get(name):
        anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        return f"[{title}](#{anchor})"
    return WORDS_OF[name]


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", [], {}) else f"`{json.dumps(value, ensure_ascii=False)}`"


def settings() -> str:
    """Return the page of the settings."""
    rows = [
        _row(f"`{to_camel(name)}`", f"`POSTSYNC_{name.upper()}`", _setting_default(name),
             PAGE.sub(r"[\1](\1)", about))
        for name, about in _docstrings()
    ]  # fmt: skip
    return MADE.format(source="model of the settings") + SETTINGS_HEAD + "\n".join([*rows, ""])


def _setting_default(name: str) -> str:
    text = json.dumps(Settings.model_fields[name].default, default=str)
    return "" if text in NOTHING else f"`{text.strip(chr(34))}`"


def _docstrings() -> Iterator[tuple[str, str]]:
    """Yield each setting with the text that stands below it in the code."""
    (tree,) = ast.parse(inspect.getsource(Settings)).body
    for field, below in pairwise(getattr(tree, "body", [])):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=text)):
                yield name, str(text)


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def main() -> int:
    """Write the pages, or with ``--check`` return 1 if one is stale."""
    stale = []
    options = MADE.format(source="commands' own help") + command_options.page()
    for page, wanted in (
        (RULE_FILE, rule_file()), (SETTINGS, settings()), (OPTIONS, options),
    ):  # fmt: skip
        if "--check" not in sys.argv:
            page.write_text(wanted, encoding="utf-8")
        elif not page.is_file() or page.read_text(encoding="utf-8") != wanted:
            stale.append(str(page))
    if stale:
        sys.stderr.write(f"{', '.join(stale)} stale: run `make generate`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
