"""What a rule asks of the live objects of resources, beside what the sync did to them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from receiver.rules.expressions.template import strings
from receiver.rules.schema.rule_file import Rule

NAMED = re.compile(r"""(?<!\bapplication)(?:\.\??|\[\s*\??\\*["'])(labels|annotations)\b""")
"""How an expression names those of a resource: ``resource.labels``, ``r["labels"]``."""

_NAME = r"[A-Za-z0-9_./-]+"
ONE = re.compile(
    rf"""(?:\\*["']\s*\])?\s*(?:\[\s*\??\s*\\*["']({_NAME})\\*["']\s*\]|\.\s*\??\s*(\w+)\b(?!\s*\())"""
)
"""What follows where it names one of them: ``['note']``, ``[?"note"]``, ``.note``, ``.?note``."""

WITHIN = re.compile(rf"""["']({_NAME})\\*["']\s+in\s+[\w.]*$""")
"""What stands before where it asks whether one is there: ``'note' in resource``."""


OF_IMAGES = re.compile(r"\bimageChanged\b|\bresources\b|\bresource\b(?!\.\w)")
"""How an expression asks whether images changed: by that name, or by a resource as a whole."""


LONGEST_NAME = 400
"""Characters before it in which that is looked for: a name of Kubernetes has at most 317."""


@dataclass(frozen=True, slots=True)
class Asks:
    """What is asked of one live object.

    Attributes:
        labels: all of them.
        annotations: the names of those that are named.
        every_annotation: an expression asks for more than can be seen to be named.
        fields: paths.
    """

    labels: bool = False
    annotations: frozenset[str] = frozenset()
    every_annotation: bool = False
    fields: frozenset[str] = frozenset()

    def __or__(self, other: Asks) -> Asks:
        """Return what both ask."""
        return Asks(
            self.labels or other.labels,
            self.annotations | other.annotations,
            self.every_annotation or other.every_annotation,
            self.fields | other.fields,
        )

    @property
    def remembers(self) -> bool:
        """Whether what is remembered is needed: values of before, and the key of digests."""
        return bool(self.annotations or self.every_annotation or self.fields)

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return self != NO_QUESTION


NO_QUESTION = Asks()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read for a sync.

    Attributes:
        listed: the resources, by their index, that are judged by their objects.
        unlisted: its list may lack what it changed, and a rule could select that.
        health: those, by their index, whose health decides.
        asks: what rules ask of live objects beside, by the index of the resource.
    """

    listed: tuple[int, ...] = ()
    unlisted: bool = False
    health: tuple[int, ...] = ()
    asks: Mapping[int, Asks] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is to be read."""
        return bool(self.unlisted or self.objects)

    @property
    def objects(self) -> set[int]:
        """The resources, by their index, whose objects are read."""
        return {*self.listed, *self.health, *self.asks}


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
        yield named | Asks(bool(selector.labels), frozenset(selector.annotations), fields=fields)


def named_by(rule: Rule) -> Asks:
    """Return what the rule's expressions may name; at worst too much is asked."""
    asks = NO_QUESTION
    for written in _expressions_of(rule):
        for found in NAMED.finditer(written):
            asks |= Asks(labels=True) if found[1] == "labels" else _annotations(written, found)
    return asks


def asks_of_images(rule: Rule) -> bool:
    """Whether it may ask if a resource's images changed."""
    selectors = rule.match.resources or ()
    asked = any(one.image_changed is not None for one in selectors)
    return asked or any(map(OF_IMAGES.search, _expressions_of(rule)))


def _expressions_of(rule: Rule) -> Iterator[str]:
    """Yield every text of a rule in which expressions about resources may stand."""
    yield rule.match.condition or ""
    for action in (*rule.actions, *rule.finally_, *rule.on_failure):
        yield action.if_ or ""
        yield from (text for _, text in strings(action.with_) if "${{" in text)


def _annotations(written: str, found: re.Match[str]) -> Asks:
    """Return the annotation that is named at this place; all of them where none can be seen."""
    after = ONE.match(written, found.end())
    if after:
        return Asks(annotations=frozenset({after[1] or after[2]}))
    within = WITHIN.search(written, max(0, found.start() - LONGEST_NAME), found.start())
    if within and found[0].startswith(".") and not re.match(r"\s*[.\[]", written[found.end() :]):
        return Asks(annotations=frozenset({within[1]}))
    return Asks(every_annotation=True)
