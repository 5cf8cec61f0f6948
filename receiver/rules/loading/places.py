"""Where in the files a part of a rule stands."""

from __future__ import annotations

from receiver.core.validation import Path
from receiver.rules.loading.load import RuleSet, readings


def place_in_files(found: RuleSet, rule: str, path: Path) -> str:
    """Return ``FILE:LINE:COLUMN`` of a path below a rule, "" if there is no such rule.

    The files are read again for it, which takes as long as to load them.
    """
    for reading in readings(found):
        for index, one in reading.rules.items():
            if one.name == rule:
                there = reading.document.problem(("rules", index, *path), "")
                return f"{there.file}:{there.line}:{there.column}"
    return ""
