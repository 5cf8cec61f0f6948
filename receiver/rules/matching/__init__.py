"""Pure, indexed matching of syncs and rules, with the reason for every yes and no."""

from receiver.rules.matching.explanation import Excerpt, RuleExplanation, describe, excerpt, quota
from receiver.rules.matching.findings import Finding, Findings, Verdict
from receiver.rules.matching.matcher import ConditionError, Matcher, RuleMatch

__all__ = [
    "ConditionError",
    "Excerpt",
    "Finding",
    "Findings",
    "Matcher",
    "RuleExplanation",
    "RuleMatch",
    "Verdict",
    "describe",
    "excerpt",
    "quota",
]
