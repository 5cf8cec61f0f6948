"""What rules make of one sync, as `postsync explain` and the API tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from receiver.core.errors import PostsyncError
from receiver.core.model import ChangeVerdict, Resource, Sync
from receiver.core.states import SyncState
from receiver.core.validation import did_you_mean
from receiver.inspection.would_run import steps, terms
from receiver.ledger.queries.rows import written_as_text
from receiver.notification.change_detection import list_gap
from receiver.rules.matching.explanation import (
    Excerpt,
    RuleExplanation,
    describe,
    excerpt,
    quota,
)
from receiver.rules.matching.findings import Verdict
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.match import ResourceMatch
from receiver.rules.schema.rule_file import Rule

VerdictText = Annotated[str, written_as_text(Verdict)]


IMAGES = (
    "imageChanged is unknown of some resources: of the sync before only those images are "
    "remembered that its rules asked for."
)


class ResourceTold(TypedDict):
    """A resource of the sync, and what the sync did to it."""

    resource: str
    name: Annotated[str, Field(description="For people.")]
    change: Annotated[str, written_as_text(ChangeVerdict)]
    reason: str


class FindingTold(TypedDict):
    """A rule's verdict on one resource."""

    resource: str
    verdict: VerdictText
    field: Annotated[str, Field(description="What decided, as a path below `match`.")]
    reason: str
    wanted: str
    saw: str


class StepTold(TypedDict):
    """An action that would run, and what it would act on."""

    wave: int
    action: str
    uses: str
    target: str
    targets: list[str]
    only: Annotated[list[str], Field(description="Conditions that are not known before it runs.")]
    more: Annotated[int, Field(description="Targets that are left out.")]


class RuleTold(TypedDict):
    """A rule's verdict on the sync, and what would run."""

    rule: str
    verdict: VerdictText
    field: str
    reason: str
    wanted: str
    saw: str
    mode: Literal["run", "observe"]
    resources: Annotated[
        list[FindingTold], Field(description="Empty where the sync itself decided.")
    ]
    more: Annotated[
        Mapping[VerdictText, int],
        Field(description="How many of `resources` are left out, by verdict."),
    ]
    terms: Annotated[list[str], Field(description="What its plan waits for before its steps.")]
    wouldRun: list[StepTold]


