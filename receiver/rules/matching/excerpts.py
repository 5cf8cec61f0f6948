"""How much of an explanation is told at once: rules times resources may be millions of findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from receiver.core.model import Resource
from receiver.rules.matching.explanation import RuleExplanation
from receiver.rules.matching.findings import Finding, Verdict

MOST = 10_000
"""Findings of one explanation, over all rules: one rule alone has those on 10,000 resources."""

LARGEST = 4 << 20
"""Characters of their reasons: one that names a long list of globs is long too."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Findings of one rule by the number of the resource, ascending, and how many are left out."""

    findings: dict[int, Finding]
    more: dict[str, int]


def share(rules: int) -> int:
    """Return how many findings each of so many rules may tell; at least one."""
    return max(1, MOST // max(1, rules))


def excerpt(
    item: RuleExplanation, resources: Sequence[Resource], rules: int, resource: str = ""
) -> Excerpt:
    """Choose which findings of a rule are told: what matched comes before what did not.

    Args:
        item: the rule's explanation.
        resources: those of the sync.
        rules: how many rules are told of together.
        resource: the key of the only resource that counts, "" for all of them.
    """
    found, most, left = item.resources, share(rules), LARGEST // max(1, rules)
    if resource:
        numbers = [n for n in range(len(found)) if resources[n].key == resource][:most]
        return Excerpt({number: found[number] for number in numbers}, {})
    told: dict[int, Finding] = {}
    for number in found.telling(most):
        finding = found[number]
        left -= len(finding.reason)
        if told and left < 0:
            break
        told[number] = finding
    counts = dict(found.counts)
    for finding in told.values():
        counts[finding.verdict] -= 1
    more = {verdict.value: counts[verdict] for verdict in Verdict if counts[verdict]}
    return Excerpt(dict(sorted(told.items())), more)
