"""Pure, indexed matching of syncs and rules, with the reason for every yes and no."""

from receiver.matching.excerpts import Excerpt, excerpt, share
from receiver.matching.explanation import RuleExplanation
from receiver.matching.findings import Finding, Findings, Verdict
from receiver.matching.matcher import ConditionError, Matcher, RuleMatch
from receiver.matching.wording import describe

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
    "share",
]
