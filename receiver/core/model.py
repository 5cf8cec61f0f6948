"""The model: syncs, resources, outcomes and events as frozen data.

Times are aware UTC; durations are seconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case, so that an id may stand in a Kubernetes name."""
PAIRS = [one + other for one in ALPHABET for other in ALPHABET]


def new_id(letter: str) -> str:
    """Make an id that sorts by time: LETTER-, 9 characters of milliseconds, 9 random ones.

    45 random bits a millisecond: with 1,000 ids in one millisecond a clash has a chance
    of 1 in 70 million, and the ledger's primary keys would refuse it.
    """
    number = (time.time_ns() // 1_000_000) << 45 | secrets.randbits(45)
    return f"{letter}-" + "".join([PAIRS[number >> shift & 1023] for shift in range(80, -1, -10)])


def first_id(letter: str, ms: int) -> str:
    """Return the smallest id of this millisecond; every id made earlier is smaller."""
    number = max(ms, 0) << 45
    return f"{letter}-" + "".join([PAIRS[number >> shift & 1023] for shift in range(80, -1, -10)])


def made_at(made: str) -> int:
    """Return when an id was made, in milliseconds since 1970."""
    number = 0
    for letter in made.partition("-")[2][:9]:
        number = number << 5 | ALPHABET.index(letter)
    return number


def rfc3339(moment: datetime) -> str:
    """Write a moment as the API, the logs and Argo CD do, to the millisecond if it has any."""
    spec = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=spec).replace("+00:00", "Z")


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def from_ms(ms: int) -> datetime:
    """Return the moment of so many milliseconds since 1970; the last or first one beyond the range.

    A stored time may be any number, and must not make its reader fail.
    """
    try:
        return EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return LAST if ms > 0 else FIRST


class ChangeVerdict(StrEnum):
    """What a sync did to a resource."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict, always with its reason."""

    verdict: ChangeVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What became of one field of a resource's live object.

    Attributes:
        before: its value after the sync before; null where it was not there.
        after: its value after this sync, likewise. What is long, or a Secret's, is a digest.
        unknown: why the two cannot be compared, "" if they can.
    """

    before: Json = None
    after: Json = None
    unknown: str = ""

    @property
    def changed(self) -> bool | None:
        """Whether they differ, None if that is not known."""
        return None if self.unknown else self.before != self.after


NOT_ASKED = (
    "its live object was not read for this when the sync was planned, which needs a connection"
)
"""Why something is not known of an object that nobody has asked for it."""


@dataclass(frozen=True, slots=True)
class Live:
    """What the live object of a resource told that no notification has.

    Attributes:
        labels: its own, None where they are not known.
        annotations: those of its own that rules name, likewise; None is one that it has not. Of a
            long value, and of what may hold a secret, the digest.
        fields: what became of those that rules ask for, by their paths.
        unknown: why something is not known.
    """

    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str | None] | None = None
    fields: Mapping[str, FieldChange] = field(default_factory=dict)
    unknown: str = NOT_ASKED

    @property
    def unreadable(self) -> bool:
        """Whether the object was asked and could not be read."""
        return self.unknown != NOT_ASKED


class Resource(NamedTuple):
    """One entry of ``operationState.syncResult.resources``.

    A tuple: a sync may list thousands, and a frozen dataclass takes six times as long to make.
    ``image_changed`` is None while it is unknown: first sight, or no images. ``health`` is Argo
    CD's word, "" while it is unknown; ``health_message`` says why it is so, or why it is unknown.
    """

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    status: str
    message: str
    hook_type: str
    hook_phase: str
    sync_phase: str
    images: tuple[str, ...]
    change: Change
    image_changed: bool | None = None
    health: str = ""
    health_message: str = ""
    live: Live = Live()

    @property
    def is_told_by_object(self) -> bool:
        """Whether its live object tells what the sync did to it; of a hook the message does."""
        return self.status == "Synced" and not self.hook_type

    @property
    def key(self) -> str:
        """Its identity within one sync, readable: ``apps/Deployment/shop/web``."""
        name = "/".join(filter(None, (self.group, self.kind, self.namespace, self.name)))
        return f"{name}@{self.sync_phase}" if self.hook_type else name


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an Application's resources live."""

    server: str = ""
    name: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """The Argo CD Application that a sync is about."""

    name: str
    namespace: str = ""
    project: str = ""
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    destination: Destination = Destination()

    @property
    def key(self) -> str:
        """``namespace/name``, or the name alone where the namespace is not known."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sync's manifests came from."""

    repo_url: str = ""
    path: str = ""
    target_revision: str = ""
    chart: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What waits for an approval, as a notification of our own tells it; empty in all others.

    Attributes:
        sync: the sync that it is about.
        plan: the plan that is held, or of which runs are.
        rule: its rule.
        actions: whose runs are held; none where the plan as a whole is.
        count: how many resources the plan has, or how many runs are held.
        targets: the first of them, as the trail names them.
        reason: why it is held.
        since: since when, as RFC 3339 has it.
        expires: until when, likewise; None: without end.
        expiring: whether it is told again because that is soon.
        command: what approves it.
        link: its page, "" where nobody has set the page's address.
    """

    sync: str = ""
    plan: str = ""
    rule: str = ""
    actions: tuple[str, ...] = ()
    count: int = 0
    targets: tuple[str, ...] = ()
    reason: str = ""
    since: str = ""
    expires: str | None = None
    expiring: bool = False
    command: str = ""
    link: str = ""


NOTHING_HELD = Held()


@dataclass(frozen=True, slots=True)
class Sync:
    """One operation of one Application, as its notification describes it.

    ``id`` and ``received_at`` are given by the ledger. ``selective`` means that the
    operation named its resources; ``options`` are Argo CD's sync options.
    """

    sender: str
    channel: str
    application: Application
    phase: str
    started_at: datetime | None
    finished_at: datetime | None
    message: str = ""
    revision: str = ""
    revisions: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    retry_count: int = 0
    dry_run: bool = False
    selective: bool = False
    automated: bool = False
    initiated_by: str = ""
    options: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()
    event_key: str = ""
    held: Held = NOTHING_HELD
    id: str = ""
    received_at: datetime | None = None

    @property
    def moment(self) -> datetime | None:
        """The time by which syncs are older or newer: when it finished, or came if that is earlier.

        A wrong clock at the sender must not make one sync the newest for years.
        """
        known = [moment for moment in (self.finished_at, self.received_at) if moment is not None]
        return min(known, default=None)


class DeliveryVerdict(StrEnum):
    """What became of a notification."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


class OutcomeKind(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, with every secret already masked.

    ``delay`` is in seconds: when to ask again (pending), or the least time before the
    next attempt (temporary), with ``limited`` that of every attempt with the same credential.
    ``notes`` are lines that the handler wrote for the trail.
    """

    kind: OutcomeKind
    reason: str = ""
    output: Json = None
    state: Json = None
    delay: float | None = None
    limited: bool = False
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the trail. ``data`` holds what is particular to this event."""

    name: str
    data: Mapping[str, Json]
    delivery: str = ""
    sync: str = ""
    plan: str = ""
    run: str = ""
    attempt: int = 0
