"""What a rule asks of the live objects of resources, beside what the sync did to them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from receiver.rules.schema.rule_file import Rule

NAMED = re.compile(r"""(?<!\bapplication)(?:\.|\[\s*\\*["'])(labels|annotations)\b""")
"""How an expression names those of a resource: ``resource.labels``, ``r["labels"]``."""


@dataclass(frozen=True, slots=True)
class Asks:
    """What is asked of one live object."""

    labels: bool = False
    annotations: bool = False
    fields: frozenset[str] = frozenset()

    def __or__(self, other: Asks) -> Asks:
        """Return what both ask."""
        return Asks(
            self.labels or other.labels,
            self.annotations or other.annotations,
            self.fields | other.fields,
        )

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return self != NO_QUESTION


NO_QUESTION = Asks()


@dataclass(frozen=True, slots=True)
class AskedFields:
    """Every path that some rules ask for.

    ``digest`` is another one where they ask for others, or of other resources.
    """

    paths: frozenset[str]
    digest: str

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> AskedFields:
        """Return what the enabled ones ask for."""
        paths, digest = set[str](), hashlib.sha256()
        for rule in rules:
            wanted = paths_of(rule)
            if wanted and rule.enabled:
                paths |= wanted
                digest.update(rule.match.model_dump_json().encode())
        return cls(frozenset(paths), digest.hexdigest())


def paths_of(rule: Rule) -> frozenset[str]:
    """Return the paths into live objects that its selectors ask for."""
    return frozenset(path for one in rule.match.resources or () for path in one.fields or ())


def asks_of(rule: Rule) -> Iterator[Asks]:
    """Yield what each selector asks, with what an expression of the rule may name."""
    named = named_by(rule)
    for selector in rule.match.resources or ():
        fields = frozenset(selector.fields or ())
        yield named | Asks(bool(selector.labels), bool(selector.annotations), fields)


def named_by(rule: Rule) -> Asks:
    """Return what the rule's expressions may name; at worst too much is asked."""
    written = (rule.match.condition, rule.actions, rule.finally_, rule.on_failure, rule.debounce)
    named = {found[1] for part in written for found in NAMED.finditer(str(part))}
    return Asks("labels" in named, "annotations" in named)
