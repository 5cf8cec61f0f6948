"""How much the rules of one sync may make together, and whose are left out where that is more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from receiver.core.errors import TooLarge
from receiver.planning.plan_builder import MOST_RUNS, MOST_TARGETS
from receiver.rules.matching.matcher import RuleMatch, without
from receiver.rules.schema.rule_file import Target
from receiver.rules.tenants.names import tenant_of

HINT = "`postsync replay SYNC --rule RULE` plans it for one rule"


def within_size(found: Sequence[RuleMatch]) -> list[RuleMatch]:
    """Return what was found without the rules of namespaces that there is no room for.

    Those that make most are left out first: no rule of a namespace keeps others from a sync.

    Raises:
        TooLarge: the operator's own make too much already.
    """
    of = defaultdict[str, list[RuleMatch]](list)
    for match in found:
        if match.matched:
            of[tenant_of(match.rule.name)].append(match)
    own = of.pop("", [])
    targets, runs = _size(own)
    if targets > MOST_TARGETS or runs > MOST_RUNS:
        raise TooLarge(_refusal(own), hint=HINT)
    why = dict[str, str]()
    for tenant in sorted(of, key=lambda name: max(_size(of[name]))):
        more = _size(of[tenant])
        if targets + more[0] > MOST_TARGETS or runs + more[1] > MOST_RUNS:
            why[tenant] = f"{_refusal(of[tenant])}, all of them ({HINT})"
        else:
            targets, runs = targets + more[0], runs + more[1]
    return without(found, why)


def _size(matches: Iterable[RuleMatch]) -> tuple[int, int]:
    """Return the targets and the runs that they make."""
    targets = runs = 0
    for match in matches:
        targets += len(match.resources)
        for action in match.rule.actions:
            runs += len(match.resources) if action.target is Target.RESOURCE else 1
    return targets, runs


def _refusal(matches: Sequence[RuleMatch]) -> str:
    targets, runs = _size(matches)
    return (
        f"{len(matches)} rules match, with {targets} targets and {runs} runs; a sync may have "
        f"{MOST_TARGETS} and {MOST_RUNS}"
    )
