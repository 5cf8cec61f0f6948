"""The predicates of a rule's match: over the sync and its application, and over resources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

from receiver.core.model import ChangeVerdict, Resource, Sync
from receiver.notification.own import OWN_CHANNEL
from receiver.rules.matching.cluster_scoped import namespace_of
from receiver.rules.matching.predicates import Predicate, Predicates
from receiver.rules.schema.match import Globs, Match, ResourceMatch
from receiver.rules.schema.rule_file import OnUnknownChange
from receiver.rules.tenants.sight import Reach, Sight

Selector: TypeAlias = tuple[Predicate[Resource], ...]
Found: TypeAlias = Iterator[Predicate[Resource]]

ORDER = (
    *("kind", "group", "version", "namespace", "name", "not", "hookType", "syncPhase"),
    *("status", "health", "image", "imageChanged", "change", "labels", "annotations", "fields"),
)
"""The order of testing: a selector that fails later got further."""

LIVE_FIELDS = frozenset({"labels", "annotations", "fields"})
"""Fields that the live object alone answers."""

TRUTH_FIELDS = LIVE_FIELDS | {"change", "health"}
"""Those, and what it answers better than the notification."""

OUTCOME_FIELDS = TRUTH_FIELDS | {"status", "image", "imageChanged"}
"""Fields of what is known after a sync alone; the others identify the resource."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is not known, and why."""

    reason: str


FieldStates: TypeAlias = tuple[tuple[str, bool | None], ...]
"""Of each field its path, and whether it changed; None: unknown."""


def resource_predicates(
    selector: ResourceMatch, policy: OnUnknownChange, predicates: Predicates
) -> Selector:
    """Return the predicates of a selector in the order in which they are tested."""
    found = [
        *_texts(selector, predicates),
        *_except("not", selector.not_, RESOURCE_NAMES, predicates),
        *_words("hookType", hook_type_of, selector.hook_type, predicates),
        *_words("syncPhase", attrgetter("sync_phase"), selector.sync_phase, predicates),
        *_words("status", status_of, selector.status, predicates),
        *_words("health", attrgetter("health"), selector.health or ("any",), predicates),
        *_image(selector, predicates),
        *_image_changed(selector, policy, predicates),
        *_change(selector, policy, predicates),
        *_live_texts("labels", selector.labels, predicates),
        *_live_texts("annotations", selector.annotations, predicates),
        *_fields(selector, policy, predicates),
    ]
    return tuple(sorted(found, key=rank))


Names: TypeAlias = Mapping[str, Callable[[Any], str | None]]

RESOURCE_NAMES: Names = {
    "kind": attrgetter("kind"), "group": attrgetter("group"), "version": attrgetter("version"),
    "namespace": namespace_of, "name": attrgetter("name"),
}  # fmt: skip
APPLICATION_NAMES: Names = {
    field: attrgetter(f"application.{field}") for field in ("name", "namespace", "project")
}


def _except(
    field: str, wanted: object | None, names: Names, predicates: Predicates
) -> Iterator[Predicate[Any]]:
    """Yield the predicate that refuses what has all the names that are given in `not`."""
    given = {name: getattr(wanted, name, None) for name in names}
    globs = {name: predicates.globs(those).accept for name, those in given.items() if those}
    if not globs:
        return

    def read(subject: Any) -> tuple[str | None, ...]:
        return tuple(one(subject) for one in names.values())

    def accept(values: tuple[str | None, ...]) -> bool:
        known = dict(zip(names, values, strict=True))
        return not all(_is_there(one, known[name]) for name, one in globs.items())

    said = ", ".join(f"{name} {' or '.join(given[name] or ())}" for name in globs)
    yield predicates.make(field, read, (f"anything but {said}",), accept, mode=repr(given))


def rank(predicate: Predicate[Resource]) -> int:
    """Return when it is tested, see `ORDER`."""
    return ORDER.index(key_of(predicate))


def key_of(predicate: Predicate[Resource]) -> str:
    """Return its key in the selector: ``labels`` of ``labels.tier``."""
    return predicate.field.partition(".")[0]


def drop(fields: frozenset[str], selector: Selector) -> Selector:
    """Return a selector as if it did not ask for these fields."""
    return tuple(predicate for predicate in selector if key_of(predicate) not in fields)


def hook_type_of(resource: Resource) -> str:
    """Return the resource's hook type; ``none`` if it is no hook."""
    return resource.hook_type or "none"


def status_of(resource: Resource) -> str:
    """Return the resource's status; a hook has none up to Argo CD 3.3, and Synced from 3.4."""
    return "Synced" if resource.hook_type and not resource.status else resource.status


def _texts(selector: ResourceMatch, predicates: Predicates) -> Found:
    for field in ("kind", "group", "version", "name"):
        yield from _text(selector, field, predicates)
    if selector.namespace is not None:
        accept = predicates.globs(selector.namespace).accept

        def fits(namespace: str | None) -> bool:
            return namespace is None or accept(namespace)

        yield predicates.make("namespace", namespace_of, selector.namespace, fits)


def _words(
    field: str, read: Callable[[Resource], Any], words: tuple[str, ...], predicates: Predicates
) -> Found:
    if "any" not in words:
        yield predicates.make(field, read, words, frozenset(words).__contains__)


