"""Warnings: what is valid in a rule, and most likely not what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from receiver.core.errors import Problem
from receiver.core.validation import Path as Place
from receiver.core.yaml_document import Document
from receiver.rules.loading.channel_warnings import channel_warnings
from receiver.rules.loading.field_warnings import field_warnings
from receiver.rules.loading.globs import globs_in
from receiver.rules.loading.label_warnings import label_warnings
from receiver.rules.matching.cluster_scoped import CLUSTER_SCOPED
from receiver.rules.matching.predicates import SPECIAL
from receiver.rules.schema.match import ResourceMatch
from receiver.rules.schema.rule_file import Rule

REGEX = re.compile(r"\^|\.\*|.*(\$|\\|\(|\||\.\+)", re.DOTALL)
"""What no name has, and regular expressions do: a beginning or characters."""

NEAR = 0.85
"""How similar (difflib's ratio) a kind is to the known one that was meant. ``Deploymnet`` is
0.9; ``AdminNetworkPolicy``, a kind of its own, is 0.84 like ``NetworkPolicy``."""

SLASH = "has a slash, and no name in Kubernetes has one: it matches nothing"
SPLIT = {
    "name": "the namespace is a key of its own: {namespace: shop, name: assets}",
    "namespace": "the name is a key of its own: {namespace: shop, name: assets}",
    "project": "the name alone",
    "kind": "the group is a key of its own: {group: apps, kind: Deployment}",
    "group": "the version is a key of its own: {group: apps, version: v1}",
    "version": "the group is a key of its own: {group: apps, version: v1}",
}
"""The keys of an Application and of a resource that are names, and how to write what a slash
was to say."""

PATTERN = (
    "looks like a regular expression, and is compared as a glob",
    "write * ? [ab], over the whole text, or a list of globs",
)

NAMESPACED = """
    Binding ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate
    ReplicationController ResourceQuota Secret Service ServiceAccount
    ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
    CronJob Job HorizontalPodAutoscaler PodDisruptionBudget EndpointSlice Lease
    Ingress NetworkPolicy Role RoleBinding CSIStorageCapacity
    LocalSubjectAccessReview ResourceClaim ResourceClaimTemplate
"""
"""From api/discovery of kubernetes/kubernetes, without what only older clusters have."""

ARGO = """
    Application ApplicationSet AppProject
    AnalysisRun AnalysisTemplate ClusterAnalysisTemplate Experiment Rollout
    ClusterWorkflowTemplate CronWorkflow Workflow WorkflowEventBinding WorkflowTemplate
    EventBus EventSource Sensor
"""

GROUPS = frozenset(group for group, _ in CLUSTER_SCOPED) | {
    *("apps", "autoscaling", "batch", "coordination.k8s.io", "discovery.k8s.io"),
    *("events.k8s.io", "authorization.k8s.io", "argoproj.io"),
}
"""The API groups of these kinds."""

KINDS = frozenset(kind for _, kind in CLUSTER_SCOPED) | {*NAMESPACED.split(), *ARGO.split()}
"""The kinds that most rules are about: those of Kubernetes itself, and of Argo's own projects."""


def find_warnings(document: Document, rules: Iterable[tuple[int, Rule]]) -> Iterator[Problem]:
    """Yield the warnings of a file, with their places; ``rules`` are its rules by their index."""
    count = 0
    for count, (index, rule) in enumerate(rules, 1):  # noqa: B007 used after the loop
        for place, glob in globs_in(rule.match, ("rules", index, "match")):
            for message, hint in _of_glob(place, glob):
                yield document.problem(_place(document, place), message, hint)
        for number, selector in enumerate(rule.match.resources or ()):
            place = ("rules", index, "match", "resources", number, "kind")
            for word, message, hint in _of_kinds(selector):
                at = (selector.kind or ()).index(word)
                yield document.problem(_place(document, (*place, at)), message, hint)
        warned = (*field_warnings(rule), *label_warnings(rule), *channel_warnings(rule))
        for where, message, hint in warned:
            own = ("rules", index, *where)
            place = own if own in document.values else ("defaults", *where)
            found = place if place in document.values else _place(document, own)
            yield document.problem(found, message, hint)
    if not count:
        yield Problem(document.file, 0, 0, "", "has no rules")


NOBODY = "no sender has a connection"
UNTOLD = f"{NOBODY}, so nobody knows what is changed server-side, and that is skipped"
OF_A_RESOURCE = re.compile(r"""\bresource(?:\.\??|\[\s*\??["'])(labels|annotations)\b""")
CONNECT = "the setting argocd names one, see docs/argocd-connection.md"


def find_unconnected(document: Document, rules: Iterable[tuple[int, Rule]]) -> Iterator[Problem]:
    """Yield a warning for each rule that asks what nobody can tell without a connection.

    ``rules`` are those of the file by their index.
    """
    for index, rule in rules:
        if rule.verify == "always":
            message = f"{NOBODY}, so the messages decide"
            yield document.problem(_given(document, index, "verify"), message, CONNECT)
        if rule.on_unknown_change == "skip" and _needs_change(rule):
            yield document.problem(_given(document, index, "onUnknownChange"), UNTOLD, CONNECT)
        if rule.wait_for is not None:
            then = "starts at once" if rule.wait_for.otherwise == "go" else "fails at once"
            message = f"{NOBODY}, so nobody knows what is healthy: each plan {then}"
            yield document.problem(("rules", index, "waitFor"), message, CONNECT)
        if rule.debounce is not None and rule.debounce.until is not None:
            message = f"{NOBODY}, so each plan waits for the quiet of window instead"
            yield document.problem(("rules", index, "debounce", "until"), message, CONNECT)
        for place, message in _unanswered(rule, document.data["rules"][index]):
            yield document.problem(("rules", index, *place), message, CONNECT)


def _given(document: Document, index: int, key: str) -> Place:
    """Return where a key is given that is not left to itself: in the rule or in the defaults."""
    places: list[Place] = [("rules", index, key), ("defaults", key)]
    return next(place for place in places if place in document.values)


def _needs_change(rule: Rule) -> bool:
    """Whether each selector wants what the sync changed, by what the messages say alone."""
    selectors = rule.match.resources or ()
    return bool(selectors) and all(
        {*one.change} == {"changed"} and one.image_changed is None and not one.live_keys
        for one in selectors
    )


def _unanswered(rule: Rule, written: Any) -> Iterator[tuple[Place, str]]:
    """Yield what a rule asks of live objects, in selectors and else in expressions."""
    selected = set[str]()
    for number, selector in enumerate(rule.match.resources or ()):
        for key in selector.live_keys:
            selected.add(key)
            then = "onUnknownChange decides" if key == "fields" else "this selects nothing"
            message = f"{NOBODY}, so no {key} are known: {then}"
            yield ("match", "resources", number, key), message
    if rule.match.resources:
        for place, key in _named(written, ()):
            if key not in selected:
                yield place, f"{NOBODY}, so no {key} are known: resource.{key} is null"


def _named(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield where the texts of a rule name a resource's labels or annotations, and which."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _named(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _named(inner, (*place, number))
    elif isinstance(value, str):
        for key in sorted({found[1] for found in OF_A_RESOURCE.finditer(value)}):
            yield place, key


def missing_files(paths: Iterable[Path], files: Iterable[str]) -> Iterator[Problem]:
    """Yield each of the paths that has no rule file."""
    names = [Path(file) for file in files]
    for path in paths:
        if not any(name == path or path in name.parents for name in names):
            message = "there is no rule file, so nothing is done after any sync"
            yield Problem(str(path), 0, 0, "", message, "files end with .yaml or .yml")


def _place(document: Document, place: Place) -> Place:
    """Return where it stands: a glob by itself has no place in a list."""
    return place if place in document.values else place[:-1]


def _of_glob(place: Place, glob: str) -> Iterator[tuple[str, str]]:
    key = ".".join(str(part) for part in place[4:] if not isinstance(part, int))
    if REGEX.match(glob):
        yield PATTERN
    elif "/" in glob and key in SPLIT:
        yield SLASH, SPLIT[key]


def _of_kinds(selector: ResourceMatch) -> Iterator[tuple[str, str, str]]:
    groups = [group for group in selector.group or () if not SPECIAL.search(group)]
    if groups and not GROUPS.issuperset(groups):
        return
    words = {kind.lower(): kind for kind in KINDS}
    for kind in selector.kind or ():
        if kind in KINDS or SPECIAL.search(kind):
            continue
        for meant in difflib.get_close_matches(kind.lower(), words, 1, NEAR):
            message = f"{kind} is no kind of Kubernetes or Argo"
            yield kind, message, f"did you mean {words[meant]}?"
