"""What rules ask of a live object beside its change: labels, annotations, the values of fields."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace

from receiver.argocd.objects import LiveObject, ObjectRef, Unreadable
from receiver.core.index_key import index_key
from receiver.core.model import FieldChange, Json, Live
from receiver.core.storable import dumps
from receiver.dispatcher.resource_health import REASON
from receiver.kubernetes.field_paths import parse_path, value_at
from receiver.notification.field_memory import (
    FieldKey,
    FieldMemory,
    Operation,
    Remembered,
    keyed_digest,
)
from receiver.notification.live_verdicts import Sighting
from receiver.rules.matching.questions import Asks

LONGEST = 1_000
"""Characters of an annotation that are kept: of a longer one the digest. One of Kubernetes may
have 262,144."""

MOST_TOLD = 8 * 2**20
"""Characters of what is told for one sync: that is stored with it, and read whole again. A thousand
objects may have 256 KiB of annotations each."""

TOO_MUCH = f"of this sync's objects more than {MOST_TOLD:,} characters were asked for"

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation with all of the object's manifest, a Secret's values among it."""

MANIFEST = re.compile(r"\s*(\[\s*)?\{|H4sI")
"""JSON with mappings, and base64 of gzip."""

MANIFEST_LINE = re.compile(r"^\s*(apiVersion|kind|data|stringData)\s*:", re.MULTILINE)
"""The same as YAML."""

MASKED = "Argo CD's API masks the values of a Secret"


@dataclass(slots=True)
class FieldLook:
    """Compares fields of an Application's objects for one sync after the other.

    Attributes:
        memory: what they were.
        news: what is to be remembered after the sync that was looked at last.
        room: characters that may still be told.
    """

    memory: FieldMemory
    news: dict[FieldKey, Remembered] = field(default_factory=dict)
    room: int = MOST_TOLD

    def live(
        self,
        found: LiveObject | Unreadable,
        seen: Sighting,
        asks: Asks,
        by: Operation | None,
        *,
        doubtful: bool = False,
    ) -> Live:
        """Return what is asked of one object, as long as there is room for it.

        Args:
            found: the object.
            seen: when what happened to it.
            asks: what is asked.
            by: the sync's operation, None where the sync does not say when it ran.
            doubtful: whether a failed sync before it may have changed the object.
        """
        told = self._told(found, seen, asks, by, doubtful=doubtful)
        size = len(dumps(asdict(told)))
        if size > self.room and not told.unreadable:
            return unread(TOO_MUCH, asks)
        self.room -= size
        return told

    def _told(
        self, found: LiveObject | Unreadable, seen: Sighting, asks: Asks, by: Operation | None, *,
        doubtful: bool,
    ) -> Live:  # fmt: skip
        texts = live_texts(found, asks, self.memory.digest_key)
        if isinstance(found, Unreadable) or not asks.fields:
            return texts
        if by is None:
            return _unknown(texts, asks, "the sync does not say when it ran")
        if seen.unreadable:
            return _unknown(texts, asks, seen.unreadable)
        values = field_values(found, asks.fields)
        changes, news = self.memory.compare(
            owner_of(found), values, seen, by, secret=is_secret(found.ref), doubtful=doubtful
        )
        self.news |= news
        return _unknown(texts, asks, MASKED, but=changes)


def live_texts(found: LiveObject | Unreadable, asks: Asks, digest_key: bytes) -> Live:
    """Return the labels and annotations that are asked for; no field is known yet."""
    if isinstance(found, Unreadable):
        return unread(found.reason, asks)
    labels = {**found.labels} if asks.labels else None
    if not (asks.annotations or asks.every_annotation):
        return Live(labels)
    names = {*asks.annotations, *(found.annotations if asks.every_annotation else ())}
    return Live(
        labels,
        {
            name: _kept(found, name, digest_key, named=name in asks.annotations)
            for name in sorted(names - {LAST_APPLIED})
        },
    )


def _kept(found: LiveObject, name: str, digest_key: bytes, *, named: bool) -> str | None:
    """Return an annotation, None if it is not there; of what may hold a secret the digest.

    That is what looks like a manifest, but where a rule names it and the object is no Secret; and
    of a Secret all that no rule names.
    """
    text = found.annotations.get(name)
    if text is None:
        return None
    secret = is_secret(found.ref)
    if (secret and not named) or ((secret or not named) and looks_like_manifest(text)):
        return keyed_digest(text, digest_key)
    return _short(text)


def looks_like_manifest(text: str) -> bool:
    """Whether a text may be an object that somebody has applied, as kapp and Rancher keep it."""
    return bool(MANIFEST.match(text) or MANIFEST_LINE.search(text))


def unread(reason: str, asks: Asks) -> Live:
    """Return that nothing is known of an object."""
    return _unknown(Live(unknown=reason[:REASON]), asks, reason[:REASON])


def field_values(found: LiveObject, paths: Collection[str]) -> dict[str, Json]:
    """Return the values by their paths, but those that cannot be known."""
    whole: Json = {**found.content} if found.content is not None else None
    return {path: value_at(whole, parse_path(path)) for path in paths if not _hides(found, path)}


def owner_of(found: LiveObject) -> str:
    """Return what fields are remembered by: the object, with its namespace as it says itself.

    A sync's list names one for what is in none, too.
    """
    metadata = (found.content or {}).get("metadata")
    there = metadata.get("namespace") if isinstance(metadata, dict) else ""
    return owner_by(replace(found.ref, namespace=str(there or "")))


def owner_by(ref: ObjectRef) -> str:
    """Return the same by what names the object, which is right about the namespace."""
    return index_key("/".join(filter(None, (ref.group, ref.kind, ref.namespace, ref.name))))


def is_secret(ref: ObjectRef) -> bool:
    """Whether its values are nobody's business."""
    return (ref.group, ref.kind) == ("", "Secret")


def _hides(found: LiveObject, path: str) -> bool:
    """Whether a path goes into data of which a value is not known, see `LiveObject.content`."""
    data = (found.content or {}).get("data")
    masked = is_secret(found.ref) and isinstance(data, dict) and None in data.values()
    return masked and parse_path(path)[0] == "data"


def _unknown(
    live: Live, asks: Asks, reason: str, *, but: Mapping[str, FieldChange] | None = None
) -> Live:
    fields = {path: FieldChange(unknown=reason) for path in sorted(asks.fields)}
    return replace(live, fields=fields | {**(but or {})})


def _short(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