class ExplainedSync(TypedDict):
    """What rules make of a sync."""

    application: str
    channel: str
    phase: str
    about: Annotated[list[str], Field(description="What is special: a dry run, a retry.")]
    listed: Annotated[int, Field(description="Resources of the sync.")]
    resources: list[ResourceTold]
    rules: list[RuleTold]
    notes: Annotated[list[str], Field(description="What is not known, or left out.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What of it is asked for: one rule, one resource, what matched alone; "" is all."""

    rule: str = ""
    resource: str = ""
    matched: bool = False


class NoSuchName(PostsyncError):
    """A ``rule`` or a ``resource`` that was asked for is not there."""

    def __init__(self, kind: str, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class Unexplained(PostsyncError):
    """A sync that cannot be explained, or not now."""


def check_rule(wanted: str, rules: Sequence[Rule]) -> None:
    """Check that there is a rule of this name.

    Raises:
        NoSuchName: there is none.
    """
    known = [rule.name for rule in rules]
    if wanted and wanted not in known:
        raise NoSuchName("rule", f"there is no rule {wanted}", did_you_mean(wanted, known))


def find_resource(wanted: str, resources: Sequence[Resource]) -> str:
    """Return the key of the resource that is meant by its key, or by its kind and name.

    Raises:
        NoSuchName: it is none of the sync's, or may be several.
    """
    keys = [one.key for one in resources]
    if not wanted or wanted in keys:
        return wanted
    found = sorted({one.key for one in resources if f"{one.kind}/{one.name}" == wanted})
    if len(found) == 1:
        return found[0]
    if found:
        raise NoSuchName("resource", f"{wanted} may be several: name one of them", ", ".join(found))
    names = [*keys, *(f"{one.kind}/{one.name}" for one in resources)]
    raise NoSuchName(
        "resource", f"the sync lists no resource {wanted}", did_you_mean(wanted, names)
    )


def head_of(sync: Sync) -> ExplainedSync:
    """Return what a sync is, without any rule."""
    about = [word for word, on in (("dry run", sync.dry_run), ("selective", sync.selective),
             (f"retried {sync.retry_count} times", sync.retry_count)) if on]  # fmt: skip
    return {
        "application": sync.application.key, "channel": sync.channel, "phase": sync.phase,
        "about": about, "listed": len(sync.resources), "resources": [], "rules": [], "notes": [],
    }  # fmt: skip


def add_rules(found: ExplainedSync, matcher: Matcher, sync: Sync, asked: Asked) -> None:
    """Add a rule after the other; then what the sync did to its resources.

    Args:
        found: the answer.
        matcher: of the rules.
        sync: with its verdicts.
        asked: what counts; the resource by its key.
    """
    rules = len(matcher.compiled)

    def tell(item: RuleExplanation) -> None:
        chosen = _chosen(item, sync, rules, asked)
        if not asked.matched or (item.matched and (chosen.findings or not item.resources)):
            found["rules"].append(_told(item, sync, rules, chosen))

    matcher.explain_each(sync, asked.rule, tell)
    told = {cell["resource"] for rule in found["rules"] for cell in rule["resources"]}
    found["resources"] += [
        _resource(one)
        for one in sync.resources
        if asked.resource in {"", one.key} and (not asked.matched or one.key in told)
    ]


def state_note(state: str, reason: str) -> list[str]:
    """Return that a sync has no plans, whatever matches, where that is so."""
    if state == SyncState.PLANNED:
        return [f"When it was planned: {reason}."] if reason else []
    why = f": {reason}" if reason else ""
    return [f"The sync is {state}, so no rule has made a plan of it{why}."]


def gap_note(sync: Sync) -> list[str]:
    """Return that the sync's list may lack something, where it may."""
    incomplete = list_gap(sync.retry_count, sync.options)
    return [f"The sync was {incomplete}."] if incomplete else []


def images_note(matcher: Matcher, sync: Sync) -> list[str]:
    """Return that the images of before are not known of all resources, where a rule asks for it."""
    asking = (one.image_changed is not None for one in _selectors(matcher))
    if any(asking) and any(one.images and one.image_changed is None for one in sync.resources):
        return [IMAGES]
    return []


def payload_notes(matcher: Matcher, sync: Sync) -> Iterator[str]:
    """Yield what a notification alone cannot tell."""
    selectors = _selectors(matcher)
    if any(selector.image_changed is not None for selector in selectors):
        yield (
            "imageChanged is unknown here: only a server remembers the images of the sync before, "
            "and what failed ones had changed."
        )
    if any(selector.live_keys or selector.health for selector in selectors):
        yield (
            "What only live objects know (labels, annotations, fields, and health that the "
            "notification does not tell) is unknown here: a server with a connection reads it when "
            "a sync comes."
        )
    if not sync.sender and any(one.rule.match.sender is not None for one in matcher.compiled):
        yield "Some rules ask for a sender, and none is named."


def _selectors(matcher: Matcher) -> list[ResourceMatch]:
    return [selector for one in matcher.compiled for selector in one.rule.match.resources or ()]


def _chosen(item: RuleExplanation, sync: Sync, rules: int, asked: Asked) -> Excerpt:
    if not asked.matched:
        return excerpt(item, sync.resources, rules, asked.resource)
    numbers = [
        number
        for number in item.resources.of(Verdict.MATCHED)
        if asked.resource in {"", sync.resources[number].key}
    ]
    most = quota(rules)
    more = {Verdict.MATCHED.value: len(numbers) - most} if len(numbers) > most else {}
    return Excerpt({number: item.resources[number] for number in numbers[:most]}, more)


def _resource(one: Resource) -> ResourceTold:
    return {
        "resource": one.key, "name": describe(one), "change": one.change.verdict,
        "reason": one.change.reason,
    }  # fmt: skip


def _told(item: RuleExplanation, sync: Sync, rules: int, shown: Excerpt) -> RuleTold:
    told: dict[str, Any] = {
        "rule": item.rule.name,
        **asdict(item.finding),
        "mode": item.rule.mode,
        "resources": [
            {"resource": sync.resources[number].key, **asdict(finding)}
            for number, finding in shown.findings.items()
        ],
        "more": {**shown.more},
        "terms": [*terms(item)],
        "wouldRun": [
            {**asdict(step), "targets": [*step.targets], "only": [*step.only]}
            for step in steps(item, sync, quota(rules))
        ],
    }
    return cast("RuleTold", told)
