"""Pure, indexed matching of syncs and rules, with the reason for every yes and no."""

from receiver.matching.explanation import Finding, RuleExplanation, Verdict
from receiver.matching.matcher import ConditionError, Matcher, RuleMatch
from receiver.matching.wording import describe

__all__ = [
    "ConditionError",
    "Finding",
    "Matcher",
    "RuleExplanation",
    "RuleMatch",
    "Verdict",
    "describe",
]