def _image(selector: ResourceMatch, predicates: Predicates) -> Found:
    if selector.image is not None:
        accept = predicates.globs(selector.image).accept

        def one_fits(images: tuple[str, ...]) -> bool:
            return any(map(accept, images))

        yield predicates.make("image", attrgetter("images"), selector.image, one_fits)


def _image_changed(
    selector: ResourceMatch, policy: OnUnknownChange, predicates: Predicates
) -> Found:
    wanted = selector.image_changed
    if wanted is not None:
        accepted = frozenset({wanted, None} if policy == "run" else {wanted})
        words = ("true" if wanted else "false",)
        read = attrgetter("image_changed")
        yield predicates.make("imageChanged", read, words, accepted.__contains__, mode=policy)


def _change(selector: ResourceMatch, policy: OnUnknownChange, predicates: Predicates) -> Found:
    words: set[str] = {*selector.change}
    policy = "run" if selector.fields else policy  # where fields are compared, they decide
    if "changed" in words and policy == "run":
        words.add(ChangeVerdict.UNKNOWN)
    if "any" not in words:
        read = attrgetter("change.verdict")
        accept = frozenset(words).__contains__
        yield predicates.make("change", read, selector.change, accept, mode=policy)


def _live_texts(key: str, wanted: Mapping[str, Globs], predicates: Predicates) -> Found:
    """Yield a predicate for each label, or annotation, that the live object must have."""
    for name, patterns in wanted.items():
        read = partial(_live_text, key, name)
        accept = partial(_is_there, predicates.globs(patterns).accept)
        yield predicates.make(f"{key}.{name}", read, patterns, accept)


def _live_text(key: str, name: str, resource: Resource) -> str | Unknown | None:
    texts: Mapping[str, str | None] | None = getattr(resource.live, key)
    if texts is None or (key == "annotations" and name not in texts):
        return Unknown(resource.live.unknown)
    return texts.get(name)


def _is_there(accept: Callable[[str], bool], value: str | Unknown | None) -> bool:
    return isinstance(value, str) and accept(value)


def _fields(selector: ResourceMatch, policy: OnUnknownChange, predicates: Predicates) -> Found:
    wanted = selector.fields
    if wanted is None:
        return

    def one_changed(states: FieldStates) -> bool:
        known = dict(states)
        found = {known.get(path) for path in wanted}
        return True in found or (policy == "run" and None in found)

    yield predicates.make("fields", _field_states, wanted, one_changed, mode=policy)


def _field_states(resource: Resource) -> FieldStates:
    return tuple((path, one.changed) for path, one in resource.live.fields.items())


def tenant_predicate(sight: Sight, predicates: Predicates) -> Predicate[Sync]:
    """Return the predicate by which a tenant's rule sees no sync beyond its bounds."""
    return predicates.make("tenant", Reach.of, (str(sight),), sight.takes)


def sync_predicates(match: Match, predicates: Predicates) -> Iterator[Predicate[Sync]]:
    """Yield the predicates of a match, in the order in which they are tested."""
    yield _channel(match, predicates)
    mode = "" if "phases" in match.model_fields_set else "default"
    accept = phases_of(match).__contains__
    yield predicates.make("phases", attrgetter("phase"), match.phases, accept, mode=mode)
    yield from _text(match, "sender", predicates)
    wanted = match.application
    for field in ("name", "namespace", "project"):
        yield from _text(wanted, field, predicates, "application.")
    yield from _except("application.not", wanted.not_, APPLICATION_NAMES, predicates)
    for label, patterns in wanted.labels.items():
        yield _label(label, patterns, predicates)
    for field in ("server", "name", "namespace") if wanted.destination else ():
        yield from _text(wanted.destination, field, predicates, "application.destination.")


def _channel(match: Match, predicates: Predicates) -> Predicate[Sync]:
    """Return the predicate of the channel; a glob does not take our own, which must be named.

    Who wrote ``*`` meant what Argo CD notifies of.
    """
    globs = predicates.globs(match.channel)

    def accept(channel: str) -> bool:
        return channel in globs.literals if channel == OWN_CHANNEL else globs.accept(channel)

    return predicates.make("channel", attrgetter("channel"), match.channel, accept, globs=globs)


def phases_of(match: Match) -> frozenset[str]:
    """Return the phases that a match accepts.

    An event without an operation (on a channel other than ``sync``) has no phase; only a
    rule that names phases itself requires one.
    """
    return frozenset(match.phases if "phases" in match.model_fields_set else (*match.phases, ""))


def _text(
    wanted: object, field: str, predicates: Predicates, above: str = ""
) -> Iterator[Predicate[Any]]:
    patterns = getattr(wanted, field)
    if patterns is not None:
        path = above + field
        yield predicates.text(path, attrgetter(path), patterns)


def _label(label: str, patterns: tuple[str, ...], predicates: Predicates) -> Predicate[Sync]:
    def read(sync: Sync) -> str | None:
        return sync.application.labels.get(label)

    accept = partial(_is_there, predicates.globs(patterns).accept)
    return predicates.make(f"application.labels.{label}", read, patterns, accept)
