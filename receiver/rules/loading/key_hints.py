"""The way out for whoever wrote a key that is none."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel

from receiver.core.validation import FieldError, keys_at
from receiver.rules.schema.rule_file import RuleFile

NOT_TOLD = (
    "Argo CD does not tell a resource's {key}; match.application.labels are those of the "
    "Application"
)
MEANT = {
    "on": "match.channel says on which channel, match.phases how the sync ended",
    "when": "match says when a rule applies, when in an action on which state of earlier waves",
    "labels": NOT_TOLD,
    "annotations": NOT_TOLD,
}
"""Keys that people know from elsewhere, and where what they mean is written here."""


def with_way_out(mistake: FieldError, model: type[BaseModel]) -> FieldError:
    """Add to an unknown key, if none is near, what is meant by it, and the keys that there are.

    A file that is no mapping, mostly a list of rules, is told how one begins.
    """
    if model is RuleFile and not mistake.path and not mistake.hint:
        return replace(mistake, hint="begin with `version: 1`, and write the rules below `rules:`")
    if mistake.message != "unknown key" or mistake.hint or not mistake.path:
        return mistake
    key = str(mistake.path[-1])
    known = ", ".join(sorted(keys_at(model, mistake.path[:-1])))
    meant = MEANT.get(key, "").format(key=key)
    return replace(mistake, hint="; ".join(filter(None, (meant, f"there are {known}"))))
