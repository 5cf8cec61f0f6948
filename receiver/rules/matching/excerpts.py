"""Bounds an explanation: rules times resources may be millions of findings."""

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


def quota(rules: int) -> int:
    """Return how many findings each of so many rules may have; at least one."""
    return max(1, MOST // max(1, rules))


def excerpt(
    item: RuleExplanation, resources: Sequence[Resource], rules: int, resource: str = ""
) -> Excerpt:
    """Choose findings of a rule: what matched comes before what did not.

    Args:
        item: the rule's explanation.
        resources: those of the sync.
        rules: how many rules are explained together.
        resource: the key of the only resource that counts, "" for all of them.
    """
    found, most, left = item.resources, quota(rules), LARGEST // max(1, rules)
    if resource:
        numbers = [n for n in range(len(found)) if resources[n].key == resource][:most]
        return Excerpt({number: found[number] for number in numbers}, {})
    chosen: dict[int, Finding] = {}
    for number in found.first(most):
        finding = found[number]
        left -= len(finding.reason)
        if chosen and left < 0:
            break
        chosen[number] = finding
    counts = dict(found.counts)
    for finding in chosen.values():
        counts[finding.verdict] -= 1
    more = {verdict.value: counts[verdict] for verdict in Verdict if counts[verdict]}
    return Excerpt(dict(sorted(chosen.items())), more)
